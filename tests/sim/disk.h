// One browser profile's storage: transactions as an IndexedDB host carries them out, and what a power cut does to them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "engine/io.h"

namespace oas::sim {

class Disk {
 public:
  using Records = std::map<Bytes, Bytes>;

  // False = a precondition failed and nothing was written. A guard found in place means that this very transaction was
  // written before. A strict commit makes everything before it durable too: there is one log.
  bool commit(const engine::Persist& persist, bool strict);
  // Up to `records_max` records of the range, ascending.
  [[nodiscard]] std::vector<engine::Put> scan(const engine::KeyRange& range, std::uint32_t records_max) const;
  // The unsynced tail is dropped from its end: `keep` of its transactions survive.
  void lose_tail(std::size_t keep);
  [[nodiscard]] std::size_t tail() const { return tail_.size(); }

  Records records;

 private:
  struct Undo {
    Bytes key;
    std::optional<Bytes> before;
  };
  using Undos = std::vector<Undo>;
  void set(const Bytes& key, const Bytes& value, Undos& undos);

  std::vector<Undos> tail_;
};

}  // namespace oas::sim
