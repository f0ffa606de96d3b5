// The server's half of a document: whether an edit is taken, under which dots, and what the change order says of it.
#pragma once

#include <span>
#include <string_view>

#include "documents/change.h"
#include "documents/replica.h"

namespace oas::documents {

inline constexpr std::uint32_t kStateBytesMax = 1'000'000;  // of one document at the server
inline constexpr std::uint32_t kMendRunsMax =
    4'096;  // of dots that one offer brings back: about one for each page that edited

struct Judgement {
  bool changed = false;  // false: every dot is here already, with the same content
  Bytes change;  // for the change order, stamped; empty unless changed
  std::uint32_t operations = 0;  // of the edit
};

// An operation of an edit that is put on hold: its place in the order of dots, from 0, and why.
struct SetAside {
  std::uint32_t operation = 0;
  std::string_view why;
};

// Takes one edit into `document` under `stamp`. An edit whose dots are void or carry other content here (a cloned profile, a
// retried dead letter) is taken under dots derived from its bytes, so nothing is lost and a repetition is still known. That
// holds until a fold has passed the first one: events come exactly once, so repetitions are close. Errors, with `document`
// unspecified: as decode_delta; kMalformed when the edit brings stamps, voids or holds, is no dense run of one epoch, or
// claims to have seen changes that do not exist; kInvalidArgument for what is no operation of it; kLimit above
// kStateBytesMax; kStaleEdit (detail: the cut) when it may not have seen what is folded already. `acknowledged`: the change number up to
// which the writer's device has stored everything, and had when it made the edit.
Result<Judgement> judge(merge::Document& document, ByteView edit, const merge::Stamp& stamp,
                        std::uint64_t acknowledged = 0, std::span<const SetAside> aside = {});

// Takes operations back that a restored server has lost: `offered` is what some replica still has (lost_by), of any number of
// writers. What `document` knows by dot is left out, whatever it says here, so it does not matter who offers first, or whether the
// writer sends his edit again himself. Operations that `offered` has on hold stay on hold. Errors: kLimit above kMendRunsMax; otherwise
// as judge.
Result<Judgement> mend(merge::Document& document, ByteView offered, const merge::Stamp& stamp,
                       std::uint64_t acknowledged = 0, std::span<const SetAside> aside = {});

// What `before`, an accepted state, has and `now`, the state of a restored server, has lost: a delta for mend; empty when that is
// nothing. What changes up to `shared` brought is in both: the last one before their histories part.
[[nodiscard]] Bytes lost_by(const merge::Document& before, const merge::Document& now, std::uint64_t shared);

// What the change order says of a rejected edit: its dots will never come. Empty when the document knows one of them: then
// they are somebody's accepted work, and no rejection may take it away. Errors: as judge.
Result<Bytes> void_change(const merge::Document& document, ByteView edit);

}  // namespace oas::documents
