#include "infer/session.h"

#include <bit>

#include "base/cold.h"
#include "infer/content.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

constexpr std::uint32_t kTextInMax = 1'000'000;  // what lies behind kTextBytesMax is ignored, not refused

void put_f32(wire::Writer& out, float value) { out.u32(std::bit_cast<std::uint32_t>(value)); }

void put_texts(wire::Writer& out, std::span<const std::string_view> texts) {
  out.varint(texts.size());
  for (const std::string_view text : texts) out.text(text);
}

// Best first; equal values keep the order of labels. Repeated selection, because callers ask for few. 0 = all, by label.
void put_top(const Answer& answer, std::uint32_t top, std::vector<float>& left, wire::Writer& out) {
  out.u8(answer.abstain ? 1 : 0);
  put_f32(out, answer.confidence);
  const auto all = static_cast<std::uint32_t>(answer.values.size());
  const std::uint32_t count = top == 0 || top > all ? all : top;
  out.varint(count);
  if (top == 0) {
    for (std::uint32_t i = 0; i < all; ++i) {
      out.varint(i);
      put_f32(out, answer.values[i]);
    }
    return;
  }
  left.assign(answer.values.begin(), answer.values.end());
  std::uint32_t best = answer.label;
  for (std::uint32_t n = 0; n < count; ++n) {
    out.varint(best);
    put_f32(out, answer.values[best]);
    left[best] = -3e38f;
    best = 0;
    for (std::uint32_t i = 1; i < all; ++i) best = left[i] > left[best] ? i : best;
  }
}

}  // namespace

ByteView Session::call(ByteView request) {
  answer_.assign(1, 0);
  StickyReader in(request);
  wire::Writer out(answer_);
  run(in, out);
  return finish(in);
}

ByteView Session::call_owned(Bytes request) {
  const bool load_file = !request.empty() && request[0] == static_cast<std::uint8_t>(Command::kLoad);
  if (!load_file) return call(request);
  answer_.assign(1, 0);
  request.erase(request.begin());
  StickyReader in({});
  wire::Writer out(answer_);
  load(std::move(request), in, out);
  return finish(in);
}

ByteView Session::finish(const StickyReader& in) {
  if (!in.ok()) {
    answer_.assign(1, 1);
    wire::Writer out(answer_);
    out.u16(static_cast<std::uint16_t>(in.error().code));
    out.u64(in.error().detail);
  }
  return answer_;
}

void Session::add(Slot slot, StickyReader& in, wire::Writer& out) {
  std::size_t at = 0;
  while (at < slots_.size() && slots_[at] != nullptr) ++at;
  if (at >= kSessionHandlesMax) return in.refuse(ErrorCode::kLimit, kSessionHandlesMax);
  if (at == slots_.size()) slots_.emplace_back();
  slots_[at] = std::make_unique<Slot>(std::move(slot));
  out.varint(at + 1);
}

Session::Slot* Session::slot(StickyReader& in) {
  const std::uint32_t handle = in.count(kSessionHandlesMax);
  if (handle > 0 && handle <= slots_.size() && slots_[handle - 1] != nullptr) return slots_[handle - 1].get();
  in.refuse(ErrorCode::kNotFound, handle);
  return nullptr;
}

void Session::run(StickyReader& in, wire::Writer& out) {
  const std::uint8_t code = in.u8();
  const auto command = static_cast<Command>(code);
  if (command == Command::kLoad) return load(to_bytes(in.rest()), in, out);
  if (command == Command::kFeatures) return features(in, out);
  if (command == Command::kUnload) {
    const Slot* found = slot(in);
    for (auto& held : slots_) {
      if (found != nullptr && held.get() == found) held = nullptr;
    }
    return in.end();
  }
  if (code >= 20) return learner_command(command, in, out);
  if (code >= 10) return recommender_command(command, in, out);
  model_command(command, in, out);
}

void Session::load(Bytes file, StickyReader& in, wire::Writer& out) {
  auto model = load_model(std::move(file));
  if (!model) return in.refuse(model.error().code, model.error().detail);
  Slot made;
  made.model = std::make_shared<Model>(std::move(*model));
  add(std::move(made), in, out);
}

