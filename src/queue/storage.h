// The vocabulary of durable storage: ordered keys, one transaction at a time, preconditions.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace oas::queue {

// The first byte of a key names the object store (keys.h); keys sort bytewise.
struct Put {
  Bytes key;
  Bytes value;
};

// Half open: [from, to). A single record is deleted by the range [key, key + 0x00).
struct KeyRange {
  Bytes from;
  Bytes to;
};

// A precondition, evaluated inside the one transaction. All hold, or nothing is written.
struct Expect {
  enum class Kind : std::uint8_t { kAbsent = 0, kPresent = 1, kEquals = 2 };
  Kind kind{};
  Bytes key;
  Bytes value;  // for kEquals
};

// All or nothing; deletes are carried out before puts.
struct Transaction {
  std::vector<Expect> expects;
  std::vector<Put> puts;
  std::vector<KeyRange> deletes;

  void put(Bytes key, Bytes value) { puts.push_back({std::move(key), std::move(value)}); }
  void erase(const Bytes& key) {
    Bytes to = key;
    to.push_back(0);
    deletes.push_back({key, std::move(to)});
  }
  void expect_absent(Bytes key) { expects.push_back({Expect::Kind::kAbsent, std::move(key), {}}); }
  void expect_present(Bytes key) { expects.push_back({Expect::Kind::kPresent, std::move(key), {}}); }
  void expect_equals(Bytes key, Bytes value) {
    expects.push_back({Expect::Kind::kEquals, std::move(key), std::move(value)});
  }
  [[nodiscard]] bool empty() const { return puts.empty() && deletes.empty(); }
};

}  // namespace oas::queue
