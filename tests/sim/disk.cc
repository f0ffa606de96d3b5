#include "sim/disk.h"

#include <utility>

namespace oas::sim {
namespace {

bool holds(const Disk::Records& records, const engine::Expect& expect) {
  const auto at = records.find(expect.key);
  const bool there = at != records.end();
  switch (expect.kind) {
    case engine::Expect::Kind::kAbsent: return !there;
    case engine::Expect::Kind::kPresent: return there;
    case engine::Expect::Kind::kEquals: return there && at->second == expect.value;
  }
  return false;
}

}  // namespace

void Disk::set(const Bytes& key, const Bytes& value, Undos& undos) {
  const auto [at, fresh] = records.try_emplace(key, value);
  undos.push_back({key, fresh ? std::nullopt : std::optional(at->second)});
  if (!fresh) at->second = value;
}

bool Disk::commit(const engine::Persist& persist, bool strict) {
  if (!persist.guard.key.empty()) {
    const auto at = records.find(persist.guard.key);
    if (at != records.end() && at->second == persist.guard.value) return true;
  }
  for (const engine::Expect& expect : persist.expects)
    if (!holds(records, expect)) return false;
  Undos undos;
  for (const engine::KeyRange& range : persist.deletes) {
    auto at = records.lower_bound(range.from);
    while (at != records.end() && at->first < range.to) {
      undos.push_back({at->first, std::move(at->second)});
      at = records.erase(at);
    }
  }
  for (const engine::Put& put : persist.puts) set(put.key, put.value, undos);
  if (!persist.guard.key.empty()) set(persist.guard.key, persist.guard.value, undos);
  if (strict) {
    tail_.clear();
  } else {
    tail_.push_back(std::move(undos));
  }
  return true;
}

std::vector<engine::Put> Disk::scan(const engine::KeyRange& range, std::uint32_t records_max) const {
  std::vector<engine::Put> found;
  for (auto at = records.lower_bound(range.from);
       at != records.end() && at->first < range.to && found.size() < records_max; ++at)
    found.push_back({at->first, at->second});
  return found;
}

void Disk::lose_tail(std::size_t keep) {
  while (tail_.size() > keep) {
    Undos undos = std::move(tail_.back());
    tail_.pop_back();
    for (auto undo = undos.rbegin(); undo != undos.rend(); ++undo) {
      if (undo->before) {
        records[undo->key] = std::move(*undo->before);
      } else {
        records.erase(undo->key);
      }
    }
  }
  tail_.clear();
}

}  // namespace oas::sim
