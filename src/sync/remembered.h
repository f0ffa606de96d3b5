// What a drainer remembers of the meta store while it holds the lease, with the bytes each record had when it was read.
//
// Every write that changes one of these records names those bytes as a precondition, so that two drainers can never
// both win; a miss throws the memory away.
#pragma once

#include <map>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "queue/records.h"
#include "queue/storage.h"

namespace oas::sync {

template <class T>
struct Cached {
  T value{};
  Bytes stored;  // empty = absent
};

struct Remembered {
  Cached<queue::Lease> lease;
  Cached<queue::RetryState> retry;
  Cached<queue::ServerState> server;
  Cached<queue::FoldedTotals> folded;
  std::map<StreamId, Cached<queue::StreamMark>> marks;
  std::map<Epoch, Cached<queue::EpochTotals>> totals;

  // One record of the meta store; kinds that are not kept here are passed over. A record of a newer format is an error
  // (kUnknownVersion) and must never be overwritten.
  Result<void> take(const queue::Put& record);

  [[nodiscard]] queue::StreamMark mark(StreamId stream) const;
  // The epoch's totals, or none where the record is missing.
  [[nodiscard]] const queue::EpochTotals* totals_of(Epoch epoch) const;
  // The greatest clock any context of this device has stored.
  [[nodiscard]] Hlc clock() const;
};

// Puts `value` under `key`, if the record still is what it was when it was read.
template <class T>
void put_guarded(queue::Transaction& transaction, const Bytes& key, Cached<T>& cached, const T& value) {
  if (cached.stored.empty()) {
    transaction.expect_absent(key);
  } else {
    transaction.expect_equals(key, cached.stored);
  }
  cached.value = value;
  cached.stored = queue::write_record(value);
  transaction.put(key, cached.stored);
}

}  // namespace oas::sync
