// What the loader takes and refuses, and that a model's answers do not depend on how the kernels are compiled.
#include <boost/test/unit_test.hpp>
#include <sstream>
#include <tuple>

#include "base/prng.h"
#include "golden_file.h"
#include "infer/kernels.h"
#include "infer/math.h"
#include "infer/model.h"
#include "infer/run.h"
#include "infer/sha256.h"
#include "test_model.h"

namespace oas::infer {
namespace {

// The checksum is made right again, so that the checks behind it are the ones that answer.
Bytes resealed(Bytes file) {
  if (file.size() < 32) return file;
  const Sha256 hash = sha256(ByteView(file).first(file.size() - 32));
  std::copy(hash.begin(), hash.end(), file.end() - 32);
  return file;
}

BOOST_AUTO_TEST_SUITE(model)

BOOST_AUTO_TEST_CASE(a_written_model_loads_and_answers) {
  for (const DType dtype : {DType::kI8, DType::kI4}) {
    const Model model = load_model(test::text_model(dtype)).value();
    Runner runner;
    const Answer answer = runner.text(model, as_bytes("hello there"));
    BOOST_TEST(answer.values.size() == 3);
    BOOST_TEST(answer.values[0] + answer.values[1] + answer.values[2] == 1.0f, boost::test_tools::tolerance(1e-5f));
    const Answer pair = runner.text(model, as_bytes("hello there"), 1);
    BOOST_TEST(pair.values.size() == 2);
    BOOST_TEST(runner.text(model, {}).values.size() == 3);  // no features at all
  }
}

BOOST_AUTO_TEST_CASE(a_forest_follows_its_thresholds) {
  const Model model = load_model(test::forest_model()).value();
  Runner runner;
  const float low[] = {1.0f, 0.0f};
  const float high[] = {2.0f, 0.0f};
  BOOST_TEST(runner.numeric(model, low).values[0] == sigmoid_f(-2.0f));
  BOOST_TEST(runner.numeric(model, high).values[0] == sigmoid_f(3.0f));
}

BOOST_AUTO_TEST_CASE(every_truncation_and_every_flipped_byte_is_refused) {
  for (const Bytes& file : {test::text_model(), test::forest_model()}) {
    for (std::size_t size = 0; size < file.size(); ++size) {
      BOOST_TEST(!load_model(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size))).has_value());
    }
    for (std::size_t at = 0; at < file.size(); ++at) {
      Bytes damaged = file;
      damaged[at] ^= 0x40;
      BOOST_TEST(!load_model(std::move(damaged)).has_value());
    }
    Bytes longer = file;
    longer.push_back(0);
    BOOST_TEST(!load_model(std::move(longer)).has_value());
  }
}

// An attacker can compute SHA-256: whatever loads with a right checksum must still run without a fault.
BOOST_AUTO_TEST_CASE(resealed_mutants_are_refused_or_run_safely) {
  Prng prng(std::uint64_t{42});
  Runner runner;
  std::uint32_t refused = 0;
  for (int round = 0; round < 4000; ++round) {
    Bytes file = round % 2 == 0 ? test::text_model() : test::forest_model();
    for (std::uint32_t edits = 1 + prng.below(3); edits > 0; --edits) {
      const std::uint32_t at = prng.below(static_cast<std::uint32_t>(prng.chance(3, 4) ? 300 : file.size()));
      file[at] = static_cast<std::uint8_t>(prng.chance(1, 2) ? prng.next() : file[at] + 1);
    }
    const auto model = load_model(resealed(std::move(file)));
    if (!model) {
      ++refused;
      continue;
    }
    const std::vector<float> row(model->inputs, 1.0f);
    const std::uint32_t ids[] = {0, 7, 1'000'000};
    for (std::uint32_t view = 0; view < model->views.size(); ++view) {
      if (model->kind == ModelKind::kText) (void)runner.text(*model, as_bytes("some words"), view);
      if (model->kind == ModelKind::kNumeric) (void)runner.numeric(*model, row, view);
      if (model->kind == ModelKind::kHistory) (void)runner.history(*model, ids, view);
    }
  }
  BOOST_TEST(refused > 2000);
}

