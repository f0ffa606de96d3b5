#include "documents/authority.h"

#include <algorithm>

#include "base/hash.h"

namespace oas::documents {
namespace {

using merge::Delta;
using merge::Document;
using merge::PlacedOp;

Result<Delta> read_edit(ByteView bytes) {
  OAS_TRY(Delta delta, merge::decode_delta(bytes));
  if (!delta.stamps.empty() || !delta.voids.empty()) return fail(ErrorCode::kMalformed);
  return delta;
}

bool same(const PlacedOp& a, const merge::Path& path, const merge::Op& op) {
  return a.op.dot == op.dot && a.op.kind == op.kind && a.op.value == op.value && a.op.pos == op.pos && a.path == path;
}

// How many of the edit's operations are in the document, exactly as they are.
std::size_t held(const Document& document, const Delta& delta) {
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

// What is folded has no operations left that an edit could stand beside: a write that had not seen it would take its place.
// Least of all may one that takes the document for new, whatever else its device has stored.
bool is_stale(const merge::Version& context, std::uint64_t cut, std::uint64_t acknowledged) {
  return (context.empty() ? 0 : std::max(context.seen, acknowledged)) < cut;
}

bool any_known(const Document& document, const Delta& delta) {
  return std::any_of(delta.ops.begin(), delta.ops.end(),
                     [&](const PlacedOp& placed) { return document.version().contains(placed.op.dot); });
}

}  // namespace

Result<Judgement> judge(Document& document, ByteView edit, const merge::Stamp& stamp, std::uint64_t acknowledged) {
  OAS_TRY(Delta delta, read_edit(edit));
  OAS_TRY(merge::DotRun dots, dots_of(delta));
  const std::uint64_t cut = document.state().cut();
  for (const PlacedOp& placed : delta.ops) {
    const merge::Version& context = placed.op.cause->context;
    if (context.seen >= stamp.change) return fail(ErrorCode::kMalformed, stamp.change);
    if (is_stale(context, cut, acknowledged)) return fail(ErrorCode::kStaleEdit, cut);
  }
  if (any_known(document, delta)) {
    if (held(document, delta) == delta.ops.size()) return Judgement{};
    rename(delta, edit);
    if (held(document, delta) == delta.ops.size()) return Judgement{};
    OAS_TRY(dots, dots_of(delta));
  }
  delta.stamps.push_back({dots, stamp});
  Judgement judgement{true, encode_change(delta)};
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
