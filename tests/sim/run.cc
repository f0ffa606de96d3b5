#include "sim/run.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "base/sim_points.h"
#include "sim/replay.h"
#include "sim/world.h"

namespace oas::sim {
namespace {

constexpr std::string_view kUsage =
    "usage: sim [--mode safety|liveness] [--seeds N] [--from SEED] [--seed SEED] [--trace] [--documents [--folds]] "
    "[--machines] [--withdraw] [--dictionaries] [--without "
    "FAULTS] "
    "[--lanes N] [--mutant NAME] [--mutants] [--replay FILE] [--json]\n"
    "  --seeds N      worlds to run (default 500), numbered from --from (default 1)\n"
    "  --seed SEED    one world, twice: prints its digest and what it found\n"
    "  --without A,B  the same world, but these faults never strike; to find out which of them matter\n"
    "  --lanes N      events only in the first N lanes, as in worlds that were told of before there were more\n"
    "  --machines     running machines are copied too\n"
    "  --withdraw     people withdraw their consent to analytics\n"
    "  --dictionaries pushes are packed with dictionaries, which the server may lose\n"
    "  --documents    people edit documents as well: other worlds, with numbers of their own\n"
    "  --folds        their documents are folded in worlds of every kind\n"
    "  --trace        tell what happens in the one world of --seed\n"
    "  --mutant NAME  with the protocol mistake of that name switched on\n"
    "  --mutants      every mistake in turn, each until its first violation, at most --seeds (default 200) worlds; "
    "those of "
    "documents where documents are edited\n"
    "  --replay FILE  a trace that the devtools have exported: the same calls and the same network once more\n"
    "  --json         one JSON object as the last line\n";

struct MutantRow {
  Mutant id;
  std::string_view name;
  std::string_view sentence;
  bool of_documents;
};
constexpr MutantRow kMutants[] = {
#define OAS_MUTANT_ROW(name, sentence) {Mutant::name, #name, sentence, false},
#include "base/mutants.def"
#undef OAS_MUTANT_ROW
#define OAS_MUTANT_ROW(name, sentence) {Mutant::name, #name, sentence, true},
#include "base/document_mutants.def"
#undef OAS_MUTANT_ROW
};

// A running machine that is copied with all its memory goes on twice under one epoch. Most such worlds come out right, not
// all of them yet, so it strikes only when asked for.
FaultSet unless_asked() {
  FaultSet faults{};
  faults[static_cast<std::size_t>(Fault::kMachineCloned)] = true;
  return faults;
}

struct Options {
  Mode mode = Mode::kSafety;
  std::uint64_t from = 1;
  std::optional<std::uint64_t> seeds;
  std::optional<std::uint64_t> seed;
  std::optional<MutantRow> mutant;
  std::string_view trace_file;
  FaultSet without = unless_asked();
  std::uint32_t lanes = kLaneCount;
  DocumentOptions documents;
  Habits habits;
  bool mutants = false;
  bool trace = false;
  bool json = false;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Options> parse(const std::vector<std::string_view>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--mutants") {
      options.mutants = true;
    } else if (name == "--documents") {
      options.documents.edited = true;
    } else if (name == "--folds") {
      options.documents.folds = true;
    } else if (name == "--withdraw") {
      options.habits.withdraw = true;
    } else if (name == "--dictionaries") {
      options.habits.pack = true;
    } else if (name == "--machines") {
      options.without[static_cast<std::size_t>(Fault::kMachineCloned)] = false;
    } else if (name == "--trace") {
      options.trace = true;
    } else if (name == "--json") {
      options.json = true;
    } else if (i + 1 == arguments.size()) {
      return std::nullopt;
    } else {
      const std::string_view value = arguments[++i];
      const std::optional<std::uint64_t> count = number(value);
      if (name == "--mode" && (value == "safety" || value == "liveness")) {
        options.mode = value == "safety" ? Mode::kSafety : Mode::kLiveness;
      } else if (name == "--seeds" && count) {
        options.seeds = count;
      } else if (name == "--from" && count) {
        options.from = *count;
      } else if (name == "--seed" && count) {
        options.seed = count;
      } else if (name == "--lanes" && count && *count > 0 && *count <= kLaneCount) {
        options.lanes = static_cast<std::uint32_t>(*count);
      } else if (name == "--replay" && !value.empty()) {
        options.trace_file = value;
      } else if (name == "--without") {
        for (std::size_t fault = 0; fault < kFaultCount; ++fault)
          if (value.find(kFaultNames[fault]) != std::string_view::npos) options.without[fault] = true;
      } else if (name == "--mutant") {
        for (const MutantRow& row : kMutants)
          if (row.name == value || row.name.substr(1) == value) options.mutant = row;
        if (!options.mutant) return std::nullopt;
      } else {
        return std::nullopt;
      }
    }
  }
  return options;
}

Report run_seed(std::uint64_t seed, Mode mode, Mutant mutant, FaultCounts& counts, const Options& options) {
  active_mutant = mutant;
  World world(seed, mode, counts, options.without, options.lanes, options.documents, options.habits);
  Report report = world.run();
  active_mutant = Mutant::kNone;
  return report;
}

int replay(const Options& options) {
  FaultCounts counts{};
  const Mutant mutant = options.mutant ? options.mutant->id : Mutant::kNone;
  tracing = options.trace;
  const Report first = run_seed(*options.seed, options.mode, mutant, counts, options);
  tracing = false;
  const Report second = run_seed(*options.seed, options.mode, mutant, counts, options);
  std::printf("seed=%llu events=%llu digest=%016llx drained in %lld ms\n",
              static_cast<unsigned long long>(*options.seed), static_cast<unsigned long long>(first.events),
              static_cast<unsigned long long>(first.digest), static_cast<long long>(first.slowest_drain_ms));
  if (first.digest != second.digest) std::printf("I9: the second run has another digest\n");
  for (std::size_t i = 0; i < kFaultCount; ++i)
    if (counts[i] > 0)
      std::printf("  %s x%llu\n", kFaultNames[i].data(), static_cast<unsigned long long>(counts[i] / 2));
  std::printf("%s\n", first.violation.empty() ? "no violation" : first.violation.c_str());
  return first.violation.empty() && first.digest == second.digest ? 0 : 1;
}

int run_mutants(const Options& options) {
  const std::uint64_t seeds = options.seeds.value_or(200);
  std::uint32_t alive = 0;
  std::uint64_t slowest = 0;
  std::printf("%-30s %6s  %s\n", "mutant", "killed", "by");
  for (const MutantRow& row : kMutants) {
    FaultCounts counts{};
    std::uint64_t killed = 0;
    std::string by;
    Options worlds = options;
    worlds.documents.edited |= row.of_documents;
    for (std::uint64_t i = 1; i <= seeds && killed == 0; ++i) {
      for (const Mode mode : {Mode::kSafety, Mode::kLiveness}) {
        const Report report = run_seed(options.from - 1 + i, mode, row.id, counts, worlds);
        if (report.violation.empty()) continue;
        killed = i;
        by = report.violation;
        break;
      }
    }
    alive += killed == 0;
    slowest = std::max(slowest, killed);
    const std::string when = killed == 0 ? "ALIVE" : std::to_string(killed);
    std::printf("%-30s %6s  %s\n", row.name.substr(1).data(), when.c_str(), by.substr(0, 110).c_str());
    std::fflush(stdout);
  }
  const std::size_t all = std::size(kMutants);
  std::printf("%zu mutants, %u alive, each killed within %llu seeds\n", all, alive,
              static_cast<unsigned long long>(slowest));
  if (options.json)
    std::printf("{\"mutants\":%zu,\"alive\":%u,\"slowest\":%llu}\n", all, alive,
                static_cast<unsigned long long>(slowest));
  return alive == 0 ? 0 : 1;
}

int run_seeds(const Options& options) {
  const std::uint64_t seeds = options.seeds.value_or(500);
  const Mutant mutant = options.mutant ? options.mutant->id : Mutant::kNone;
  FaultCounts counts{};
  std::uint64_t events = 0;
  std::uint64_t violations = 0;
  std::uint64_t unequal = 0;
  std::int64_t slowest = 0;
  std::uint64_t digest = 0;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < seeds; ++i) {
    const std::uint64_t seed = options.from + i;
    const Report report = run_seed(seed, options.mode, mutant, counts, options);
    events += report.events;
    slowest = std::max(slowest, report.slowest_drain_ms);
    digest = digest * 31 + report.digest;
    if (!report.violation.empty() && ++violations <= 20) {
      std::printf("seed=%llu %s\n", static_cast<unsigned long long>(seed), report.violation.c_str());
      std::fflush(stdout);
    }
    if (i % 16 == 0) {
      // I9: the same seed, the same digest.
      FaultCounts again{};
      unequal += run_seed(seed, options.mode, mutant, again, options).digest != report.digest;
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::uint64_t faults = 0;
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    if (options.without[i]) continue;
    faults += counts[i];
    std::printf("%-20s %10llu\n", kFaultNames[i].data(), static_cast<unsigned long long>(counts[i]));
  }
  const double per_minute = static_cast<double>(events) * (17.0 / 16.0) / seconds * 60;
  std::printf(
      "%llu seeds, %llu events, %llu faults, %llu violations, %llu unequal digests, slowest drain %lld ms, %.0f "
      "events/min\n",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(events),
      static_cast<unsigned long long>(faults), static_cast<unsigned long long>(violations),
      static_cast<unsigned long long>(unequal), static_cast<long long>(slowest), per_minute);
  if (options.json) {
    std::uint64_t rarest = UINT64_MAX;
    for (std::size_t i = 0; i < kFaultCount; ++i)
      if (!options.without[i]) rarest = std::min(rarest, counts[i]);
    std::printf(
        "{\"seeds\":%llu,\"events\":%llu,\"faults\":%llu,\"rarest_fault\":%llu,\"violations\":%llu,"
        "\"unequal_digests\":%llu,\"slowest_drain_ms\":%lld,\"events_per_minute\":%.0f,\"digest\":\"%016llx\"}\n",
        static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(events),
        static_cast<unsigned long long>(faults), static_cast<unsigned long long>(rarest),
        static_cast<unsigned long long>(violations), static_cast<unsigned long long>(unequal),
        static_cast<long long>(slowest), per_minute, static_cast<unsigned long long>(digest));
  }
  return violations == 0 && unequal == 0 ? 0 : 1;
}

}  // namespace

int simulate(const std::vector<std::string_view>& arguments) {
  const std::optional<Options> options = parse(arguments);
  if (!options) {
    std::printf("%s", kUsage.data());
    return 2;
  }
  if (options->mutants) return run_mutants(*options);
  if (!options->trace_file.empty())
    return replay_file(options->trace_file, options->mutant ? options->mutant->id : Mutant::kNone);
  return options->seed ? replay(*options) : run_seeds(*options);
}

}  // namespace oas::sim
