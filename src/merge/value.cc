#include "merge/value.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"

namespace oas::merge {

struct Value::Rep {
  std::uint32_t references = 1;
  std::uint64_t hash = 0;  // 0: not computed yet
};
struct Value::TextRep : Rep {
  std::string text;
};
struct Value::ArrayRep : Rep {
  std::vector<Value> items;
  std::vector<Identity> identities;
  std::vector<Identity> derived;
};
struct Value::ObjectRep : Rep {
  std::vector<Member> members;
};

// Out of line: values are copied in hundreds of places, and a page loads each of them.
Value::Value(const Value& other) noexcept : kind_(other.kind_), bits_(other.bits_) {
  if (has_rep()) ++bits_.rep->references;
}

Value& Value::operator=(const Value& other) noexcept {
  Value copy(other);
  swap(copy);
  return *this;
}

Value::~Value() {
  if (has_rep()) release();
}

void Value::release() noexcept {
  if (--bits_.rep->references != 0) return;
  switch (kind_) {
    case Kind::kArray: delete static_cast<ArrayRep*>(bits_.rep); break;
    case Kind::kObject: delete static_cast<ObjectRep*>(bits_.rep); break;
    default: delete static_cast<TextRep*>(bits_.rep); break;
  }
}

Value Value::boolean(bool value) { return {Kind::kBool, {.integer = value ? 1 : 0}}; }
Value Value::integer(std::int64_t value) { return {Kind::kInteger, {.integer = value}}; }

Value Value::decimal(std::string canonical) {
  auto* rep = new TextRep;
  rep->text = std::move(canonical);
  return {Kind::kDecimal, {.rep = rep}};
}

Value Value::string(std::string text) {
  auto* rep = new TextRep;
  rep->text = std::move(text);
  return {Kind::kString, {.rep = rep}};
}

Value Value::array(std::vector<Value> items, std::vector<Identity> identities) {
  OAS_ASSERT(identities.empty() || identities.size() == items.size());
  auto* rep = new ArrayRep;
  rep->items = std::move(items);
  rep->identities = std::move(identities);
  return {Kind::kArray, {.rep = rep}};
}

Value Value::object(std::vector<Member> sorted_members) {
  auto* rep = new ObjectRep;
  rep->members = std::move(sorted_members);
  return {Kind::kObject, {.rep = rep}};
}

bool Value::as_bool() const {
  OAS_ASSERT(kind_ == Kind::kBool);
  return bits_.integer != 0;
}

std::int64_t Value::as_integer() const {
  OAS_ASSERT(kind_ == Kind::kInteger);
  return bits_.integer;
}

std::string_view Value::text() const {
  OAS_ASSERT(kind_ == Kind::kString || kind_ == Kind::kDecimal);
  return static_cast<const TextRep*>(bits_.rep)->text;
}

const std::vector<Value>& Value::items() const {
  OAS_ASSERT(is_array());
  return static_cast<const ArrayRep*>(bits_.rep)->items;
}

const std::vector<Identity>& Value::identities() const {
  OAS_ASSERT(is_array());
  return static_cast<const ArrayRep*>(bits_.rep)->identities;
}

std::vector<Identity>& Value::derived_identities() const {
  OAS_ASSERT(is_array());
  return static_cast<ArrayRep*>(bits_.rep)->derived;
}

const std::vector<Member>& Value::members() const {
  OAS_ASSERT(is_object());
  return static_cast<const ObjectRep*>(bits_.rep)->members;
}

const Value* Value::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  const auto& all = members();
  const auto at = std::lower_bound(all.begin(), all.end(), key,
                                   [](const Member& member, std::string_view wanted) { return member.key < wanted; });
  return at != all.end() && at->key == key ? &at->value : nullptr;
}

std::uint64_t Value::hash() const {
  std::uint64_t hash = hash_mix(0x6D65726765ULL, static_cast<std::uint64_t>(kind_));
  if (!has_rep()) return hash_mix(hash, static_cast<std::uint64_t>(bits_.integer));
  if (bits_.rep->hash != 0) return bits_.rep->hash;
  if (is_array()) {
    hash = hash_mix(hash, items().size());
    for (const Value& item : items()) hash = hash_mix(hash, item.hash());
  } else if (is_object()) {
    hash = hash_mix(hash, members().size());
    for (const Member& member : members()) hash = hash_mix(hash64(as_bytes(member.key), hash), member.value.hash());
  } else {
    hash = hash64(as_bytes(text()), hash);
  }
  bits_.rep->hash = hash == 0 ? 1 : hash;
  return bits_.rep->hash;
}

bool operator==(const Value& a, const Value& b) {
  if (a.kind_ != b.kind_) return false;
  if (!a.has_rep()) return a.bits_.integer == b.bits_.integer;
  if (a.bits_.rep == b.bits_.rep) return true;
  if (a.bits_.rep->hash != 0 && b.bits_.rep->hash != 0 && a.bits_.rep->hash != b.bits_.rep->hash) return false;
  if (a.is_array()) return a.items() == b.items();
  if (a.is_object()) return a.members() == b.members();
  return a.text() == b.text();
}

bool canonical_less(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return a.kind() < b.kind();
  switch (a.kind()) {
    case Value::Kind::kNull: return false;
    case Value::Kind::kBool: return a.as_bool() < b.as_bool();
    case Value::Kind::kInteger: return a.as_integer() < b.as_integer();
    case Value::Kind::kDecimal:
    case Value::Kind::kString: return a.text() < b.text();
    case Value::Kind::kArray:
      return std::lexicographical_compare(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(),
                                          canonical_less);
    case Value::Kind::kObject:
      return std::lexicographical_compare(a.members().begin(), a.members().end(), b.members().begin(),
                                          b.members().end(), [](const Member& x, const Member& y) {
                                            if (x.key != y.key) return x.key < y.key;
                                            return canonical_less(x.value, y.value);
                                          });
  }
  return false;
}

std::uint64_t leaf_count(const Value& value) {
  std::uint64_t count = 0;
  if (value.is_array()) {
    for (const Value& item : value.items()) count += leaf_count(item);
  } else if (value.is_object()) {
    for (const Member& member : value.members()) count += leaf_count(member.value);
  }
  return count == 0 ? 1 : count;
}

}  // namespace oas::merge
