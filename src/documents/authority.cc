#include "documents/authority.h"

#include <algorithm>

#include "base/cold.h"
#include "base/hash.h"
#include "base/sim_points.h"
#include "merge/limits.h"

namespace oas::documents {
namespace {

using merge::Delta;
using merge::Document;
using merge::PlacedOp;

Result<Delta> read_edit(ByteView bytes) {
  OAS_TRY(Delta delta, merge::decode_delta(bytes));
  if (!delta.stamps.empty() || !delta.voids.empty() || !delta.holds.empty()) return fail(ErrorCode::kMalformed);
  return delta;
}

bool same(const PlacedOp& a, const merge::Path& path, const merge::Op& op) {
  return a.op.dot == op.dot && a.op.kind == op.kind && a.op.value == op.value && a.op.pos == op.pos && a.path == path;
}

// How many of the edit's operations are in the document, exactly as they are.
std::size_t present(const Document& document, const Delta& delta) {
  std::size_t count = 0;
  document.state().for_each_op([&](const merge::Path& path, const merge::Op& op) {
    count += static_cast<std::size_t>(
        std::count_if(delta.ops.begin(), delta.ops.end(), [&](const PlacedOp& one) { return same(one, path, op); }));
  });
  return count;
}

Epoch derived(ByteView edit) { return {std::max<std::uint64_t>(hash64(edit), 1)}; }

void rename(Delta& delta, ByteView edit) {
  const Epoch epoch = derived(edit);
  for (PlacedOp& placed : delta.ops) placed.op.dot.epoch = epoch;
}

OAS_COLD_BEGIN

// The operations of `delta`, which are these runs, by their place in the order of dots.
Result<void> set_aside(Delta& delta, std::span<const merge::DotRun> runs, std::span<const SetAside> aside) {
  std::uint64_t before = 0;  // operations of the runs before this one
  auto run = runs.begin();
  std::uint64_t next = 0;
  for (const SetAside& one : aside) {
    if (one.operation < next || one.operation >= delta.ops.size() || one.why.size() > merge::kReasonBytesMax)
      return fail(ErrorCode::kInvalidArgument, one.operation);
    next = std::uint64_t{one.operation} + 1;
    for (; one.operation - before > run->last - run->first; ++run) before += run->last - run->first + 1;
    merge::add_hold(delta.holds, {{run->epoch, run->first + (one.operation - before)}, std::string(one.why)});
  }
  return {};
}

OAS_COLD_END

// What is folded has no operations left that an edit could stand beside: a write that had not seen it would take its place.
// Least of all may one that takes the document for new, whatever else its device has stored.
bool is_stale(const merge::Version& context, std::uint64_t cut, std::uint64_t acknowledged) {
  if (OAS_MUTANT(kDocStaleTaken)) return false;
  return (context.empty() ? 0 : std::max(context.seen, acknowledged)) < cut;
}

bool any_known(const Document& document, const Delta& delta) {
  return std::any_of(delta.ops.begin(), delta.ops.end(),
                     [&](const PlacedOp& placed) { return document.version().contains(placed.op.dot); });
}

// Whether its writer may have known what it says he knew.
Result<void> check_contexts(const Delta& delta, std::uint64_t cut, const merge::Stamp& stamp,
                            std::uint64_t acknowledged) {
  for (const PlacedOp& placed : delta.ops) {
    const merge::Version& context = placed.op.cause->context;
    if (context.seen >= stamp.change) return fail(ErrorCode::kMalformed, stamp.change);
    if (is_stale(context, cut, acknowledged)) return fail(ErrorCode::kStaleEdit, cut);
  }
  return {};
}

Result<Judgement> take(Document& document, Delta delta, std::span<const merge::DotRun> runs, const merge::Stamp& stamp,
                       std::span<const SetAside> aside) {
  for (const merge::DotRun& run : runs) delta.stamps.push_back({run, stamp});
  OAS_CHECK(set_aside(delta, runs, aside));
  Judgement judgement{true, encode_change(delta), static_cast<std::uint32_t>(delta.ops.size())};
  OAS_CHECK(document.apply(std::move(delta)));
  if (document.bytes().size() > kStateBytesMax) return fail(ErrorCode::kLimit, kStateBytesMax);
  return judgement;
}

}  // namespace

Result<Judgement> judge(Document& document, ByteView edit, const merge::Stamp& stamp, std::uint64_t acknowledged,
                        std::span<const SetAside> aside) {
  OAS_TRY(Delta delta, read_edit(edit));
  OAS_TRY(merge::DotRun dots, dots_of(delta));
  OAS_CHECK(check_contexts(delta, document.state().cut(), stamp, acknowledged));
  if (any_known(document, delta)) {
    if (present(document, delta) == delta.ops.size()) return Judgement{};
    rename(delta, edit);
    if (present(document, delta) == delta.ops.size()) return Judgement{};
    OAS_TRY(dots, dots_of(delta));
  } else if (document.version().contains({derived(edit), dots.first})) {
    return Judgement{};  // a replica has given it back as it was taken before a restore
  }
  return take(document, std::move(delta), {&dots, 1}, stamp, aside);
}

OAS_COLD_BEGIN

Result<Judgement> mend(Document& document, ByteView offered, const merge::Stamp& stamp, std::uint64_t acknowledged,
                       std::span<const SetAside> aside) {
  OAS_TRY(Delta delta, merge::decode_delta(offered));
  if (!delta.stamps.empty() || !delta.voids.empty()) return fail(ErrorCode::kMalformed);
  std::erase_if(delta.ops, [&](const PlacedOp& placed) { return document.version().contains(placed.op.dot); });
  if (delta.ops.empty()) return Judgement{};
  OAS_CHECK(check_contexts(delta, document.state().cut(), stamp, acknowledged));
  merge::Version dots;
  for (const PlacedOp& placed : delta.ops) {
    dots.add(placed.op.dot);
    if (dots.runs().size() > kMendRunsMax) return fail(ErrorCode::kLimit, kMendRunsMax);
  }
  std::erase_if(delta.holds, [&](const merge::Hold& hold) { return !dots.contains(hold.dot); });
  return take(document, std::move(delta), dots.runs(), stamp, aside);
}

Bytes lost_by(const Document& before, const Document& now, std::uint64_t shared) {
  Delta delta = before.since(now.version());
  merge::Version lost;
  std::erase_if(delta.ops, [&](const PlacedOp& placed) {
    const std::uint64_t change = before.state().stamp_of(placed.op.dot).change;
    if (change != 0 && change <= shared) return true;
    lost.add(placed.op.dot);
    return false;
  });
  if (delta.ops.empty()) return {};
  delta.stamps.clear();
  delta.voids = {};
  std::erase_if(delta.holds, [&](const merge::Hold& hold) { return !lost.contains(hold.dot); });
  return encode_delta(delta);
}

OAS_COLD_END

Result<Bytes> void_change(const Document& document, ByteView edit) {
  OAS_TRY(const Delta delta, read_edit(edit));
  if (any_known(document, delta)) return Bytes{};
  OAS_TRY(const merge::DotRun dots, dots_of(delta));
  return encode_change(merge::voiding(dots));
}

}  // namespace oas::documents
