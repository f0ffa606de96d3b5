#include "infer/recommend.h"

#include <algorithm>

#include "base/cold.h"
#include "infer/sticky.h"
#include "wire/writer.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint32_t kCountMax = 1'000'000'000;

}  // namespace

std::vector<float> Recommender::scores(std::span<const std::uint32_t> history, const RecommendOptions& options) const {
  const std::uint32_t items = counts_.items();
  std::vector<float> out(items, 0.0f);
  float weight = 1.0f;
  for (std::size_t h = history.size(); h-- > 0; weight *= options.decay) {
    if (history[h] >= items) continue;
    for (std::uint32_t j = 0; j < items; ++j) out[j] += weight * covisit_weight(counts_, history[h], j, options.powers);
  }
  // Popularity decides between items nobody saw together with the history; far below any shared visit.
  std::int32_t most = 1;
  for (std::uint32_t j = 0; j < items; ++j) most = std::max(most, counts_.visitors(j));
  for (std::uint32_t j = 0; j < items; ++j)
    out[j] += 1e-6f * static_cast<float>(counts_.visitors(j)) / static_cast<float>(most);
  return out;
}

std::vector<Recommendation> Recommender::recommend(std::span<const std::uint32_t> history,
                                                   std::span<const std::uint32_t> excluded,
                                                   const RecommendOptions& options) const {
  std::vector<float> score = scores(history, options);
  std::vector<bool> barred(score.size(), false);
  for (const auto& list : {history, excluded}) {
    for (const std::uint32_t item : list) {
      if (item < barred.size()) barred[item] = true;
    }
  }
  std::vector<Recommendation> out;
  while (out.size() < options.top) {
    std::uint32_t best = 0;
    bool found = false;
    for (std::uint32_t j = 0; j < score.size(); ++j) {
      if (!barred[j] && (!found || score[j] > score[best])) {
        best = j;
        found = true;
      }
    }
    if (!found) break;
    out.push_back({best, score[best]});
    barred[best] = true;
    if (!(options.diversity > 0.0f)) continue;
    for (std::uint32_t j = 0; j < score.size(); ++j) {
      if (barred[j] || counts_.pair(best, j) <= 0) continue;
      // Jaccard: visitors of both by visitors of either.
      const std::int32_t either = counts_.visitors(best) + counts_.visitors(j) - counts_.pair(best, j);
      const float alike = either > 0 ? static_cast<float>(counts_.pair(best, j)) / static_cast<float>(either) : 0.0f;
      score[j] *= 1.0f - options.diversity * std::min(alike, 1.0f);
    }
  }
  return out;
}

Bytes Recommender::save() const {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u8(kFormat);
  const std::uint32_t items = counts_.items();
  out.varint(items);
  for (std::uint32_t a = 0; a < items; ++a) {
    for (std::uint32_t b = 0; b <= a; ++b) out.varint(static_cast<std::uint32_t>(std::max(counts_.pair(a, b), 0)));
  }
  return bytes;
}

Result<Recommender> Recommender::load(ByteView bytes) {
  StickyReader in(bytes);
  const std::uint8_t format = in.u8();
  if (format != kFormat) in.refuse(ErrorCode::kUnknownVersion, format);
  const std::uint32_t items = in.count(kEaseItemsMax);
  // Each count is at least one byte, so a short file cannot ask for a large matrix.
  if (in.left() < std::uint64_t{items} * (items + 1) / 2) in.refuse(ErrorCode::kTruncated, in.left());
  if (!in.ok()) return std::unexpected(in.error());
  Recommender out(items);
  for (std::uint32_t a = 0; a < items; ++a) {
    for (std::uint32_t b = 0; b <= a; ++b) out.counts_.set(a, b, static_cast<std::int32_t>(in.count(kCountMax)));
  }
  in.end();
  if (!in.ok()) return std::unexpected(in.error());
  return out;
}

}  // namespace oas::infer

OAS_COLD_END
