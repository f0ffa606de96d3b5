// Item-to-item weights from counts of shared visits, in two strengths: damped co-visits, and EASE^R (Steck, 2019), which
// is P = (X'X + lambda I)^-1, B = I - P diag(1 / diag P).
//
// Input is the co-visit matrix alone, so a server that counts events, or a device that counts its own, can recompute it
// at any time, and erasing a user is subtracting counts. Cubic in items: meant for up to about 4,000.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace oas::infer {

inline constexpr std::uint32_t kEaseItemsMax = 4'096;

// How often each pair of items was visited by the same user; the diagonal counts visitors.
class CoVisits {
 public:
  explicit CoVisits(std::uint32_t items) : items_(items), counts_(std::size_t{items} * items, 0) {}

  // One user's distinct items; repeats and unknown ids are ignored. `sign` -1 takes the user out again.
  void add(std::span<const std::uint32_t> visited, std::int32_t sign = 1);
  // The same, when `item` joins a history that was added before.
  void add_one(std::span<const std::uint32_t> before, std::uint32_t item);

  void set(std::uint32_t a, std::uint32_t b, std::int32_t count) {
    counts_[std::size_t{a} * items_ + b] = count;
    counts_[std::size_t{b} * items_ + a] = count;
  }
  [[nodiscard]] std::uint32_t items() const { return items_; }
  [[nodiscard]] std::int32_t pair(std::uint32_t a, std::uint32_t b) const {
    return counts_[std::size_t{a} * items_ + b];
  }
  [[nodiscard]] std::int32_t visitors(std::uint32_t item) const { return pair(item, item); }

 private:
  std::uint32_t items_;
  std::vector<std::int32_t> counts_;
};

// Row-major weights[from * items + to]; the diagonal is 0. kLimit above kEaseItemsMax, kInvalidArgument for lambda <= 0.
[[nodiscard]] Result<std::vector<float>> ease_weights(const CoVisits& counts, float lambda);

// Shared visits, damped by how common both items are: pair / (visitors(from)^from_power * visitors(to)^to_power).
// Works for any number of items, from the first visit on, and needs no recomputation.
struct CoVisitPowers {
  float from = 1.0f, to = 0.2f;
};
[[nodiscard]] float covisit_weight(const CoVisits& counts, std::uint32_t from, std::uint32_t to,
                                   const CoVisitPowers& powers);

// The strongest `top` weights of every row (largest size first, then lowest id), as 8 bits with one scale a row.
struct TopRows {
  std::uint32_t items = 0, top = 0;
  std::vector<std::uint16_t> ids;
  std::vector<std::int8_t> values;
  std::vector<float> scales;
};
[[nodiscard]] TopRows top_rows(const std::vector<float>& weights, std::uint32_t items, std::uint32_t top);

}  // namespace oas::infer
