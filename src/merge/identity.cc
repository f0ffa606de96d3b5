#include "merge/identity.h"

#include <algorithm>
#include <array>

#include "base/sim_points.h"
#include "merge/order.h"
#include "merge/path.h"
#include "merge/position.h"

namespace oas::merge {
namespace {

constexpr std::array<std::string_view, 4> kKeyNames{"id", "_id", "uuid", "key"};

bool all_distinct(std::vector<const Value*> values) {
  const auto by_hash = [](const Value* a, const Value* b) { return a->hash() < b->hash(); };
  order(values, by_hash);
  // Two different scalars with one hash count as equal here; the array is then merely a sequence.
  return std::adjacent_find(values.begin(), values.end(),
                            [](const Value* a, const Value* b) { return a->hash() == b->hash(); }) == values.end();
}

bool is_key(const std::vector<Value>& items, std::string_view name) {
  std::vector<const Value*> keys;
  keys.reserve(items.size());
  for (const Value& item : items) {
    const Value* key = key_value(item, name);
    if (key == nullptr) return false;
    keys.push_back(key);
  }
  return all_distinct(std::move(keys));
}

bool is_set(const std::vector<Value>& items) {
  std::vector<const Value*> scalars;
  scalars.reserve(items.size());
  for (const Value& item : items) {
    if (item.is_container()) return false;
    scalars.push_back(&item);
  }
  return all_distinct(std::move(scalars));
}

}  // namespace

const Value* key_value(const Value& element, std::string_view key) {
  const Value* value = element.find(key);
  if (value == nullptr || value->is_container() || value->kind() == Value::Kind::kNull) return nullptr;
  return value;
}

ListShape shape_of(const std::vector<Value>& items, std::string_view declared_key) {
  if (items.empty() || OAS_MUTANT(kMergeKeysIgnored)) return {};
  if (!declared_key.empty() && is_key(items, declared_key)) return {ListKind::kKeyed, std::string(declared_key)};
  if (items.front().is_object()) {
    for (const std::string_view name : kKeyNames) {
      if (is_key(items, name)) return {ListKind::kKeyed, std::string(name)};
    }
  }
  return {is_set(items) ? ListKind::kSet : ListKind::kSequence, {}};
}

std::vector<Identity> derive_identities(const std::vector<Value>& items, std::string_view declared_key) {
  const ListShape shape = shape_of(items, declared_key);
  std::vector<Identity> out(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) out[i].pos = literal_position(i, items.size());
  if (shape.kind == ListKind::kKeyed) {
    for (std::size_t i = 0; i < items.size(); ++i) out[i].id = key_step(*key_value(items[i], shape.key));
    return out;
  }
  if (shape.kind == ListKind::kSet) {
    for (std::size_t i = 0; i < items.size(); ++i) out[i].id = scalar_step(items[i]);
    return out;
  }
  struct Hashed {
    std::uint64_t hash;
    std::uint32_t index;
  };
  std::vector<Hashed> hashes;
  hashes.reserve(items.size());
  for (std::uint32_t i = 0; i < items.size(); ++i) hashes.push_back({items[i].hash(), i});
  order(hashes,
        [](const Hashed& x, const Hashed& y) { return x.hash != y.hash ? x.hash < y.hash : x.index < y.index; });
  std::uint64_t occurrence = 0;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    occurrence = i > 0 && hashes[i].hash == hashes[i - 1].hash ? occurrence + 1 : 0;
    out[hashes[i].index].id = content_step(hashes[i].hash, occurrence);
  }
  return out;
}

const std::vector<Identity>& identities_of(const Value& array, std::string_view declared_key,
                                           std::vector<Identity>& spare) {
  if (!array.identities().empty()) return array.identities();
  if (!declared_key.empty()) {
    spare = derive_identities(array.items(), declared_key);
    return spare;
  }
  auto& derived = array.derived_identities();
  if (derived.size() != array.items().size()) derived = derive_identities(array.items());
  return derived;
}

}  // namespace oas::merge
