#include "merge/document.h"

#include <algorithm>

#include "merge/changes.h"
#include "merge/codec.h"
#include "merge/identity.h"
#include "merge/limits.h"
#include "merge/position.h"
#include "merge/value_at.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::merge {

Result<Document> Document::open(ByteView state) {
  Document document;
  OAS_TRY(document.state_, decode_state(state));
  return document;
}

Result<void> Document::apply(ByteView delta) {
  OAS_TRY(Delta decoded, decode_delta(delta));
  return state_.join(std::move(decoded));
}

Result<void> Document::merge(const Document& other) {
  const bool same_start = other.state_.cut() == state_.cut() && other.state_.snapshot() == state_.snapshot();
  if (!same_start) return fail(ErrorCode::kMalformed);
  return state_.join(other.state_.since(state_.version()));
}

std::uint64_t Document::compact(std::uint64_t cut, const Rules& rules, const ShowOptions& options) {
  cut = state_.foldable(cut);
  // What a person has to decide is still needed, and so is all that came after it.
  ShowOptions with_records = options;
  with_records.with_records = true;
  for (const Record& record : show(state_, rules, with_records).records) {
    if (record.cls != ConflictClass::kManual && record.cls != ConflictClass::kFailed) continue;
    for (const Sibling& sibling : record.siblings) {
      if (sibling.stamp.change != 0) cut = std::min(cut, sibling.stamp.change - 1);
    }
  }
  cut = state_.foldable(cut);
  if (cut <= state_.cut()) return state_.cut();
  ShowOptions silent = options;
  silent.with_records = false;
  state_.fold(cut, show(state_.until(cut), rules, silent).value);
  return cut;
}

std::string Document::position_of(const Path& path) const {
  const Node* node = &state_.root();
  for (const Step& step : path) node = node == nullptr ? nullptr : node->child(step);
  if (node != nullptr) {
    for (auto op = node->ops.rbegin(); op != node->ops.rend(); ++op) {
      if (op->places()) return op->pos;
    }
  }
  Path parent = path;
  parent.pop_back();
  if (const Value* list = value_at(state_.snapshot(), parent, {}); list != nullptr && list->is_array()) {
    std::vector<Identity> spare;
    for (const Identity& identity : identities_of(*list, {}, spare)) {
      if (identity.id == path.back()) return identity.pos;
    }
  }
  return literal_position(0, 1);
}

Result<Delta> Document::resolve(const Shown& shown, std::string_view record_id, const MaybeValue& value,
                                const Author& author) const {
  const auto record =
      std::find_if(shown.records.begin(), shown.records.end(), [&](const Record& one) { return one.id == record_id; });
  if (record == shown.records.end()) return fail(ErrorCode::kMalformed);
  Changes out(shown.version, author);
  const Path& path = record->path;
  const bool element = !path.empty() && !is_field(path.back());
  if (record->kind == ConflictKind::kOrder && value) {
    if (!value->is_string() || !is_position(value->text())) return fail(ErrorCode::kMalformed);
    out.move(path, std::string(value->text()));
  } else if (!value) {
    out.remove(path);
  } else if (value_at(shown.value, path, {}) != nullptr) {
    out.assign(path, *value);
  } else if (element) {
    out.insert(path, *value, position_of(path));
  } else {
    out.create(path, *value);
  }
  return out.take();
}

Bytes encode_basis(const Basis& basis) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u8(basis.value ? 1 : 0);
  if (basis.value) write_value(out, *basis.value);
  out.varint(basis.version.seen);
  out.varint(basis.version.runs().size());
  for (const DotRun& run : basis.version.runs()) {
    out.u64(run.epoch.value);
    out.varint(run.first);
    out.varint(run.last - run.first);
  }
  return bytes;
}

Result<Basis> decode_basis(ByteView bytes) {
  wire::Reader in(bytes);
  Basis basis;
  OAS_TRY(const std::uint8_t exists, in.u8());
  if (exists > 1) return fail(ErrorCode::kMalformed);
  if (exists == 1) {
    OAS_TRY(basis.value, read_value(in));
  }
  OAS_TRY(basis.version.seen, in.varint());
  OAS_TRY(const std::uint32_t runs, in.count(kOperationsMax));
  for (std::uint32_t i = 0; i < runs; ++i) {
    OAS_TRY(const std::uint64_t epoch, in.u64());
    OAS_TRY(const std::uint64_t first, in.varint());
    OAS_TRY(const std::uint64_t more, in.varint());
    constexpr std::uint64_t kMax = std::uint64_t{1} << 53;
    if (first == 0 || first > kMax || more > kMax) return fail(ErrorCode::kMalformed, in.offset());
    const DotRun run{{epoch}, first, first + more};
    if (i > 0 && run <= basis.version.runs().back()) return fail(ErrorCode::kMalformed, in.offset());
    basis.version.add(run);
  }
  OAS_CHECK(in.end());
  return basis;
}

Delta stamping(const DotRun& dots, const Stamp& stamp) {
  Delta delta;
  delta.stamps.push_back({dots, stamp});
  return delta;
}

Delta voiding(const DotRun& dots) {
  Delta delta;
  delta.voids.add(dots);
  return delta;
}

}  // namespace oas::merge
