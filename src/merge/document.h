// The one door to the merge core: a document that several devices edit.
//
// A replica holds a Document, joins whatever deltas reach it in any order and any number of times, and shows the result;
// equal sets of accepted operations are equal bytes and show the same on every target. A writer makes a delta from what he
// looked at (Basis) and what it shall become, and never touches the document itself: the delta comes back to him the way
// it goes to everybody else.
//
//   Document doc = *Document::open(stored);           // or Document() for one that nobody has written yet
//   Shown shown = doc.view(rules);
//   Delta edit = put(shown, next, rules, author);     // diff.h: whole value; patch() below: single edits
//   Bytes wire = encode_delta(edit);                  // delta.h; goes into the event and, on a device, to storage
//   doc.apply(wire);                                  // here, on the server, and on every other device
//
// Accepted and pending operations are kept in two places by whoever stores them: `doc` holds what the server accepted, and
// `Document shown = doc; shown.apply(pending)` is what the user sees. A rejected delta is simply no longer applied.
//
// Not here: storage, the change order, who may write what. Schemas and policies: rules.h. Conflict records: record.h.
#pragma once

#include <string_view>

#include "merge/delta.h"
#include "merge/diff.h"
#include "merge/json.h"
#include "merge/show.h"

namespace oas::merge {

class Document {
 public:
  Document() = default;
  // A document that starts as `snapshot` on every replica, at change number `cut` of the server's order.
  explicit Document(MaybeValue snapshot, std::uint64_t cut = 0) : state_(std::move(snapshot), cut) {}

  // `state` as bytes() gave it. Errors: as decode_state. O(size).
  static Result<Document> open(ByteView state);
  [[nodiscard]] Bytes bytes() const { return encode_state(state_); }
  [[nodiscard]] std::uint64_t digest() const { return state_digest(state_); }

  // Joins one delta; all or nothing. Errors: as decode_delta, and kLimit above kOperationsMax. Deltas that are known change
  // nothing. O(delta * log size).
  Result<void> apply(ByteView delta);
  Result<void> apply(Delta delta) { return state_.join(std::move(delta)); }
  // Joins all of another replica's operations. Errors: kLimit; kMalformed when the two were compacted at different places.
  Result<void> merge(const Document& other);

  // What a replica at `version` lacks, stamps and voids included.
  [[nodiscard]] Delta since(const Version& version) const { return state_.since(version); }
  [[nodiscard]] const Version& version() const { return state_.version(); }
  [[nodiscard]] const State& state() const { return state_; }

  // A pure function of the joined operations, the rules and the functions.
  [[nodiscard]] Shown view(const Rules& rules, const ShowOptions& options = {}) const {
    return show(state_, rules, options);
  }

  // Folds everything that every replica has seen into the snapshot: operations stamped at or below `cut` leave, except
  // where a later operation had not seen them or a person still has to decide; `cut` is then lowered. Returns the change
  // number it reached. Called at one place of the change order, on the accepted operations alone, so that replicas stay
  // byte-equal. O(size).
  std::uint64_t compact(std::uint64_t cut, const Rules& rules, const ShowOptions& options = {});

  // The delta that settles a conflict: `value` (nothing: deleted) takes the record's place and covers all its siblings; for
  // kind `order` the value is a sibling's position. Errors: kMalformed when no such record is shown.
  [[nodiscard]] Result<Delta> resolve(const Shown& shown, std::string_view record_id, const MaybeValue& value,
                                      const Author& author) const;

 private:
  [[nodiscard]] std::string position_of(const Path& path) const;

  State state_;
};

// Single edits instead of a whole value, applied in order to what the writer sees, as one change:
//   [{"op": "set", "path", "value"}, {"op": "delete", "path"}, {"op": "insert", "path", "value"}, {"op": "inc", "path", "by"}]
// Paths are JSON Pointers into the basis; an array element goes by its index, `-` is behind the last. `set` creates a missing
// field, not a missing parent. On a declared counter `set` starts it anew (R20) and `inc` adds (R19). Errors:
// kUnsupportedValue, with the index of the edit; nothing is done then.
[[nodiscard]] Result<Delta> patch(const Basis& base, const Value& edits, const Rules& rules, const Author& author);

// A basis as bytes, for the device that keeps it beside the pending edit.
[[nodiscard]] Bytes encode_basis(const Basis& basis);
Result<Basis> decode_basis(ByteView bytes);

// What the server adds: the number and time of acceptance for a run of dots, and dots that will never be accepted.
[[nodiscard]] Delta stamping(const DotRun& dots, const Stamp& stamp);
[[nodiscard]] Delta voiding(const DotRun& dots);

}  // namespace oas::merge