void Session::features(StickyReader& in, wire::Writer& out) {
  NgramParams params;
  params.buckets_log2 = in.u8();
  params.char_min = in.u8();
  params.char_max = in.u8();
  if (!valid(params)) return in.refuse(ErrorCode::kInvalidArgument);
  const auto buckets = hasher_.features(in.rest(), params);
  out.varint(buckets.size());
  for (std::size_t i = 0; i < buckets.size(); ++i) out.varint(buckets[i] - (i > 0 ? buckets[i - 1] : 0));
}

void Session::model_command(Command command, StickyReader& in, wire::Writer& out) {
  Slot* found = slot(in);
  if (found == nullptr) return;
  if (!found->model) return in.refuse(ErrorCode::kInvalidArgument);
  if (command == Command::kDescribe) return describe(*found, out);
  if (command == Command::kPredict) return predict(*found, in, out);
  if (command == Command::kFit) return fit(*found, in, out);
  if (command == Command::kContent) return content(*found, in, out);
  in.refuse(ErrorCode::kMalformed, static_cast<std::uint8_t>(command));
}

void Session::describe(Slot& slot, wire::Writer& out) {
  const Model& model = *slot.model;
  out.text(model.id);
  out.text(model.version);
  out.u8(static_cast<std::uint8_t>(model.kind));
  out.varint(model.inputs);
  out.raw(model.recipe_sha256);
  out.text(model.meta);
  const std::size_t views = slot.fitted ? 1 : model.views.size();
  out.varint(views);
  for (std::size_t v = 0; v < views; ++v) {
    out.text(model.views[v].name);
    if (slot.fitted) {
      out.raw(slot.label_bytes);
    } else {
      put_texts(out, model.views[v].labels);
    }
  }
}

Answer Session::predict_one(Slot& slot, std::uint32_t view, StickyReader& in) {
  const Model& model = *slot.model;
  if (model.kind == ModelKind::kText) {
    const ByteView text = in.bytes(kTextInMax);
    return slot.fitted ? slot.fitted->predict(runner_, text) : runner_.text(model, text, view);
  }
  if (model.kind == ModelKind::kHistory) {
    in.ids(ids_, kBatchInputsMax);
    return runner_.history(model, ids_, view);
  }
  columns_.clear();
  for (std::uint32_t i = 0; i < model.inputs; ++i) columns_.push_back(in.f32());
  return runner_.numeric(model, columns_, view);
}

void Session::predict(Slot& slot, StickyReader& in, wire::Writer& out) {
  const std::uint32_t view = in.count(slot.fitted ? 0 : static_cast<std::uint32_t>(slot.model->views.size()) - 1);
  const std::uint32_t top = in.count(kModelLabelsMax);
  const std::uint32_t count = in.count(kBatchInputsMax);
  out.varint(count);
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) put_top(predict_one(slot, view, in), top, left_, out);
  in.end();
}

void Session::fit(Slot& slot, StickyReader& in, wire::Writer& out) {
  FitOptions options;
  options.seed = in.u32();
  options.threshold = in.f32(0.0f, 1.0f);
  options.embedding_scale = in.f32(0.0f, 100.0f);
  in.texts(texts_, kFitLabelsMax, kTextInMax);
  Slot made;
  wire::Writer labels(made.label_bytes);
  put_texts(labels, texts_);
  std::vector<FitExample> examples;
  for (std::uint32_t count = in.count(kFitExamplesMax); count > 0 && in.ok(); --count) {
    const std::uint32_t label = in.count(kFitLabelsMax);
    examples.push_back({in.text(kTextInMax), label});
  }
  in.end();
  if (!in.ok()) return;
  auto fitted = FittedIntent::fit(*slot.model, static_cast<std::uint32_t>(texts_.size()), examples, options);
  if (!fitted) return in.refuse(fitted.error().code, fitted.error().detail);
  made.model = slot.model;
  made.fitted = std::make_unique<FittedIntent>(std::move(*fitted));
  add(std::move(made), in, out);
}

void Session::content(Slot& slot, StickyReader& in, wire::Writer& out) {
  if (slot.model->kind != ModelKind::kText || slot.model->labels.size() != 2)
    return in.refuse(ErrorCode::kInvalidArgument);
  const ByteView text = in.bytes(kTextInMax);
  in.end();
  const ContentParts parts = score_content(text, runner_.text(*slot.model, text).values[1]);
  for (const float part : {parts.score, parts.clickbait, parts.flesch, parts.ari, parts.density, parts.length,
                           parts.format, parts.words, parts.sentences}) {
    put_f32(out, part);
  }
}

