// Recommendations from the visits of this device or, with counts from the server, of everybody.
//
// Online: every visit updates the counts and the next answer uses them. Needs no network and no training step. The larger
// offline table (EASE^R rows) is an ordinary model file, run by run.h. Nothing here is ever replicated as truth.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "infer/ease.h"

namespace oas::infer {

struct RecommendOptions {
  std::uint32_t top = 10;
  CoVisitPowers powers;
  float decay = 1.0f;  // weight of each older visit relative to the one after it
  float diversity = 0.0f;  // 0 to 1: how much an item loses for being like one already chosen
};

struct Recommendation {
  std::uint32_t item = 0;
  float score = 0.0f;
};

class Recommender {
 public:
  explicit Recommender(std::uint32_t items) : counts_(items) {}

  // A finished history of somebody else, or the counts a server sent. `sign` -1 erases it again.
  void learn(std::span<const std::uint32_t> visited, std::int32_t sign = 1) { counts_.add(visited, sign); }
  // This user's next visit after `before`.
  void visit(std::span<const std::uint32_t> before, std::uint32_t item) { counts_.add_one(before, item); }

  // Best first; items of the history and of `excluded` never appear. With no history, the most visited.
  [[nodiscard]] std::vector<Recommendation> recommend(std::span<const std::uint32_t> history,
                                                      std::span<const std::uint32_t> excluded,
                                                      const RecommendOptions& options) const;
  // One score an item, for evaluation; history items included.
  [[nodiscard]] std::vector<float> scores(std::span<const std::uint32_t> history,
                                          const RecommendOptions& options) const;

  [[nodiscard]] const CoVisits& counts() const { return counts_; }

  // Counts as bytes, for storage on this device.
  [[nodiscard]] Bytes save() const;
  [[nodiscard]] static Result<Recommender> load(ByteView bytes);

 private:
  CoVisits counts_;
};

}  // namespace oas::infer
