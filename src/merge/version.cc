#include "merge/version.h"

#include <algorithm>

namespace oas::merge {
namespace {

// The first run that does not end before (epoch, n).
template <class Runs>
auto run_at(Runs& runs, Epoch epoch, std::uint64_t n) {
  return std::lower_bound(runs.begin(), runs.end(), n, [epoch](const DotRun& run, std::uint64_t wanted) {
    return run.epoch != epoch ? run.epoch < epoch : run.last < wanted;
  });
}

}  // namespace

bool Version::contains(const Dot& dot, std::uint64_t change) const {
  if (change != 0 && change <= seen) return true;
  const auto at = run_at(runs_, dot.epoch, dot.n);
  return at != runs_.end() && at->epoch == dot.epoch && at->first <= dot.n;
}

std::uint64_t Version::last_of(Epoch epoch) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), epoch,
                                      [](Epoch wanted, const DotRun& run) { return wanted < run.epoch; });
  return after != runs_.begin() && std::prev(after)->epoch == epoch ? std::prev(after)->last : 0;
}

bool Version::contains_all(const Version& other) const {
  return other.seen <= seen && std::all_of(other.runs_.begin(), other.runs_.end(), [this](const DotRun& run) {
           const auto at = run_at(runs_, run.epoch, run.first);
           return at != runs_.end() && at->epoch == run.epoch && at->first <= run.first && at->last >= run.last;
         });
}

void Version::add(const DotRun& run) {
  // Everything that overlaps or touches the new run becomes one run with it.
  auto first = run_at(runs_, run.epoch, run.first == 0 ? 0 : run.first - 1);
  auto last = first;
  DotRun merged = run;
  while (last != runs_.end() && last->epoch == run.epoch && last->first <= run.last + 1) {
    merged.first = std::min(merged.first, last->first);
    merged.last = std::max(merged.last, last->last);
    ++last;
  }
  if (first == last) {
    runs_.insert(first, merged);
  } else {
    *first = merged;
    runs_.erase(first + 1, last);
  }
}

void Version::add(const Version& other) {
  seen = std::max(seen, other.seen);
  for (const DotRun& run : other.runs_) add(run);
}

}  // namespace oas::merge
