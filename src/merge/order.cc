#include "merge/order.h"

#include <cstring>

namespace oas::merge {

void order_bytes(void* items, std::uint32_t count, std::uint32_t size, LessBytes less, const void* context) {
  auto* from = static_cast<std::uint8_t*>(items);
  const auto at = [size](std::uint8_t* list, std::uint32_t index) { return list + std::size_t{index} * size; };
  std::uint32_t sorted = 1;
  while (sorted < count && !less(context, at(from, sorted), at(from, sorted - 1))) ++sorted;
  if (sorted >= count) return;
  std::vector<std::uint8_t> spare(std::size_t{count} * size);
  std::uint8_t* to = spare.data();
  for (std::uint32_t width = 1; width < count; width *= 2) {
    for (std::uint32_t start = 0; start < count; start += 2 * width) {
      const std::uint32_t middle = start + width < count ? start + width : count;
      const std::uint32_t end = middle + width < count ? middle + width : count;
      std::uint32_t left = start;
      std::uint32_t right = middle;
      for (std::uint32_t i = start; i < end; ++i) {
        const bool take_right = left == middle || (right < end && less(context, at(from, right), at(from, left)));
        std::memcpy(at(to, i), at(from, take_right ? right++ : left++), size);
      }
    }
    std::swap(from, to);
  }
  if (from != items) std::memcpy(items, from, std::size_t{count} * size);
}

}  // namespace oas::merge
