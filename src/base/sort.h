// Sorting for lists of a few thousand at most: heapsort, one small loop per type where std::sort unrolls 2 kB of code.
//
// O(n log n) always, no allocation, not stable: give it a total order. For the page's build, where bytes count.
#pragma once

#include <cstddef>
#include <utility>

namespace oas {

template <class Item, class Less>
void sort_heap(Item* items, std::size_t count, Less less) {
  const auto sift = [&](std::size_t root, std::size_t end) {
    for (std::size_t child = 0; (child = 2 * root + 1) < end; root = child) {
      if (child + 1 < end && less(items[child], items[child + 1])) ++child;
      if (!less(items[root], items[child])) return;
      std::swap(items[root], items[child]);
    }
  };
  for (std::size_t i = count / 2; i-- > 0;) sift(i, count);
  for (std::size_t end = count; end-- > 1;) {
    std::swap(items[0], items[end]);
    sift(0, end);
  }
}

template <class List, class Less>
void sort_list(List& list, Less less) {
  sort_heap(list.data(), list.size(), less);
}

}  // namespace oas
