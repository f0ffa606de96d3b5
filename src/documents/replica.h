// A document on a device: what the server has accepted, and the device's own edits that it has not judged yet.
//
// The two are kept apart. What people see is their join; a rejected edit simply leaves it. An edit is pending until a
// change of the server's order brings its dots, accepted or void, so nothing flickers between the verdict and the change.
// The host stores: accepted() after changes, each pending edit in the transaction that queues its event.
#pragma once

#include <map>
#include <optional>

#include "documents/change.h"
#include "merge/clock.h"

namespace oas::documents {

inline constexpr std::uint32_t kPendingMax = 10'000;  // edits of one document that wait for the server

// An edit that was made here.
struct Edit {
  merge::Dot first;  // names it on this device
  std::uint64_t count = 0;  // dots it used; 0: nothing changed, and `delta` is empty
  Bytes delta;
};

// An edit that was refused as too old, made again (rebase.h).
struct Remade {
  bool known = false;  // it had been part of `stood_on` already: nothing was done
  Edit edit;  // pending from now on, when its count is not 0; the count covers the contested operations, too
  Bytes contested;  // of one more edit, which is for the server to put on hold; empty: nothing is
  std::uint32_t stranded = 0;  // operations on what is not there any more
  Bytes stood_on;  // with the old edit: what the next old one of this document stood on
};

class Replica {
 public:
  // `accepted`: as accepted() gave it, or empty for a document nobody has written. Errors: as Document::open.
  static Result<Replica> open(ByteView accepted);

  // Begins again from what is stored, because others have stored more; what was shown stays the basis of the next edit.
  void refresh(Replica stored);

  // An edit as it was stored; its first dot when it is not pending, because the accepted document holds it. Errors: as
  // decode_delta; kMalformed for a delta without operations; kLimit.
  Result<std::optional<merge::Dot>> keep(ByteView delta);
  // Edits of what show() gave last: what has come since is concurrent, and is not undone by a value that lacks it. Each edit
  // is pending at once, and then counts as shown; the host drops it when it could not be stored. `at` names the epoch and
  // the first number that are free here, and the wall clock. Errors: kLimit, and as patch() and resolve().
  struct Writer {
    Epoch epoch;
    std::uint64_t first_n = 1;
    Millis wall;
  };
  Result<Edit> put(const merge::MaybeValue& next, const merge::Rules& rules, const Writer& at);
  Result<Edit> patch(const merge::Value& edits, const merge::Rules& rules, const Writer& at);
  Result<Edit> resolve(std::string_view record_id, const merge::MaybeValue& value, const merge::Rules& rules,
                       const Writer& at);

  // `stood_on`: the accepted document when `old` was still good. Errors: as open and decode_delta; kLimit.
  Result<Remade> remake(ByteView stood_on, ByteView old, const merge::Rules& rules, const Writer& at);

  // Joins one change of the server's order and returns the first dots of the edits that are no longer pending.
  Result<std::vector<merge::Dot>> accept(ByteView change, const merge::Rules& rules);
  // The edit was rejected or never stored. False when it is not pending.
  bool drop(const merge::Dot& first);

  [[nodiscard]] merge::Shown view(const merge::Rules& rules) const { return joined_.view(rules); }
  // The same, for somebody who may edit it.
  merge::Shown show(const merge::Rules& rules);
  [[nodiscard]] const merge::Document& accepted() const { return accepted_; }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }

 private:
  [[nodiscard]] merge::Author author(const Writer& at);
  Result<Edit> finish(merge::Delta delta, const merge::Rules& rules, const Writer& at);
  [[nodiscard]] merge::Basis basis(const merge::Rules& rules) const;
  void rejoin();

  merge::Document accepted_;
  merge::Document joined_;  // accepted_ and every pending edit
  struct Pending {
    merge::DotRun dots;
    Bytes delta;
  };
  std::map<merge::Dot, Pending> pending_;
  std::optional<merge::Basis> shown_;
  merge::HybridClock clock_;
  Hlc latest_;  // the greatest clock of any operation here
};

// The run of dots a delta consists of. Errors: kMalformed when they are not one dense run of one epoch.
Result<merge::DotRun> dots_of(const merge::Delta& delta);

}  // namespace oas::documents
