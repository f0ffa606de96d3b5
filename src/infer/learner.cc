#include "infer/learner.h"

#include <bit>

#include "base/assert.h"
#include "base/cold.h"
#include "base/hash.h"
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
  // Insertion sort: a few dozen slots, and the library's sort costs 2 kB. A slot hit twice counts once.
  std::size_t size = 1;
  for (std::size_t i = 1; i < out.size(); ++i) {
    const std::uint32_t slot = out[i];
    std::size_t at = size;
    while (at > 0 && out[at - 1] > slot) --at;
    if (at > 0 && out[at - 1] == slot) continue;
    for (std::size_t k = size; k > at; --k) out[k] = out[k - 1];
    out[at] = slot;
    ++size;
  }
  out.resize(size);
}

std::size_t Learner::place_of(std::uint64_t epoch) const {
  std::size_t place = 0;
  while (place < parts_.size() && parts_[place].epoch < epoch) ++place;
  return place;
}

void Learner::insert(std::size_t place, Part part) {
  parts_.emplace_back();
  for (std::size_t i = parts_.size() - 1; i > place; --i) parts_[i] = std::move(parts_[i - 1]);
  parts_[place] = std::move(part);
}

float Learner::effective(std::uint32_t slot) const {
  float weighted = 0.0f;
  float seen = 0.0f;
  for (const Part& part : parts_) {
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

std::size_t Learner::own_place() {
  std::size_t place = place_of(epoch_);
  if (holds(place, epoch_)) return place;
  if (parts_.size() >= kLearnerEpochsMax) {
    // The lowest epoch makes room; epochs are random, so this is nobody in particular.
    for (std::size_t i = 1; i < parts_.size(); ++i) parts_[i - 1] = std::move(parts_[i]);
    parts_.pop_back();
    place = place_of(epoch_);
  }
  Part own;
  own.epoch = epoch_;
  own.weight.assign(kLearnerSlots, 0.0f);
  own.square.assign(kLearnerSlots, 0.0f);
  insert(place, std::move(own));
  return place;
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
  const std::size_t place = own_place();
  Part& own = parts_[place];
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
  for (const Part& part : parts_) {
    out.u64(part.epoch);
    out.varint(part.examples);
    std::uint32_t used = 0;
    for (const float square : part.square) used += square > 0.0f ? 1U : 0U;
    out.varint(used);
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
  std::vector<Part> read;
  for (std::uint32_t epochs = in.count(kLearnerEpochsMax); epochs > 0 && in.ok(); --epochs) {
    Part& part = read.emplace_back();
    part.epoch = in.u64();
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
  for (Part& part : read) {
    if (!in.ok()) break;
    const std::size_t place = place_of(part.epoch);
    if (holds(place, part.epoch)) {
      if (parts_[place].examples < part.examples) parts_[place] = std::move(part);
    } else if (parts_.size() < kLearnerEpochsMax) {
      insert(place, std::move(part));
    }
  }
  return in.result();
}

}  // namespace oas::infer

OAS_COLD_END
