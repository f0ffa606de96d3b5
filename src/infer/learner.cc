#include "infer/learner.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/hash.h"
#include "infer/cold.h"
#include "infer/math.h"
#include "infer/sticky.h"
#include "wire/writer.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr float kPrior = 0.1f;  // squared gradient taken as seen before the first example

bool finite(float v) { return (std::bit_cast<std::uint32_t>(v) & 0x7F800000U) != 0x7F800000U; }

std::uint32_t slot_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 40) & (kLearnerSlots - 1); }

}  // namespace

void Learner::slots(Texts context, std::string_view action, std::vector<std::uint32_t>& out) const {
  OAS_ASSERT(context.size() <= kLearnerFeaturesMax);
  const std::uint64_t about = hash64(as_bytes(action));
  out.assign(1, slot_of(about));
  for (const std::string_view feature : context) out.push_back(slot_of(hash64(as_bytes(feature), about)));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

float Learner::effective(std::uint32_t slot) const {
  float weighted = 0.0f;
  float seen = 0.0f;
  for (const auto& [epoch, part] : parts_) {
    weighted += part.weight[slot] * part.square[slot];
    seen += part.square[slot];
  }
  return seen > 0.0f ? weighted / seen : 0.0f;
}

float Learner::score(std::span<const std::uint32_t> slots) const {
  float sum = 0.0f;
  for (const std::uint32_t slot : slots) sum += effective(slot);
  return sum;
}

float Learner::expect(Texts context, std::string_view action) const {
  std::vector<std::uint32_t> at;
  slots(context, action, at);
  return sigmoid_f(score(at));
}

Decision Learner::decide(Texts context, Texts actions, Prng& prng) const {
  OAS_ASSERT(!actions.empty() && actions.size() <= kLearnerActionsMax);
  Decision out;
  std::uint32_t best = 0;
  for (std::uint32_t i = 0; i < actions.size(); ++i) {
    out.expected.push_back(expect(context, actions[i]));
    if (out.expected[i] > out.expected[best]) best = i;
  }
  const auto count = static_cast<std::uint32_t>(actions.size());
  const bool drawn = static_cast<float>(prng.next() >> 40) * (1.0f / 16777216.0f) < options_.explore;
  out.action = drawn ? prng.below(count) : best;
  out.propensity = options_.explore / static_cast<float>(count) + (out.action == best ? 1.0f - options_.explore : 0.0f);
  return out;
}

void Learner::feedback(Texts context, std::string_view action, float reward, float propensity) {
  std::vector<std::uint32_t> at;
  slots(context, action, at);
  if (!parts_.contains(epoch_) && parts_.size() >= kLearnerEpochsMax) parts_.erase(parts_.begin());
  Part& own = parts_[epoch_];
  if (own.weight.empty()) {
    own.weight.assign(kLearnerSlots, 0.0f);
    own.square.assign(kLearnerSlots, 0.0f);
  }
  const float target = reward > 1.0f ? 1.0f : reward > 0.0f ? reward : 0.0f;
  const float importance = propensity > 0.1f ? 1.0f / propensity : 10.0f;
  const float gradient = (sigmoid_f(score(at)) - target) * (importance > 10.0f ? 10.0f : importance);
  for (const std::uint32_t slot : at) {
    own.square[slot] += gradient * gradient;
    own.weight[slot] -= options_.rate * gradient / sqrt_f(own.square[slot] + kPrior);
  }
  ++own.examples;
}

Bytes Learner::save() const {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u8(kFormat);
  out.varint(parts_.size());
  for (const auto& [epoch, part] : parts_) {
    out.u64(epoch);
    out.varint(part.examples);
    const auto used = std::count_if(part.square.begin(), part.square.end(), [](float s) { return s > 0.0f; });
    out.varint(static_cast<std::uint64_t>(used));
    std::uint32_t next = 0;
    for (std::uint32_t slot = 0; slot < kLearnerSlots; ++slot) {
      if (!(part.square[slot] > 0.0f)) continue;
      out.varint(slot - next);  // slots left out since the last one
      next = slot + 1;
      out.u32(std::bit_cast<std::uint32_t>(part.weight[slot]));
      out.u32(std::bit_cast<std::uint32_t>(part.square[slot]));
    }
  }
  return bytes;
}

Result<void> Learner::join(ByteView state) {
  StickyReader in(state);
  const std::uint8_t format = in.u8();
  if (format != kFormat) in.refuse(ErrorCode::kUnknownVersion, format);
  std::vector<std::pair<std::uint64_t, Part>> read;
  for (std::uint32_t epochs = in.count(kLearnerEpochsMax); epochs > 0 && in.ok(); --epochs) {
    auto& [epoch, part] = read.emplace_back();
    epoch = in.u64();
    part.examples = in.count(0xFFFF'FFFFU);
    part.weight.assign(kLearnerSlots, 0.0f);
    part.square.assign(kLearnerSlots, 0.0f);
    std::uint32_t next = 0;
    for (std::uint32_t used = in.count(kLearnerSlots); used > 0 && in.ok(); --used) {
      const std::uint32_t slot = next + in.count(kLearnerSlots);
      const float weight = in.f32();
      const float square = in.f32();
      if (slot >= kLearnerSlots || !finite(weight) || !finite(square) || !(square > 0.0f)) {
        in.refuse(ErrorCode::kMalformed, slot);
        break;
      }
      part.weight[slot] = weight;
      part.square[slot] = square;
      next = slot + 1;
    }
  }
  in.end();
  // Nothing is taken before everything was read: a damaged state changes nothing.
  for (auto& [epoch, part] : read) {
    if (!in.ok()) break;
    const auto known = parts_.find(epoch);
    if (known != parts_.end() ? known->second.examples >= part.examples : parts_.size() >= kLearnerEpochsMax) continue;
    parts_[epoch] = std::move(part);
  }
  return in.result();
}

}  // namespace oas::infer

OAS_COLD_END