BOOST_AUTO_TEST_CASE(refusals_carry_the_right_code) {
  Bytes version = test::text_model();
  version[4] = 2;
  BOOST_TEST((load_model(version).error() == Error{ErrorCode::kUnknownVersion, 2}));
  Bytes body = test::text_model();
  body[body.size() - 40] ^= 1;
  BOOST_TEST((load_model(body).error().code == ErrorCode::kChecksum));
  BOOST_TEST((load_model(Bytes(kModelBytesMax + 1U)).error() == Error{ErrorCode::kLimit, kModelBytesMax}));
}

BOOST_AUTO_TEST_CASE(integer_dot_is_exact_at_its_limits) {
  const std::vector<std::int8_t> a(kModelWidthMax, -127);
  const std::vector<std::int16_t> b(kModelWidthMax, 32767);
  BOOST_TEST(dot_i8_i16(a.data(), b.data(), kModelWidthMax) ==
             -127 * 32767 * static_cast<std::int64_t>(kModelWidthMax));
  BOOST_TEST(dot_i8_i16(a.data(), b.data(), 13) == -127 * 32767 * 13);
}

BOOST_AUTO_TEST_CASE(halves_and_scale_codes_survive_the_round_trip) {
  for (std::uint32_t half = 0; half < 0x7C00; ++half) {
    BOOST_TEST(float_to_half(half_to_float(static_cast<std::uint16_t>(half))) == half);
  }
  for (std::uint32_t code = 1; code < kScaleCodes; ++code) {
    BOOST_TEST(scale_from_code(static_cast<std::uint8_t>(code)) > scale_from_code(static_cast<std::uint8_t>(code - 1)));
  }
}

BOOST_AUTO_TEST_CASE(own_exp_and_log_are_close_enough) {
  for (int i = -800; i <= 800; ++i) {
    const float x = static_cast<float>(i) / 10.0f;
    BOOST_TEST(static_cast<double>(exp_f(x)) == __builtin_exp(static_cast<double>(x)),
               boost::test_tools::tolerance(1e-5));
    const double y = static_cast<double>(exp_f(x));
    BOOST_TEST(log_d(y) == __builtin_log(y), boost::test_tools::tolerance(1e-12));
  }
  BOOST_TEST(exp_f(-1e30f) > 0.0f);
  BOOST_TEST(exp_f(1e30f) < 3e38f);
}

// Every committed file loads, and its answers are the committed ones: the same file is read by the WebAssembly tests.
BOOST_AUTO_TEST_CASE(committed_models_load) {
  Runner runner;
  for (const char* name : {"intent", "emotion", "content", "recommendation", "personalization"}) {
    const auto model = load_model(test::repo_file(std::string("models/") + name + "/model.oasm"));
    BOOST_TEST(model.has_value(), name);
  }
  const Model intent = load_model(test::repo_file("models/intent/model.oasm")).value();
  const Answer answer = runner.text(intent, as_bytes("What is my bank balance?"));
  BOOST_TEST(intent.labels[answer.label] == "balance");
  BOOST_TEST(!answer.abstain);
}

// 60 rows a model are too few to measure, enough to notice a model that was swapped or a broken featuriser.
BOOST_AUTO_TEST_CASE(committed_models_are_right_on_most_fixture_rows) {
  const Bytes file = test::repo_file("tests/golden/infer_rows.tsv");
  Runner runner;
  for (const auto& [name, view, least] : {std::tuple{"intent", 0U, 50U}, {"emotion", 1U, 42U}, {"content", 0U, 55U}}) {
    const Model model = load_model(test::repo_file(std::string("models/") + name + "/model.oasm")).value();
    std::uint32_t rows = 0;
    std::uint32_t right = 0;
    std::istringstream lines{std::string(as_text(file))};
    for (std::string line; std::getline(lines, line);) {
      const std::size_t first = line.find('\t');
      if (line.starts_with('#') || line.substr(0, first) != name) continue;
      const std::size_t second = line.find('\t', first + 1);
      const Answer answer = runner.text(model, as_bytes(line.substr(second + 1)), view);
      ++rows;
      right += model.views[view].labels[answer.label] == line.substr(first + 1, second - first - 1) ? 1U : 0U;
    }
    BOOST_TEST_CONTEXT(name << ": " << right << " of " << rows) {
      BOOST_TEST(rows == 60);
      BOOST_TEST(right >= least);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::infer
