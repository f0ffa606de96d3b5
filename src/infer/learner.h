// Learns which action fits which context on this device, from the app's own feedback.
//
// A logistic model over hashed context-action pairs with AdaGrad steps. Every decision states its propensity, so that a
// server can judge other policies from the log. The state is a map from epoch to that context's own contribution: a
// context writes only its own, and joining keeps the longer one of each epoch, so joining twice changes nothing. The
// effective weight is the mean of the contributions, weighted by what each has seen of that feature.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/result.h"

namespace oas::infer {

inline constexpr std::uint32_t kLearnerSlots = 4'096;
inline constexpr std::uint32_t kLearnerEpochsMax = 64;
inline constexpr std::uint32_t kLearnerActionsMax = 1'000;
inline constexpr std::uint32_t kLearnerFeaturesMax = 256;

struct LearnerOptions {
  float rate = 0.15f;
  float explore = 0.05f;  // share of decisions drawn evenly among the actions: the exploration bound
};

struct Decision {
  std::uint32_t action = 0;
  float propensity = 1.0f;  // probability with which this action was chosen
  std::vector<float> expected;  // reward expected of every action
};

using Texts = std::span<const std::string_view>;

class Learner {
 public:
  Learner(std::uint64_t epoch, const LearnerOptions& options) : epoch_(epoch), options_(options) {}

  // Probability of a reward for one action in one context.
  [[nodiscard]] float expect(Texts context, std::string_view action) const;
  [[nodiscard]] Decision decide(Texts context, Texts actions, Prng& prng) const;
  // `reward` in 0 to 1. `propensity` only weighs: rare exploration counts more, at most tenfold.
  void feedback(Texts context, std::string_view action, float reward, float propensity = 1.0f);

  [[nodiscard]] Bytes save() const;
  // Takes every epoch that is unknown here or has learned more; this context's own is never replaced by a shorter one.
  [[nodiscard]] Result<void> join(ByteView state);
  // Forgets everything of everybody: what erasing the user means here.
  void erase() { parts_.clear(); }

 private:
  struct Part {
    std::uint64_t epoch = 0;
    std::uint32_t examples = 0;
    std::vector<float> weight, square;  // one a slot
  };
  void slots(Texts context, std::string_view action, std::vector<std::uint32_t>& out) const;
  // The part of an epoch, or the place where it belongs.
  [[nodiscard]] std::size_t place_of(std::uint64_t epoch) const;
  [[nodiscard]] bool holds(std::size_t place, std::uint64_t epoch) const {
    return place < parts_.size() && parts_[place].epoch == epoch;
  }
  std::size_t own_place();
  void insert(std::size_t place, Part part);
  [[nodiscard]] float effective(std::uint32_t slot) const;
  [[nodiscard]] float score(std::span<const std::uint32_t> slots) const;

  std::uint64_t epoch_;
  LearnerOptions options_;
  std::vector<Part> parts_;  // ascending by epoch
};

}  // namespace oas::infer
