// Which element of a list is which: derived from the content alone, so every replica agrees without a word.
//
// An array whose elements are objects that all hold a unique scalar `id`, `_id`, `uuid` or `key` (the first of these that
// fits) is a keyed list; one of distinct scalars is an ordered set; in any other array an element is known by its content
// and its count among equals. A schema may name another key field. An element keeps the identity it was born with when
// its content changes; then the array carries identities explicitly (value.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merge/value.h"

namespace oas::merge {

enum class ListKind : std::uint8_t { kKeyed, kSet, kSequence };

struct ListShape {
  ListKind kind = ListKind::kSequence;
  std::string key;  // of a keyed list
};

// O(n log n). `declared_key` (may be empty) is tried before the usual names.
[[nodiscard]] ListShape shape_of(const std::vector<Value>& items, std::string_view declared_key = {});

// The identities an array has by its content alone; as many as items, ids distinct, positions ascending.
[[nodiscard]] std::vector<Identity> derive_identities(const std::vector<Value>& items,
                                                      std::string_view declared_key = {});

// Explicit identities where the array has them, derived ones otherwise. Those without a declared key are derived once for
// each array; with one they come in `spare`.
[[nodiscard]] const std::vector<Identity>& identities_of(const Value& array, std::string_view declared_key,
                                                         std::vector<Identity>& spare);

// The key scalar of an element under `key`, or null.
[[nodiscard]] const Value* key_value(const Value& element, std::string_view key);

}  // namespace oas::merge
