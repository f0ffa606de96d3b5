// Sorting as one function for all types, because each instance of std::sort is 2 kB that a page has to load.
//
// Merge sort over plain bytes: stable, O(n log n), O(n) when the items come sorted. `less` needs to be no total order, but
// callers give one, so that equal input is equal output everywhere.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

namespace oas::merge {

using LessBytes = bool (*)(const void* context, const void* a, const void* b);

// `size`: bytes of one item.
void order_bytes(void* items, std::uint32_t count, std::uint32_t size, LessBytes less, const void* context);

template <class Item, class Less>
void order(std::vector<Item>& items, const Less& less) {
  static_assert(std::is_trivially_copyable_v<Item>, "order pointers or indices instead");
  order_bytes(
      items.data(), static_cast<std::uint32_t>(items.size()), sizeof(Item),
      [](const void* context, const void* a, const void* b) {
        return (*static_cast<const Less*>(context))(*static_cast<const Item*>(a), *static_cast<const Item*>(b));
      },
      &less);
}

template <class Item>
void order(std::vector<Item>& items) {
  order(items, [](const Item& a, const Item& b) { return a < b; });
}

// The order in which `count` things stand, by index; for things that are not plain bytes.
template <class Less>
[[nodiscard]] std::vector<std::uint32_t> order_of(std::size_t count, const Less& less) {
  std::vector<std::uint32_t> indices(count);
  for (std::uint32_t i = 0; i < indices.size(); ++i) indices[i] = i;
  order(indices, less);
  return indices;
}

}  // namespace oas::merge
