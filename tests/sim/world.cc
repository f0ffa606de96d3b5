#include "sim/world.h"

#include <utility>

#include "base/hash.h"
#include "base/sim_points.h"
#include "sim/documents_world.h"

namespace oas::sim {
namespace {

constexpr std::int64_t kWallStart = 1'700'000'000'000;
constexpr std::int64_t kStormMs = 150'000;
constexpr std::int64_t kShortStormMs = 25'000;
constexpr int kShortStorms = 3;
constexpr std::size_t kDevicesMost = 3;
constexpr std::size_t kTabsMost = 3;

}  // namespace

World::World(std::uint64_t seed, Mode mode, FaultCounts& counts, const FaultSet& without, std::uint32_t lanes,
             const DocumentOptions& documents, const Habits& habits)
    : prng_(seed),
      withdrawals_(hash_mix(seed, 0xC045)),
      packing_(hash_mix(seed, 0xD1C7)),
      habits_(habits),
      tells_gone_(seed % 2 == 0),
      reads_ahead_(seed / 2 % 2 == 0),
      lanes_(lanes),
      mode_(mode),
      faults_(prng_, counts, without),
      server_(prng_, faults_, ledger_) {
  seed_buggify(seed, prng_.chance(1, 2));
  // A journal's clock is the wall of its moment, so its events cannot be put behind earlier ones once that goes back.
  if (faults_.uses(Fault::kClockJump)) faults_.forbid(Fault::kJournalLeft);
  // Copies of a running machine need a record of everything that went in: few worlds pay for it.
  if (!prng_.chance(1, 4)) faults_.forbid(Fault::kMachineCloned);
  const std::size_t devices = 1 + prng_.below(kDevicesMost);
  for (std::size_t i = 0; i < devices; ++i) {
    devices_.push_back(std::make_unique<Device>());
    devices_.back()->id.value[0] = static_cast<std::uint8_t>(i + 1);
    const std::size_t tabs = 1 + prng_.below(kTabsMost);
    for (std::size_t slot = 0; slot < tabs; ++slot) {
      contexts_.push_back(std::make_unique<Context>());
      contexts_.back()->device = i;
      contexts_.back()->slot = static_cast<std::uint32_t>(slot);
      devices_.back()->contexts.push_back(contexts_.size() - 1);
    }
  }
  if (documents.edited) documents_ = std::make_unique<DocumentWorld>(*this, seed, documents.folds);
}

World::~World() = default;

void World::at(std::int64_t time, std::function<void()> action) {
  agenda_.emplace(std::pair(std::max(time, now_), ++serial_), std::move(action));
}

void World::run_until(std::int64_t time) {
  while (!agenda_.empty() && agenda_.begin()->first.first <= time && !ledger_.violation) {
    now_ = agenda_.begin()->first.first;
    const std::function<void()> action = std::move(agenda_.begin()->second);
    agenda_.erase(agenda_.begin());
    action();
  }
  now_ = std::max(now_, time);
}

std::int64_t World::wall(const Device& device) const { return kWallStart + now_ + device.skew; }

Report World::run() {
  for (const auto& device : devices_) open_browser(*device);
  const int storms = mode_ == Mode::kSafety ? 1 : kShortStorms;
  for (int i = 0; i < storms && !ledger_.violation; ++i) {
    faults_.active = true;
    storm(now_ + (mode_ == Mode::kSafety ? kStormMs : kShortStormMs));
    calm();
    settle();
  }
  if (!ledger_.violation) check_end();
  return {.violation = ledger_.violation.value_or(""),
          .events = ledger_.fates.size() - 1 + ledger_.clicks_made,
          .digest = digest_,
          .slowest_drain_ms = slowest_drain_ms_};
}

}  // namespace oas::sim
