// Bytes in, bytes out: everything a host can ask of infer.wasm, and natively of tools and tests.
//
// A request is a command byte and its arguments as wire::Writer writes them; the answer is 0 and the result, or 1, a u16
// error code and a u64 detail. Requests come from the host's own code but are read as if they did not: no request can
// make this class read outside its bytes. The layout of each command is in docs/models.md.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "infer/fit.h"
#include "infer/learner.h"
#include "infer/model.h"
#include "infer/recommend.h"
#include "infer/run.h"
#include "infer/sticky.h"
#include "wire/writer.h"

namespace oas::infer {

enum class Command : std::uint8_t {
  kLoad = 1,
  kUnload = 2,
  kDescribe = 3,
  kPredict = 4,
  kFit = 5,
  kContent = 6,
  kFeatures = 7,
  kRecommenderOpen = 10,  // no items: from saved bytes
  kRecommenderLearn = 11,
  kRecommenderVisit = 12,
  kRecommend = 13,
  kRecommenderSave = 14,
  kLearnerOpen = 20,
  kLearnerDecide = 21,
  kLearnerFeedback = 22,
  kLearnerSave = 23,
  kLearnerJoin = 24,
  kLearnerErase = 25,
};

inline constexpr std::uint32_t kSessionHandlesMax = 64;
inline constexpr std::uint32_t kBatchInputsMax = 10'000;

class Session {
 public:
  // The view is valid until the next call.
  [[nodiscard]] ByteView call(ByteView request);
  // The same, with the request as the session's own: a model file then moves in without a copy.
  [[nodiscard]] ByteView call_owned(Bytes request);

 private:
  struct Slot {
    std::shared_ptr<Model> model;  // of a fitted classifier: its base
    std::unique_ptr<FittedIntent> fitted;
    Bytes label_bytes;  // of a fitted classifier: count and texts
    std::unique_ptr<Recommender> recommender;
    std::unique_ptr<Learner> learner;
    Prng prng{std::uint64_t{1}};
  };

  void run(StickyReader& in, wire::Writer& out);
  void model_command(Command command, StickyReader& in, wire::Writer& out);
  void recommender_command(Command command, StickyReader& in, wire::Writer& out);
  void learner_command(Command command, StickyReader& in, wire::Writer& out);
  void load(Bytes file, StickyReader& in, wire::Writer& out);
  ByteView finish(const StickyReader& in);
  void describe(Slot& slot, wire::Writer& out);
  void predict(Slot& slot, StickyReader& in, wire::Writer& out);
  Answer predict_one(Slot& slot, std::uint32_t view, StickyReader& in);
  void fit(Slot& slot, StickyReader& in, wire::Writer& out);
  void content(Slot& slot, StickyReader& in, wire::Writer& out);
  void features(StickyReader& in, wire::Writer& out);
  Slot* slot(StickyReader& in);
  void add(Slot slot, StickyReader& in, wire::Writer& out);

  std::vector<std::unique_ptr<Slot>> slots_;  // handle - 1; null once unloaded
  Runner runner_;
  NgramHasher hasher_;
  Bytes answer_;
  std::vector<float> columns_, left_;
  std::vector<std::string_view> texts_;
  std::vector<std::uint32_t> ids_;
};

}  // namespace oas::infer
