// Learners on the device: counts that can be taken back, states that join without counting twice, fitting that is exact.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "golden_file.h"
#include "infer/ease.h"
#include "infer/fit.h"
#include "infer/learner.h"
#include "infer/recommend.h"
#include "infer/session.h"
#include "test_model.h"

namespace oas::infer {
namespace {

using Ids = std::vector<std::uint32_t>;

BOOST_AUTO_TEST_SUITE(learning)

BOOST_AUTO_TEST_CASE(erasing_a_user_leaves_no_trace) {
  Recommender with(20);
  Recommender without(20);
  with.learn(Ids{1, 2, 3});
  without.learn(Ids{1, 2, 3});
  with.learn(Ids{3, 4, 3, 99});
  with.learn(Ids{3, 4, 3, 99}, -1);
  BOOST_TEST(with.save() == without.save());
}

BOOST_AUTO_TEST_CASE(visits_one_by_one_equal_the_finished_history) {
  Recommender live(8);
  Recommender whole(8);
  Ids before;
  for (const std::uint32_t item : {5U, 2U, 5U, 7U, 50U}) {
    live.visit(before, item);
    before.push_back(item);
  }
  whole.learn(before);
  BOOST_TEST(live.save() == whole.save());
}

BOOST_AUTO_TEST_CASE(a_saved_recommender_loads_and_a_damaged_one_does_not) {
  Recommender made(5);
  made.learn(Ids{0, 1, 2});
  const Bytes saved = made.save();
  BOOST_TEST(Recommender::load(saved).value().save() == saved);
  for (std::size_t size = 0; size < saved.size(); ++size) BOOST_TEST(!Recommender::load(ByteView(saved).first(size)));
}

BOOST_AUTO_TEST_CASE(diversity_prefers_the_unlike) {
  Recommender made(6);
  for (int i = 0; i < 5; ++i) made.learn(Ids{0, 1, 2});
  for (int i = 0; i < 4; ++i) made.learn(Ids{0, 3});
  RecommendOptions options{.top = 2};
  BOOST_TEST(made.recommend(Ids{0}, {}, options)[1].item == 2);
  options.diversity = 1.0f;
  BOOST_TEST(made.recommend(Ids{0}, {}, options)[1].item == 3);
}

// B has a zero diagonal and solves the ridge problem: (X'X + lambda I) B = X'X wherever the diagonal constraint does not act.
BOOST_AUTO_TEST_CASE(ease_meets_its_own_equations) {
  CoVisits counts(4);
  counts.add(Ids{0, 1});
  counts.add(Ids{0, 1, 2});
  counts.add(Ids{2, 3});
  const float lambda = 2.0f;
  const auto b = ease_weights(counts, lambda).value();
  float residual = 0.0f;
  for (std::uint32_t i = 0; i < 4; ++i) {
    BOOST_TEST(b[i * 4 + i] == 0.0f);
    for (std::uint32_t j = 0; j < 4; ++j) {
      if (i == j) continue;
      float left = lambda * b[i * 4 + j];
      for (std::uint32_t k = 0; k < 4; ++k) left += static_cast<float>(counts.pair(i, k)) * b[k * 4 + j];
      // Off the diagonal the multiplier is zero, so both sides agree.
      residual = std::max(residual, left > static_cast<float>(counts.pair(i, j))
                                        ? left - static_cast<float>(counts.pair(i, j))
                                        : static_cast<float>(counts.pair(i, j)) - left);
    }
  }
  BOOST_TEST(residual < 1e-4f);
  BOOST_TEST(!ease_weights(counts, 0.0f).has_value());
}

BOOST_AUTO_TEST_CASE(joining_is_idempotent_and_order_free) {
  const std::string_view context[] = {"home", "evening"};
  Learner a(1, {}), b(2, {}), c(3, {});
  for (int i = 0; i < 20; ++i) {
    a.feedback(context, "x", i % 2 == 0 ? 1.0f : 0.0f);
    b.feedback(context, "y", 1.0f);
    c.feedback(context, "x", 1.0f);
  }
  Learner left(9, {}), right(9, {});
  for (const Learner* from : {&a, &b, &c, &b, &a}) BOOST_TEST(left.join(from->save()).has_value());
  for (const Learner* from : {&c, &a, &b}) BOOST_TEST(right.join(from->save()).has_value());
  BOOST_TEST(left.save() == right.save());
  // An older state of the same epoch never replaces a newer one.
  const Bytes before = a.save();
  a.feedback(context, "x", 1.0f);
  const Bytes newer = a.save();
  BOOST_TEST(a.join(before).has_value());
  BOOST_TEST(a.save() == newer);
}

BOOST_AUTO_TEST_CASE(a_damaged_state_changes_nothing) {
  const std::string_view context[] = {"home"};
  Learner a(1, {});
  a.feedback(context, "x", 1.0f);
  const Bytes state = a.save();
  Learner b(2, {});
  const Bytes empty = b.save();
  for (std::size_t size = 0; size < state.size(); ++size) {
    BOOST_TEST(!b.join(ByteView(state).first(size)).has_value());
    BOOST_TEST(b.save() == empty);
  }
}

BOOST_AUTO_TEST_CASE(propensities_are_the_shares_of_decisions) {
  const std::string_view context[] = {"home"};
  const std::string_view actions[] = {"x", "y", "z", "w"};
  Learner learner(1, {.rate = 0.2f, .explore = 0.4f});
  for (int i = 0; i < 20; ++i) learner.feedback(context, "z", 1.0f);
  Prng prng(std::uint64_t{3});
  std::uint32_t best = 0;
  for (int i = 0; i < 4000; ++i) {
    const Decision decision = learner.decide(context, actions, prng);
    BOOST_TEST(decision.propensity == (decision.action == 2 ? 0.7f : 0.1f), boost::test_tools::tolerance(1e-5f));
    best += decision.action == 2 ? 1U : 0U;
  }
  BOOST_TEST(best > 2680);
  BOOST_TEST(best < 2920);
}

BOOST_AUTO_TEST_CASE(fitting_twice_gives_the_same_answers) {
  const Model base = load_model(test::text_model()).value();
  const FitExample examples[] = {{"red apple", 0}, {"green apple", 0}, {"fast car", 1}, {"slow car", 1}};
  auto first = FittedIntent::fit(base, 2, examples, {}).value();
  auto second = FittedIntent::fit(base, 2, examples, {}).value();
  Runner runner;
  for (const char* text : {"an apple", "my car", ""}) {
    const Answer a = first.predict(runner, as_bytes(text));
    const std::vector<float> kept(a.values.begin(), a.values.end());
    BOOST_TEST(second.predict(runner, as_bytes(text)).values == kept, boost::test_tools::per_element());
  }
  BOOST_TEST(first.predict(runner, as_bytes("apple")).label == 0);
  BOOST_TEST(first.predict(runner, as_bytes("car")).label == 1);
  const FitExample unknown[] = {{"x", 5}};
  BOOST_TEST(!FittedIntent::fit(base, 2, unknown, {}).has_value());
}

// Requests come from our own host, but no request may read outside its bytes or stop the session from working.
BOOST_AUTO_TEST_CASE(random_requests_never_break_a_session) {
  Session session;
  Bytes load = {1};
  const Bytes file = test::text_model();
  load.insert(load.end(), file.begin(), file.end());
  BOOST_TEST(session.call_owned(load)[0] == 0);
  Prng prng(std::uint64_t{11});
  for (int i = 0; i < 20'000; ++i) {
    Bytes request = {static_cast<std::uint8_t>(prng.below(28)), static_cast<std::uint8_t>(1 + prng.below(3))};
    for (std::uint32_t size = prng.below(24); size > 0; --size) {
      request.push_back(static_cast<std::uint8_t>(prng.chance(1, 2) ? prng.below(8) : prng.next()));
    }
    if (request[0] == 2 && request[1] == 1) continue;  // keeps the model
    BOOST_TEST(session.call_owned(request)[0] <= 1);
  }
  const Bytes ask = {4, 1, 0, 0, 1, 2, 'h', 'i'};
  BOOST_TEST(session.call(ask)[0] == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::infer
