#include "merge/align.h"

#include <algorithm>
#include <span>

#include "merge/lcs.h"
#include "merge/order.h"

namespace oas::merge {
namespace {

// How many removed elements of its slot an added one is compared with: a rename stands close to its old place.
constexpr std::uint32_t kSlotTries = 32;

void pair_up(Alignment& out, std::uint32_t base, std::uint32_t next) {
  out.base_of[next] = base;
  out.taken[base] = true;
}

struct Hashed {
  std::uint64_t hash;
  std::uint32_t index;
  friend auto operator<=>(const Hashed&, const Hashed&) = default;
};

void by_key(const std::vector<Value>& base, const std::vector<Value>& next, Alignment& out) {
  std::vector<Hashed> keys;
  keys.reserve(base.size());
  for (std::uint32_t i = 0; i < base.size(); ++i) {
    if (const Value* key = key_value(base[i], out.shape.key)) keys.push_back({key->hash(), i});
  }
  order(keys);
  for (std::uint32_t j = 0; j < next.size(); ++j) {
    const Value* key = key_value(next[j], out.shape.key);
    if (key == nullptr) continue;
    auto at = std::lower_bound(keys.begin(), keys.end(), Hashed{key->hash(), 0});
    for (; at != keys.end() && at->hash == key->hash(); ++at) {
      if (out.taken[at->index] || *key_value(base[at->index], out.shape.key) != *key) continue;
      pair_up(out, at->index, j);
      break;
    }
  }
}

// Equal values get equal labels, others different ones.
std::vector<std::uint32_t> labels_of(const std::vector<const Value*>& values) {
  std::vector<Hashed> hashes;
  hashes.reserve(values.size());
  for (std::uint32_t i = 0; i < values.size(); ++i) hashes.push_back({values[i]->hash(), i});
  order(hashes);
  std::vector<std::uint32_t> labels(values.size());
  for (std::size_t start = 0; start < hashes.size();) {
    std::size_t end = start;
    while (end < hashes.size() && hashes[end].hash == hashes[start].hash) ++end;
    for (std::size_t i = start; i < end; ++i) {
      // A label is the index of the first equal value; a hash shared by different values makes several labels.
      labels[hashes[i].index] = hashes[i].index;
      for (std::size_t j = start; j < i; ++j) {
        if (*values[hashes[j].index] != *values[hashes[i].index]) continue;
        labels[hashes[i].index] = labels[hashes[j].index];
        break;
      }
    }
    start = end;
  }
  return labels;
}

void by_value(const std::vector<Value>& base, const std::vector<Value>& next, Alignment& out) {
  std::vector<const Value*> values;
  std::vector<std::uint32_t> base_at;
  std::vector<std::uint32_t> next_at;
  for (std::uint32_t i = 0; i < base.size(); ++i) {
    if (out.taken[i]) continue;
    base_at.push_back(i);
    values.push_back(&base[i]);
  }
  for (std::uint32_t j = 0; j < next.size(); ++j) {
    if (out.base_of[j] != kUnmatched) continue;
    next_at.push_back(j);
    values.push_back(&next[j]);
  }
  const std::vector<std::uint32_t> labels = labels_of(values);
  const auto base_labels = std::span(labels).first(base_at.size());
  const auto next_labels = std::span(labels).subspan(base_at.size());
  for (const auto& [i, j] : longest_common(base_labels, next_labels)) pair_up(out, base_at[i], next_at[j]);
  // What is left over and equal has moved: the first of each to the first of each.
  struct Labelled {
    std::uint32_t label;
    std::uint32_t index;
  };
  std::vector<Labelled> left;
  for (std::uint32_t i = 0; i < base_at.size(); ++i) {
    if (!out.taken[base_at[i]]) left.push_back({base_labels[i], base_at[i]});
  }
  order(left, [](const Labelled& a, const Labelled& b) {
    return a.label != b.label ? a.label < b.label : a.index < b.index;
  });
  for (std::uint32_t j = 0; j < next_at.size(); ++j) {
    if (out.base_of[next_at[j]] != kUnmatched) continue;
    auto at = std::lower_bound(left.begin(), left.end(), next_labels[j],
                               [](const Labelled& one, std::uint32_t label) { return one.label < label; });
    while (at != left.end() && at->label == next_labels[j] && out.taken[at->index]) ++at;
    if (at != left.end() && at->label == next_labels[j]) pair_up(out, at->index, next_at[j]);
  }
}

// R16, slot by slot: between two neighbours that live on, in order, each removed element meets the added ones.
void by_similarity(const std::vector<Value>& base, const std::vector<Value>& next, Alignment& out) {
  std::uint32_t low = 0;  // the first base element of the slot
  for (std::uint32_t j = 0; j <= next.size();) {
    std::uint32_t end = j;
    while (end < next.size() && out.base_of[end] == kUnmatched) ++end;
    const auto high = end < next.size() ? out.base_of[end] : static_cast<std::uint32_t>(base.size());
    for (std::uint32_t added = j; added < end; ++added) {
      std::uint32_t tries = 0;
      for (std::uint32_t removed = low; removed < high && tries < kSlotTries; ++removed) {
        if (out.taken[removed]) continue;
        ++tries;
        if (!similar(base[removed], next[added])) continue;
        pair_up(out, removed, added);
        break;
      }
    }
    low = end < next.size() ? high + 1 : low;
    j = end + 1;
  }
}

}  // namespace

std::uint64_t shared_leaves(const Value& a, const Value& b) {
  if (a == b) return leaf_count(a);
  std::uint64_t shared = 0;
  if (a.is_object() && b.is_object()) {
    for (const Member& member : a.members()) {
      if (const Value* other = b.find(member.key)) shared += shared_leaves(member.value, *other);
    }
  } else if (a.is_array() && b.is_array()) {
    for (std::size_t i = 0; i < std::min(a.items().size(), b.items().size()); ++i)
      shared += shared_leaves(a.items()[i], b.items()[i]);
  }
  return shared;
}

bool similar(const Value& a, const Value& b) {
  if (a.kind() != b.kind() || !a.is_container()) return false;
  return 5 * shared_leaves(a, b) >= 3 * std::max(leaf_count(a), leaf_count(b));
}

Alignment align(const std::vector<Value>& base, const std::vector<Value>& next, std::string_view declared_key) {
  Alignment out{.base_of = std::vector<std::uint32_t>(next.size(), kUnmatched),
                .taken = std::vector<bool>(base.size(), false),
                .shape = shape_of(base.empty() ? next : base, declared_key)};
  if (base.empty()) return out;
  if (out.shape.kind == ListKind::kKeyed) by_key(base, next, out);
  by_value(base, next, out);
  by_similarity(base, next, out);
  const bool one_for_one = base.size() == 1 && next.size() == 1 && !out.taken[0];
  if (one_for_one) pair_up(out, 0, 0);
  return out;
}

}  // namespace oas::merge
