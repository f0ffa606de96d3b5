// train: builds the shipped models from public data, judges them, and keeps models/manifest.json true.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "behaviour.h"
#include "infer/session.h"
#include "infer/sha256.h"
#include "report.h"
#include "text_model.h"
#include "wire/writer.h"

namespace oas::train {
namespace {

constexpr const char* kUsage = R"(usage: train COMMAND [NAME...] [--models DIR] [--data DIR] [--out DIR] [--quick]

  build NAME...     trains by models/NAME/recipe.json, writes model.oasm (and model.i4.oasm)
  evaluate NAME...  judges the committed file, writes models/NAME/report.md and metrics.json
  check NAME...     trains again and compares the sha256 with the committed file
  dump NAME...      writes the test inputs and the native answers to --out DIR, for comparing builds
  manifest          writes models/manifest.json from the folders

NAME is intent, emotion, content, recommendation, personalization, fit (evaluate only) or all.
Data is looked for in --data, $OAS_DATA or ../shared/data; without it a command prints SKIPPED and succeeds.
)";

const std::vector<std::string> kModels = {"intent", "emotion", "content", "recommendation", "personalization"};

struct Options {
  std::string models = "models", out = ".";
  bool quick = false;
};

bool is_text(const std::string& name) { return name == "intent" || name == "emotion" || name == "content"; }

int skip(const std::string& name) {
  std::printf("SKIPPED %s (no data in the data folder)\n", name.c_str());
  return 0;
}

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

std::string recipe_of(const Options& options, const std::string& name) {
  const auto text = read_file(options.models + "/" + name + "/recipe.json");
  if (!text) {
    std::fprintf(stderr, "train: no recipe for %s in %s\n", name.c_str(), options.models.c_str());
    std::exit(2);
  }
  return *text;
}

// File name to content; empty when the data is not there.
std::vector<std::pair<std::string, std::string>> build(const Options& options, const std::string& name) {
  const std::string recipe = recipe_of(options, name);
  if (is_text(name)) {
    const auto set = read_text_set(nlohmann::json::parse(recipe).at("dataset"));
    if (!set) return {};
    const TextModelFiles files = build_text_model(recipe, *set);
    return {{"model.oasm", text_of(files.int8)}, {"model.i4.oasm", text_of(files.int4)}};
  }
  if (name == "recommendation") {
    const auto visits = read_msweb();
    if (!visits) return {};
    return {{"model.oasm", text_of(build_recommendation(recipe, *visits))}};
  }
  const auto sessions = read_shoppers();
  if (!sessions) return {};
  return {{"model.oasm", text_of(build_personalization(recipe, *sessions))}};
}

int run_build(const Options& options, const std::string& name) {
  const auto files = build(options, name);
  if (files.empty()) return skip(name);
  for (const auto& [file, content] : files) {
    if (!write_file(options.models + "/" + name + "/" + file, content)) return 1;
    std::printf("%s/%s: %zu bytes, sha256 %s\n", name.c_str(), file.c_str(), content.size(),
                hex_sha256(content).c_str());
  }
  return 0;
}

int run_check(const Options& options, const std::string& name) {
  const auto files = build(options, name);
  if (files.empty()) return skip(name);
  int failed = 0;
  for (const auto& [file, content] : files) {
    const auto committed = read_file(options.models + "/" + name + "/" + file);
    const bool same = committed && *committed == content;
    std::printf("%s %s/%s %s\n", same ? "same" : "DIFFERS", name.c_str(), file.c_str(), hex_sha256(content).c_str());
    if (!same) failed = 1;
  }
  return failed;
}

infer::Model load(const Options& options, const std::string& name, const std::string& file) {
  const auto bytes = read_file(options.models + "/" + name + "/" + file);
  auto model = infer::load_model(bytes ? to_bytes(as_bytes(*bytes)) : Bytes{});
  if (!model) {
    std::fprintf(stderr, "train: cannot load %s/%s (code %u, detail %llu)\n", name.c_str(), file.c_str(),
                 static_cast<unsigned>(model.error().code), static_cast<unsigned long long>(model.error().detail));
    std::exit(2);
  }
  return std::move(*model);
}

// The int4 file and the unquantised weights on the headline metric, so that what quantising costs is on record.
void add_variants(const Options& options, const std::string& name, const TextSet& set, Report& report) {
  const auto judge = name == "intent" ? evaluate_intent : name == "emotion" ? evaluate_emotion : evaluate_content;
  Report small = judge(load(options, name, "model.i4.oasm"), set);
  Figure figure = small.figures[0];
  figure.note = "int4 file";
  report.also.push_back(figure);
  report.also.push_back(unquantised(recipe_of(options, name), set, report.figures[0]));
}

// Every row of the model's test data, as predict takes it.
std::optional<std::vector<Bytes>> test_inputs(const std::string& name) {
  std::vector<Bytes> out;
  if (name == "recommendation") {
    const auto visits = read_msweb();
    if (!visits) return std::nullopt;
    for (const auto& user : visits->test) {
      wire::Writer to(out.emplace_back());
      to.varint(user.size());
      for (const std::uint32_t item : user) to.varint(item);
    }
    return out;
  }
  if (name == "personalization") {
    const auto sessions = read_shoppers();
    if (!sessions) return std::nullopt;
    for (const auto& row : sessions->rows) {
      wire::Writer to(out.emplace_back());
      for (const float value : row) to.u32(std::bit_cast<std::uint32_t>(value));
    }
    return out;
  }
  const auto set = read_text_set(name == "intent" ? "clinc150" : name == "emotion" ? "goemotions" : "clickbait");
  if (!set) return std::nullopt;
  for (const auto* rows : {&set->test, &set->outside_test}) {
    for (const TextRow& row : *rows) wire::Writer(out.emplace_back()).text(row.text);
  }
  return out;
}

std::optional<Report> judge(const Options& options, const std::string& name) {
  if (name == "fit") {
    const auto set = read_banking77();
    if (!set) return std::nullopt;
    return evaluate_fit(load(options, "intent", "model.oasm"), *set, options.quick);
  }
  if (is_text(name)) {
    const auto set = read_text_set(nlohmann::json::parse(recipe_of(options, name)).at("dataset"));
    if (!set) return std::nullopt;
    const infer::Model model = load(options, name, "model.oasm");
    Report report = name == "intent"    ? evaluate_intent(model, *set)
                    : name == "emotion" ? evaluate_emotion(model, *set)
                                        : evaluate_content(model, *set);
    if (name == "intent") {
      const auto banking = read_banking77();
      const auto recipe = read_file(options.models + "/intent/banking77.recipe.json");
      if (banking && recipe) report.figures.push_back(evaluate_second_set(*recipe, *banking));
    }
    if (!options.quick) add_variants(options, name, *set, report);
    return report;
  }
  const std::string recipe = recipe_of(options, name);
  if (name == "recommendation") {
    const auto visits = read_msweb();
    if (!visits) return std::nullopt;
    return evaluate_recommendation(recipe, load(options, name, "model.oasm"), *visits,
                                   options.quick ? std::nullopt : read_movielens());
  }
  const auto sessions = read_shoppers();
  if (!sessions) return std::nullopt;
  return evaluate_personalization(recipe, *sessions, read_msweb());
}

int run_evaluate(const Options& options, const std::string& name) {
  const auto report = judge(options, name);
  if (!report) return skip(name);
  const std::string text = markdown(*report);
  std::printf("%s\n", text.c_str());
  // A quick run leaves out slow rows, so it may not replace the full report.
  if (options.quick) {
    std::printf("METRICS %s %s\n", name.c_str(), json(*report).dump().c_str());
    return 0;
  }
  const std::string folder = options.models + "/" + name + "/";
  return write_file(folder + "report.md", text) && write_file(folder + "metrics.json", json(*report).dump(2) + "\n")
             ? 0
             : 1;
}

// Inputs as the border takes them, and the border's answers in batches of 500.
int run_dump(const Options& options, const std::string& name) {
  const auto inputs = test_inputs(name);
  if (!inputs) return skip(name);
  const auto file = read_file(options.models + "/" + name + "/model.oasm");
  if (!file) return 2;
  infer::Session session;
  Bytes request = {1};
  request.insert(request.end(), file->begin(), file->end());
  if (session.call_owned(std::move(request))[0] != 0) return 1;
  Bytes dump, answers;
  wire::Writer out(dump);
  out.u32(static_cast<std::uint32_t>(inputs->size()));
  for (const Bytes& input : *inputs) {
    out.u32(static_cast<std::uint32_t>(input.size()));
    out.raw(input);
  }
  for (std::size_t at = 0; at < inputs->size(); at += 500) {
    const std::size_t end = std::min(at + 500, inputs->size());
    Bytes batch = {4, 1, 0, 0};
    wire::Writer ask(batch);
    ask.varint(end - at);
    for (std::size_t i = at; i < end; ++i) ask.raw((*inputs)[i]);
    const ByteView answer = session.call(batch);
    answers.insert(answers.end(), answer.begin(), answer.end());
  }
  const std::string path = options.out + "/" + name;
  return write_file(path + ".inputs", text_of(dump)) && write_file(path + ".answers", text_of(answers)) ? 0 : 1;
}

int run_manifest(const Options& options) {
  auto list = nlohmann::ordered_json::array();
  for (const std::string& name : kModels) {
    const auto recipe_text = recipe_of(options, name);
    const auto recipe = nlohmann::json::parse(recipe_text);
    auto files = nlohmann::ordered_json::array();
    for (const std::string file : {"model.oasm", "model.i4.oasm"}) {
      const auto bytes = read_file(options.models + "/" + name + "/" + file);
      if (!bytes) continue;
      files.push_back({{"quant", file == "model.oasm" ? "int8" : "int4"},
                       {"path", name + "/" + file},
                       {"bytes", bytes->size()},
                       {"sha256", hex_sha256(*bytes)}});
    }
    const auto metrics = read_file(options.models + "/" + name + "/metrics.json");
    list.push_back({{"id", name},
                    {"version", recipe.at("version")},
                    {"format", "oasm-1"},
                    {"kind", is_text(name)              ? "text"
                             : name == "recommendation" ? "history"
                                                        : "numeric"},
                    {"files", files},
                    {"recipeSha256", hex_sha256(recipe_text)},
                    {"licence", recipe.at("licence")},
                    {"attribution", recipe.at("attribution")},
                    {"onByDefault", name != "emotion"},
                    {"metrics", metrics ? nlohmann::ordered_json::parse(*metrics) : nlohmann::ordered_json::array()}});
  }
  const nlohmann::ordered_json manifest = {{"format", 1}, {"models", list}};
  return write_file(options.models + "/manifest.json", manifest.dump(2) + "\n") ? 0 : 1;
}

int run(std::vector<std::string> arguments) {
  Options options;
  std::vector<std::string> names;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& a = arguments[i];
    if (a == "--help") {
      std::printf("%s", kUsage);
      return 0;
    }
    if (a == "--quick")
      options.quick = true;
    else if (a == "--models" && i + 1 < arguments.size())
      options.models = arguments[++i];
    else if (a == "--out" && i + 1 < arguments.size())
      options.out = arguments[++i];
    else if (a == "--data" && i + 1 < arguments.size())
      setenv("OAS_DATA", arguments[++i].c_str(), 1);
    else
      names.push_back(a);
  }
  if (names.empty()) {
    std::fprintf(stderr, "%s", kUsage);
    return 2;
  }
  const std::string command = names[0];
  names.erase(names.begin());
  if (command == "manifest") return run_manifest(options);
  if (names == std::vector<std::string>{"all"}) {
    names = kModels;
    if (command == "evaluate") names.push_back("fit");
  }
  int failed = 0;
  for (const std::string& name : names) {
    if (command == "build")
      failed |= run_build(options, name);
    else if (command == "evaluate")
      failed |= run_evaluate(options, name);
    else if (command == "check")
      failed |= run_check(options, name);
    else if (command == "dump")
      failed |= run_dump(options, name);
    else
      failed = 2;
  }
  return failed;
}

}  // namespace
}  // namespace oas::train

int main(int count, char** values) { return oas::train::run({values, values + count}); }
