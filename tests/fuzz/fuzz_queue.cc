// The queue's own records, keys, journal and calls against arbitrary bytes: what was damaged on disk or handed in by an app.
// Whatever is read must be written again as the same bytes. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <map>

#include "fuzz/feed.h"
#include "queue/outbox.h"
#include "sync/acknowledge.h"
#include "sync/remembered.h"

namespace {

using namespace oas;
using namespace oas::queue;
using fuzz::Feed;
using fuzz::require;

// Enumerations are read as any number; a record is settled after one round.
template <class T>
void fuzz_record(ByteView bytes) {
  const Result<T> record = read_record<T>(bytes);
  if (!record) return;
  const Bytes written = write_record(*record);
  const Result<T> again = read_record<T>(written);
  require(again.has_value() && write_record(*again) == written);
}

void fuzz_records(Feed feed) {
  const std::uint8_t kind = feed.u8();
  const ByteView bytes = feed.rest();
  switch (kind % 10) {
    case 0: fuzz_record<EpochTotals>(bytes); break;
    case 1: fuzz_record<StreamMark>(bytes); break;
    case 2: fuzz_record<Lease>(bytes); break;
    case 3: fuzz_record<RetryState>(bytes); break;
    case 4: fuzz_record<ServerState>(bytes); break;
    case 5: fuzz_record<FoldedTotals>(bytes); break;
    case 6: fuzz_record<DeadLetter>(bytes); break;
    case 7: fuzz_record<HoleRecord>(bytes); break;
    case 8: {
      const auto deferred = sync::read_deferred(bytes);
      if (deferred) require(sync::write_deferred(*deferred) == to_bytes(bytes));
      break;
    }
    default: (void)sync::event_of(bytes, {1}); break;
  }
}

void fuzz_keys(ByteView bytes) {
  if (const auto key = read_segment_key(bytes)) {
    const bool there = bytes.size() != 35 || bytes[0] != 's' || bytes[1] != 'p' || pending_key(*key) == to_bytes(bytes);
    require(there);
  }
  if (const auto stream = read_watermark_key(bytes))
    require(bytes[0] != 'm' || bytes[1] != 'w' || watermark_key(*stream) == to_bytes(bytes));
  const Bytes prefix = to_bytes(bytes);
  const Bytes after = after_prefix(prefix);
  require(after.empty() || prefix < after);
  require(prefix < after_key(prefix));
}

void fuzz_remembered(Feed feed) {
  sync::Remembered remembered;
  while (!feed.done()) {
    const ByteView key = feed.bytes(feed.below(24));
    const ByteView value = feed.bytes(feed.u8());
    (void)remembered.take({to_bytes(key), to_bytes(value)});
  }
  (void)remembered.clock();
}

// Every segment that stands in a transaction opens, under the numbers its key names, without a gap.
void check_segments(const Transaction& transaction, std::map<StreamId, std::uint64_t> last) {
  for (const Put& put : transaction.puts) {
    if (put.key[0] != 's' || put.key[1] != 'p') continue;
    const auto key = read_segment_key(put.key);
    const auto segment = wire::open_segment(put.value);
    require(key.has_value() && segment.has_value());
    require(segment->head.first == key->first && segment->head.last() == key->last);
    require(key->first.value == last[key->stream] + 1);
    last[key->stream] = key->last.value;
    Bytes rows;
    require(wire::decode_rows(*segment, rows).has_value());
    wire::RowCursor cursor(segment->head, rows);
    while (!cursor.done()) require(cursor.next().has_value());
  }
}

void fuzz_calls(Feed feed) {
  Outbox outbox({7}, {1, 1, 1, 1, 1});
  std::map<StreamId, std::uint64_t> last;
  for (std::uint32_t command = 1; !feed.done(); command += 8) {
    std::vector<Refusal> refused;
    const std::uint32_t count = 1 + feed.below(7);
    Bytes text = to_bytes(feed.bytes(feed.u16() % 2'000));
    // A call that could be one, before whatever else the bytes say.
    if (feed.below(2) == 0) {
      const std::string_view call("02\0t\0m\0e\0\0{}\0", 14);
      text.insert(text.begin(), call.begin(), call.end());
    }
    const std::uint64_t before = outbox.waiting_count();
    outbox.accept(command, count, std::move(text), refused);
    require(outbox.waiting_count() - before + refused.size() == count);
    if (!outbox.has_waiting() || feed.below(3) == 0) continue;
    Transaction transaction;
    (void)outbox.form({static_cast<std::int64_t>(feed.u16())}, transaction);
    check_segments(transaction, last);
    if (feed.below(4) == 0) {
      outbox.aborted({ErrorCode::kStorageFailed}, refused);
      continue;
    }
    (void)outbox.stored();
    for (std::uint32_t lane = 0; lane < kLaneCount; ++lane)
      last[{{7}, static_cast<Lane>(lane)}] = outbox.totals().last[lane];
  }
}

void fuzz_journal(Feed feed) {
  Bytes record;
  wire::Writer out(record);
  out.u8('J');
  out.u8(1);
  out.u64(feed.u64());
  out.u64(9);
  EpochTotals totals;
  std::map<StreamId, std::uint64_t> last;
  for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) {
    out.u64(feed.magnitude());
    totals.last[lane] = last[{{9}, static_cast<Lane>(lane)}] = feed.below(4);
  }
  const bool bare = feed.below(4) == 0;
  const ByteView text = feed.rest();
  std::uint32_t fnv = 0x811C9DC5U;
  for (const std::uint8_t byte : text) fnv = (fnv ^ byte) * 0x01000193U;
  out.u32(fnv);
  out.raw(text);
  const EpochTotals before = totals;
  Transaction transaction;
  const auto taken = take_over_journal(bare ? text : ByteView(record), totals, transaction);
  if (!taken) require(totals == before && transaction.empty());
  if (taken) check_segments(transaction, last);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Feed feed(ByteView(data, size));
  switch (feed.below(5)) {
    case 0: fuzz_records(feed); break;
    case 1: fuzz_keys(feed.rest()); break;
    case 2: fuzz_remembered(feed); break;
    case 3: fuzz_calls(feed); break;
    default: fuzz_journal(feed); break;
  }
  return 0;
}
