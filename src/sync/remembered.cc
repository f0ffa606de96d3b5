#include "sync/remembered.h"

#include <algorithm>

#include "queue/keys.h"
#include "wire/reader.h"

namespace oas::sync {
namespace {

template <class T>
Result<void> take_into(Cached<T>& cached, const queue::Put& record) {
  OAS_TRY(cached.value, queue::read_record<T>(record.value));
  cached.stored = record.value;
  return {};
}

Result<Epoch> epoch_of(ByteView key) {
  if (key.size() != 10) return fail(ErrorCode::kMalformed, key.size());
  std::uint64_t value = 0;
  for (const std::uint8_t byte : key.subspan(2)) value = value << 8 | byte;
  return Epoch{value};
}

}  // namespace

Result<void> Remembered::take(const queue::Put& record) {
  if (record.key.size() < 2 || record.key[0] != 'm') return fail(ErrorCode::kMalformed, 0);
  switch (record.key[1]) {
    case 'l': return take_into(lease, record);
    case 'r': return take_into(retry, record);
    case 's': return take_into(server, record);
    case 'f': return take_into(folded, record);
    case 'w': {
      OAS_TRY(const StreamId stream, queue::read_watermark_key(record.key));
      return take_into(marks[stream], record);
    }
    case 'e': {
      OAS_TRY(const Epoch epoch, epoch_of(record.key));
      return take_into(totals[epoch], record);
    }
    default: return {};
  }
}

queue::StreamMark Remembered::mark(StreamId stream) const {
  const auto at = marks.find(stream);
  return at == marks.end() ? queue::StreamMark{} : at->second.value;
}

const queue::EpochTotals* Remembered::totals_of(Epoch epoch) const {
  const auto at = totals.find(epoch);
  return at == totals.end() || at->second.stored.empty() ? nullptr : &at->second.value;
}

Hlc Remembered::clock() const {
  Hlc greatest;
  for (const auto& [epoch, record] : totals) greatest = std::max(greatest, record.value.hlc);
  return greatest;
}

}  // namespace oas::sync
