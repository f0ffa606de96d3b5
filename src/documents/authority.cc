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

void rename(Delta& delta, ByteView bytes) {
  const Epoch derived{std::max<std::uint64_t>(hash64(bytes), 1)};
  for (PlacedOp& placed : delta.ops) placed.op.dot.epoch = derived;
}

OAS_COLD_BEGIN

// The operations of `delta`, which are one dense run, by their place in it.
Result<void> set_aside(Delta& delta, const merge::DotRun& dots, std::span<const SetAside> aside) {
  for (const SetAside& one : aside) {
    if (one.operation >= delta.ops.size() || one.why.size() > merge::kReasonBytesMax)
      return fail(ErrorCode::kInvalidArgument, one.operation);
    if (!delta.holds.empty() && delta.holds.back().dot.n >= dots.first + one.operation)
      return fail(ErrorCode::kInvalidArgument, one.operation);
    delta.holds.push_back({{dots.epoch, dots.first + one.operation}, std::string(one.why)});
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

}  // namespace

Result<Judgement> judge(Document& document, ByteView edit, const merge::Stamp& stamp, std::uint64_t acknowledged,
                        std::span<const SetAside> aside) {
  OAS_TRY(Delta delta, read_edit(edit));
  OAS_TRY(merge::DotRun dots, dots_of(delta));
  const std::uint64_t cut = document.state().cut();
  for (const PlacedOp& placed : delta.ops) {
    const merge::Version& context = placed.op.cause->context;
    if (context.seen >= stamp.change) return fail(ErrorCode::kMalformed, stamp.change);
    if (is_stale(context, cut, acknowledged)) return fail(ErrorCode::kStaleEdit, cut);
  }
  if (any_known(document, delta)) {
    if (present(document, delta) == delta.ops.size()) return Judgement{};
    rename(delta, edit);
    if (present(document, delta) == delta.ops.size()) return Judgement{};
    OAS_TRY(dots, dots_of(delta));
  }
  delta.stamps.push_back({dots, stamp});
  OAS_CHECK(set_aside(delta, dots, aside));
  Judgement judgement{true, encode_change(delta), static_cast<std::uint32_t>(delta.ops.size())};
  OAS_CHECK(document.apply(std::move(delta)));
  if (document.bytes().size() > kStateBytesMax) return fail(ErrorCode::kLimit, kStateBytesMax);
  return judgement;
}

Result<Bytes> void_change(const Document& document, ByteView edit) {
  OAS_TRY(const Delta delta, read_edit(edit));
  if (any_known(document, delta)) return Bytes{};
  OAS_TRY(const merge::DotRun dots, dots_of(delta));
  return encode_change(merge::voiding(dots));
}

}  // namespace oas::documents
