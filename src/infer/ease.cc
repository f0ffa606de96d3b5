#include "infer/ease.h"

#include <algorithm>

#include "base/cold.h"
#include "infer/math.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

// Ascending, by marking: no order of visits may matter to the counts.
std::vector<std::uint32_t> distinct(std::span<const std::uint32_t> visited, std::uint32_t items) {
  std::vector<std::uint8_t> seen(items, 0);
  for (const std::uint32_t item : visited) {
    if (item < items) seen[item] = 1;
  }
  std::vector<std::uint32_t> out;
  for (std::uint32_t item = 0; item < items; ++item) {
    if (seen[item] != 0) out.push_back(item);
  }
  return out;
}

// Inverse of a symmetric positive definite matrix, in place, by Gauss-Jordan without pivoting: the diagonal of such a
// matrix stays positive. Rows are independent inside one step, so the order of operations is fixed.
void invert(std::vector<double>& a, std::uint32_t n) {
  for (std::uint32_t k = 0; k < n; ++k) {
    double* pivot_row = a.data() + std::size_t{k} * n;
    const double inverse = 1.0 / pivot_row[k];
    pivot_row[k] = 1.0;
    for (std::uint32_t j = 0; j < n; ++j) pivot_row[j] *= inverse;
    for (std::uint32_t i = 0; i < n; ++i) {
      if (i == k) continue;
      double* row = a.data() + std::size_t{i} * n;
      const double factor = row[k];
      if (factor == 0.0) continue;
      row[k] = 0.0;
      for (std::uint32_t j = 0; j < n; ++j) row[j] -= factor * pivot_row[j];
    }
  }
}

float magnitude(float v) { return v < 0.0f ? -v : v; }

}  // namespace

void CoVisits::add(std::span<const std::uint32_t> visited, std::int32_t sign) {
  const std::vector<std::uint32_t> set = distinct(visited, items_);
  for (const std::uint32_t a : set) {
    for (const std::uint32_t b : set) counts_[std::size_t{a} * items_ + b] += sign;
  }
}

void CoVisits::add_one(std::span<const std::uint32_t> before, std::uint32_t item) {
  if (item >= items_ || std::find(before.begin(), before.end(), item) != before.end()) return;
  for (const std::uint32_t other : distinct(before, items_)) {
    ++counts_[std::size_t{item} * items_ + other];
    ++counts_[std::size_t{other} * items_ + item];
  }
  ++counts_[std::size_t{item} * items_ + item];
}

Result<std::vector<float>> ease_weights(const CoVisits& counts, float lambda) {
  const std::uint32_t n = counts.items();
  if (n > kEaseItemsMax) return fail(ErrorCode::kLimit, kEaseItemsMax);
  if (!(lambda > 0.0f)) return fail(ErrorCode::kInvalidArgument);
  std::vector<double> p(std::size_t{n} * n);
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::uint32_t j = 0; j < n; ++j) p[std::size_t{i} * n + j] = static_cast<double>(counts.pair(i, j));
    p[std::size_t{i} * n + i] += static_cast<double>(lambda);
  }
  invert(p, n);
  std::vector<float> out(std::size_t{n} * n, 0.0f);
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::uint32_t j = 0; j < n; ++j) {
      if (i != j)
        out[std::size_t{i} * n + j] = static_cast<float>(-p[std::size_t{i} * n + j] / p[std::size_t{j} * n + j]);
    }
  }
  return out;
}

float covisit_weight(const CoVisits& counts, std::uint32_t from, std::uint32_t to, const CoVisitPowers& powers) {
  const std::int32_t shared = counts.pair(from, to);
  if (from == to || shared <= 0) return 0.0f;
  const float log_size = powers.from * log_f(static_cast<float>(counts.visitors(from))) +
                         powers.to * log_f(static_cast<float>(counts.visitors(to)));
  return static_cast<float>(shared) * exp_f(-log_size);
}

TopRows top_rows(const std::vector<float>& weights, std::uint32_t items, std::uint32_t top) {
  top = std::min(top, items);
  TopRows out{.items = items, .top = top, .ids = {}, .values = {}, .scales = {}};
  std::vector<std::uint32_t> order(items);
  for (std::uint32_t i = 0; i < items; ++i) {
    const float* row = weights.data() + std::size_t{i} * items;
    for (std::uint32_t j = 0; j < items; ++j) order[j] = j;
    std::partial_sort(order.begin(), order.begin() + top, order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return magnitude(row[a]) != magnitude(row[b]) ? magnitude(row[a]) > magnitude(row[b]) : a < b;
    });
    const float scale = top > 0 ? magnitude(row[order[0]]) / 127.0f : 0.0f;
    out.scales.push_back(scale);
    for (std::uint32_t k = 0; k < top; ++k) {
      const float scaled = scale > 0.0f ? row[order[k]] / scale : 0.0f;
      out.ids.push_back(static_cast<std::uint16_t>(order[k]));
      out.values.push_back(static_cast<std::int8_t>(scaled + (scaled < 0.0f ? -0.5f : 0.5f)));
    }
  }
  return out;
}

}  // namespace oas::infer

OAS_COLD_END
