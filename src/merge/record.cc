#include "merge/record.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "merge/codec.h"
#include "merge/json.h"
#include "merge/order.h"

namespace oas::merge {
namespace {

constexpr std::array<std::string_view, 12> kKinds{"scalar", "add-add", "delete-edit", "replace-edit",    "kind",
                                                  "order",  "reset",   "text",        "replace-replace", "similar",
                                                  "rename", "held"};
constexpr std::array<std::string_view, 4> kClasses{"lossless", "lossy", "manual", "failed"};
constexpr std::array<std::string_view, kOpKinds> kOps{"assign", "create", "insert", "delete", "move", "add"};
constexpr std::array<std::string_view, 14> kRules{"lww",         "server-wins", "local-wins", "max",    "min",
                                                  "token merge", "delete wins", "edit wins",  "manual", "function",
                                                  "count-late",  "forced",      "both kept",  "held"};
// Row of the rule table by kind, where the rule does not say it better.
constexpr std::array<std::string_view, 12> kRows{"R03", "R07", "R04", "R10", "R08", "R15",
                                                 "R20", "R25", "R30", "R31", "R32", "R28"};

template <class Enum, std::size_t size>
std::string_view named(const std::array<std::string_view, size>& names, Enum value) {
  return names[static_cast<std::size_t>(value)];
}

std::string hex(std::uint64_t value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) out[i] = kHex[value & 15];
  return out;
}

Value text(std::string_view words) { return Value::string(std::string(words)); }
Value number(std::uint64_t value) { return Value::integer(static_cast<std::int64_t>(value)); }

void member(std::string& out, std::string_view key, const Value& value) {
  if (out.back() != '{') out.push_back(',');
  out.append(1, '"').append(key).append("\":");
  print_json(value, out);
}

std::string sibling_json(const Sibling& sibling) {
  std::string out = "{";
  if (sibling.value) member(out, "value", *sibling.value);
  member(out, "op", text(named(kOps, sibling.op)));
  member(out, "epoch", text(hex(sibling.dot.epoch.value)));
  member(out, "n", number(sibling.dot.n));
  member(out, "hlc", text(hex(sibling.hlc.value)));
  member(out, "hlcEffective", text(hex(effective_hlc(sibling.hlc, sibling.stamp).value)));
  if (sibling.stamp.change != 0) member(out, "change", number(sibling.stamp.change));
  return out + "}";
}

}  // namespace

std::string_view name_of(ConflictKind kind) { return named(kKinds, kind); }
std::string_view name_of(ConflictClass cls) { return named(kClasses, cls); }

void seal(Record& record) {
  auto& siblings = record.siblings;
  std::vector<Sibling> sorted;
  for (const std::uint32_t i :
       order_of(siblings.size(), [&](std::uint32_t a, std::uint32_t b) { return siblings[a].dot < siblings[b].dot; })) {
    if (sorted.empty() || sorted.back().dot != siblings[i].dot) sorted.push_back(std::move(siblings[i]));
  }
  siblings = std::move(sorted);
  Bytes bytes;
  wire::Writer out(bytes);
  for (const Step& step : record.path) out.text(step);
  out.u8(static_cast<std::uint8_t>(record.kind));
  record.provisional = false;
  record.at = {};
  for (const Sibling& sibling : siblings) {
    out.u64(sibling.dot.epoch.value);
    out.varint(sibling.dot.n);
    record.at = std::max(record.at, effective_hlc(sibling.hlc, sibling.stamp));
    record.provisional = record.provisional || sibling.stamp.change == 0;
  }
  record.id = hex(hash64(bytes)) + hex(hash64(bytes, 1));
}

std::string reason_of(const Record& record) {
  if (record.rule == Rule::kHeld) return record.policy;
  std::string out(named(kRows, record.kind));
  if (record.rule == Rule::kTokenMerge) out = "R25";
  if (record.rule == Rule::kMax || record.rule == Rule::kMin) out = "R27";
  if (record.kind == ConflictKind::kDeleteEdit && record.path.empty()) out = "R05";
  if (record.kind == ConflictKind::kDeleteEdit && !record.path.empty() && !is_field(record.path.back())) out = "R13";
  out.append(1, ' ').append(named(kRules, record.rule));
  if (record.rule == Rule::kLww) {
    if (record.margin_ms == 0) return out + ": same time, by id";
    out +=
        ": " + std::to_string(record.margin_ms / 1000) + "." + std::to_string(record.margin_ms / 100 % 10) + " s later";
  }
  return out;
}

std::string record_json(const Record& record, std::string_view doc) {
  std::string out = "{";
  member(out, "id", text(record.id));
  if (!doc.empty()) member(out, "doc", text(doc));
  member(out, "path", text(pointer_of(record.path)));
  member(out, "kind", text(name_of(record.kind)));
  member(out, "class", text(name_of(record.cls)));
  if (record.base) member(out, "base", *record.base);
  out += ",\"siblings\":[";
  for (std::size_t i = 0; i < record.siblings.size(); ++i) {
    if (i > 0) out.push_back(',');
    out += sibling_json(record.siblings[i]);
  }
  out += "]";
  if (record.winner) member(out, "winner", *record.winner);
  member(out, "rule", text(reason_of(record)));
  member(out, "policySource", text(record.policy));
  member(out, "lossless", Value::boolean(record.cls == ConflictClass::kLossless));
  member(out, "provisional", Value::boolean(record.provisional));
  member(out, "at", text(hex(record.at.value)));
  return out + "}";
}

}  // namespace oas::merge