void Session::recommender_command(Command command, StickyReader& in, wire::Writer& out) {
  if (command == Command::kRecommenderOpen) {
    Slot made;
    if (const std::uint32_t items = in.count(kEaseItemsMax); items > 0) {
      made.recommender = std::make_unique<Recommender>(items);
    } else {
      auto loaded = Recommender::load(in.rest());
      if (!loaded) return in.refuse(loaded.error().code, loaded.error().detail);
      made.recommender = std::make_unique<Recommender>(std::move(*loaded));
    }
    in.end();
    if (in.ok()) add(std::move(made), in, out);
    return;
  }
  Slot* found = slot(in);
  if (found == nullptr) return;
  if (!found->recommender) return in.refuse(ErrorCode::kInvalidArgument);
  Recommender& recommender = *found->recommender;
  if (command == Command::kRecommenderSave) {
    out.raw(recommender.save());
    return in.end();
  }
  const bool erase = command == Command::kRecommenderLearn && in.u8() != 0;
  in.ids(ids_, kBatchInputsMax);
  if (command == Command::kRecommenderLearn) {
    in.end();
    if (in.ok()) recommender.learn(ids_, erase ? -1 : 1);
    return;
  }
  if (command == Command::kRecommenderVisit) {
    const std::uint32_t item = in.count(0xFFFF'FFFFU);
    in.end();
    if (in.ok()) recommender.visit(ids_, item);
    return;
  }
  if (command != Command::kRecommend) return in.refuse(ErrorCode::kMalformed, static_cast<std::uint8_t>(command));
  std::vector<std::uint32_t> excluded;
  in.ids(excluded, kBatchInputsMax);
  RecommendOptions options;
  options.top = in.count(kEaseItemsMax);
  options.decay = in.f32(0.0f, 1.0f);
  options.diversity = in.f32(0.0f, 1.0f);
  in.end();
  if (!in.ok()) return;
  const auto list = recommender.recommend(ids_, excluded, options);
  out.varint(list.size());
  for (const Recommendation& entry : list) {
    out.varint(entry.item);
    put_f32(out, entry.score);
  }
}

void Session::learner_command(Command command, StickyReader& in, wire::Writer& out) {
  if (command == Command::kLearnerOpen) {
    const std::uint64_t epoch = in.u64();
    LearnerOptions options;
    options.rate = in.f32(1e-4f, 10.0f);
    options.explore = in.f32(0.0f, 1.0f);
    const std::uint64_t seed = in.u64();
    in.end();
    if (!in.ok()) return;
    Slot made;
    made.learner = std::make_unique<Learner>(epoch, options);
    made.prng = Prng(seed);
    return add(std::move(made), in, out);
  }
  Slot* found = slot(in);
  if (found == nullptr) return;
  if (!found->learner) return in.refuse(ErrorCode::kInvalidArgument);
  Learner& learner = *found->learner;
  switch (command) {
    case Command::kLearnerSave: out.raw(learner.save()); return in.end();
    case Command::kLearnerErase: learner.erase(); return in.end();
    case Command::kLearnerJoin:
      if (const auto joined = learner.join(in.rest()); !joined) in.refuse(joined.error().code, joined.error().detail);
      return;
    case Command::kLearnerFeedback: {
      in.texts(texts_, kLearnerFeaturesMax, kTextInMax);
      const std::string_view action = in.text(kTextInMax);
      const float reward = in.f32(0.0f, 1.0f);
      const float propensity = in.f32(0.0f, 1.0f);
      in.end();
      if (in.ok()) learner.feedback(texts_, action, reward, propensity);
      return;
    }
    case Command::kLearnerDecide: {
      in.texts(texts_, kLearnerFeaturesMax, kTextInMax);
      std::vector<std::string_view> actions;
      in.texts(actions, kLearnerActionsMax, kTextInMax);
      in.end();
      if (actions.empty()) in.refuse(ErrorCode::kInvalidArgument);
      if (!in.ok()) return;
      const Decision decision = learner.decide(texts_, actions, found->prng);
      out.varint(decision.action);
      put_f32(out, decision.propensity);
      out.varint(decision.expected.size());
      for (const float value : decision.expected) put_f32(out, value);
      return;
    }
    default: in.refuse(ErrorCode::kMalformed, static_cast<std::uint8_t>(command));
  }
}

}  // namespace oas::infer

OAS_COLD_END
