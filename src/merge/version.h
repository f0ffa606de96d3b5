// A set of dots: what a replica holds, what a writer had seen, what is void.
//
// Kept as sorted, merged runs, so a replica without gaps costs one entry for each epoch, and none at all for operations
// under the change number below which it has everything (`seen`): compaction raises that number and drops the runs.
#pragma once

#include <cstdint>
#include <vector>

#include "merge/clock.h"

namespace oas::merge {

struct DotRun {
  Epoch epoch;
  std::uint64_t first{};
  std::uint64_t last{};  // inclusive
  friend auto operator<=>(const DotRun&, const DotRun&) = default;
};

class Version {
 public:
  // The change number up to which everything is contained, whatever its dot.
  std::uint64_t seen = 0;

  [[nodiscard]] const std::vector<DotRun>& runs() const { return runs_; }
  [[nodiscard]] bool empty() const { return runs_.empty() && seen == 0; }

  // O(log runs). `change` is the dot's change number where it is known, else 0.
  [[nodiscard]] bool contains(const Dot& dot, std::uint64_t change = 0) const;
  // The greatest n of the epoch, or 0.
  [[nodiscard]] std::uint64_t last_of(Epoch epoch) const;
  [[nodiscard]] bool contains_all(const Version& other) const;

  void add(const Dot& dot) { add({dot.epoch, dot.n, dot.n}); }
  // O(runs) at worst; O(1) when the run continues the newest of its epoch.
  void add(const DotRun& run);
  void add(const Version& other);
  // Drops what `keep` says no to; `keep` is called once for each run.
  template <class Keep>
  void filter(Keep keep) {
    std::erase_if(runs_, [&](const DotRun& run) { return !keep(run); });
  }

  friend auto operator<=>(const Version&, const Version&) = default;

 private:
  std::vector<DotRun> runs_;  // by (epoch, first), never touching
};

}  // namespace oas::merge
