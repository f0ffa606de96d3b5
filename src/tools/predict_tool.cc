#include "tools/predict_tool.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "infer/run.h"

namespace oas::tools {
namespace {

constexpr const char* kUsage = R"(usage: oas predict MODEL [--top N] [--view NAME] [--models DIR] [--labels]

Reads one input a line, writes one JSON answer a line:
  text models          the line itself
  numeric models       the columns, separated by commas or blanks
  recommendation       item numbers seen so far, oldest first
MODEL is a name below DIR (default models) or the path of a .oasm file.
  --top N      how many labels to print (default 3; 0 = all)
  --view NAME  another reading of the labels, such as basic4 for emotion
  --labels     print the model's labels and views, and read nothing
)";

struct Options {
  std::string model, view, models = "models";
  std::uint32_t top = 3;
  bool labels = false;
};

int complain(const std::string& text) {
  std::fprintf(stderr, "oas predict: %s\n", text.c_str());
  return 2;
}

bool parse(std::span<const std::string_view> arguments, Options& out) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view a = arguments[i];
    const bool more = i + 1 < arguments.size();
    if (a == "--labels") {
      out.labels = true;
    } else if (a == "--top" && more) {
      out.top = static_cast<std::uint32_t>(std::strtoul(std::string(arguments[++i]).c_str(), nullptr, 10));
    } else if (a == "--view" && more) {
      out.view = arguments[++i];
    } else if (a == "--models" && more) {
      out.models = arguments[++i];
    } else if (a.starts_with("--") || !out.model.empty()) {
      return false;
    } else {
      out.model = a;
    }
  }
  return !out.model.empty();
}

Bytes read_model(const Options& options) {
  for (const std::string& path : {options.models + "/" + options.model + "/model.oasm", options.model}) {
    std::ifstream in(path, std::ios::binary);
    if (in) return Bytes(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return {};
}

std::vector<double> numbers(std::string line) {
  std::replace(line.begin(), line.end(), ',', ' ');
  std::vector<double> out;
  const char* at = line.c_str();
  for (char* end = nullptr;; at = end) {
    const double value = std::strtod(at, &end);
    if (end == at) return out;
    out.push_back(value);
  }
}

nlohmann::ordered_json as_json(const infer::Answer& answer, const infer::View& view, std::uint32_t top) {
  std::vector<std::uint32_t> order(answer.values.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return answer.values[a] != answer.values[b] ? answer.values[a] > answer.values[b] : a < b;
  });
  if (top > 0 && order.size() > top) order.resize(top);
  auto list = nlohmann::ordered_json::array();
  for (const std::uint32_t i : order) {
    list.push_back({{"label", view.labels[i]}, {"index", i}, {"value", answer.values[i]}});
  }
  return {{"predictions", list}, {"confidence", answer.confidence}, {"abstain", answer.abstain}};
}

nlohmann::ordered_json predict_line(infer::Runner& runner, const infer::Model& model, const std::string& line,
                                    std::uint32_t view, std::uint32_t top) {
  if (model.kind == infer::ModelKind::kText)
    return as_json(runner.text(model, as_bytes(line), view), model.views[view], top);
  const std::vector<double> values = numbers(line);
  if (model.kind == infer::ModelKind::kNumeric) {
    if (values.size() != model.inputs) {
      return {{"error", "invalid_argument"},
              {"detail", "the model takes " + std::to_string(model.inputs) + " numbers"}};
    }
    std::vector<float> columns;
    for (const double v : values) columns.push_back(static_cast<float>(v));
    return as_json(runner.numeric(model, columns, view), model.views[view], top);
  }
  std::vector<std::uint32_t> items;
  for (const double v : values) items.push_back(v >= 0.0 && v < 4e9 ? static_cast<std::uint32_t>(v) : 0xFFFF'FFFFU);
  return as_json(runner.history(model, items, view), model.views[view], top);
}

void print_labels(const infer::Model& model) {
  nlohmann::ordered_json out = {{"id", model.id}, {"version", model.version}, {"inputs", model.inputs}};
  for (const infer::View& view : model.views) out["views"][std::string(view.name)] = view.labels;
  std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

int predict(std::span<const std::string_view> arguments) {
  if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
    std::printf("%s", kUsage);
    return 0;
  }
  Options options;
  if (!parse(arguments, options)) {
    std::fprintf(stderr, "%s", kUsage);
    return 2;
  }
  Bytes file = read_model(options);
  if (file.empty()) return complain("no model '" + options.model + "'");
  const auto model = infer::load_model(std::move(file));
  if (!model) return complain(std::string(error_info(model.error().code).name) + ": the model file is refused");
  if (options.labels) {
    print_labels(*model);
    return 0;
  }
  std::uint32_t view = 0;
  while (view < model->views.size() && !options.view.empty() && model->views[view].name != options.view) ++view;
  if (view == model->views.size()) return complain("the model has no view '" + options.view + "'");
  infer::Runner runner;
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = predict_line(runner, *model, line, view, options.top);
    std::printf("%s\n", answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace oas::tools
