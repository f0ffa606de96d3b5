#include "queue/outbox.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/sim_points.h"
#include "wire/json_check.h"

namespace oas::queue {
namespace {

constexpr std::uint32_t kFieldsPerEvent = 6;

// Entity hashes met while a transaction is formed, each with the lane of its last event. Open addressing; a lost race
// for a slot only cuts a segment early.
class EntityLanes {
 public:
  explicit EntityLanes(std::size_t events) : slots_(std::bit_ceil(events * 2 + 2)) {}

  // Notes the lane; true when the entity was last met in another one.
  bool crosses(std::uint32_t entity, Lane lane) {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = entity & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.generation != generation_) {
        slot = {entity, generation_, lane};
        return false;
      }
      if (slot.entity == entity) return std::exchange(slot.lane, lane) != lane;
    }
  }
  void clear() { ++generation_; }

 private:
  struct Slot {
    std::uint32_t entity{};
    std::uint32_t generation{};
    Lane lane{};
  };
  std::vector<Slot> slots_;
  std::uint32_t generation_ = 1;
};

// Lanes whose entities keep one order (docs/protocol.md).
bool ordered(Lane lane) { return lane <= Lane::kNormal; }

Result<std::string_view> take_field(ByteView text, std::size_t& at) {
  const auto from = text.begin() + static_cast<std::ptrdiff_t>(at);
  const auto end = std::find(from, text.end(), std::uint8_t{0});
  if (end == text.end()) return fail(ErrorCode::kMalformed, at);
  const auto size = static_cast<std::size_t>(end - from);
  const std::string_view field = as_text(text.subspan(at, size));
  at += size + 1;
  return field;
}

struct Call {
  Lane lane{};
  Durability durability{};
  wire::EventView event;
};

// The six fields of one call. Errors are those of a host that broke the format; content is checked apart.
Result<Call> take_call(ByteView text, std::size_t& at) {
  std::string_view fields[kFieldsPerEvent];
  for (std::string_view& field : fields) {
    OAS_TRY(field, take_field(text, at));
  }
  const std::string_view head = fields[0];
  if (head.size() != 2 || head[0] < '0' || head[0] >= static_cast<char>('0' + kLaneCount))
    return fail(ErrorCode::kUnknownPriority);
  if (head[1] < '0' || head[1] > '2') return fail(ErrorCode::kInvalidArgument);
  return Call{.lane = static_cast<Lane>(head[0] - '0'),
              .durability = static_cast<Durability>(head[1] - '0'),
              .event = {.hlc = {},
                        .type = fields[1],
                        .module = fields[2],
                        .entity = fields[3],
                        .dedupe_key = fields[4],
                        .replaces = {},
                        .json = as_bytes(fields[5])}};
}

Result<void> check_call(const wire::EventView& event) {
  if (event.type.empty()) return fail(ErrorCode::kInvalidEnvelope);
  OAS_CHECK(wire::check_envelope(event));
  return wire::check_json(event.json);
}

void put_segments(wire::SegmentBuilder& builder, StreamId stream, Transaction& transaction) {
  for (wire::SealedSegment& sealed : builder.seal()) {
    const SegmentKey key{.hlc = sealed.hlc_first, .stream = stream, .first = sealed.first, .last = sealed.last};
    if (!sealed.entities.empty() && ordered(stream.lane)) {
      Bytes entities;
      wire::Writer out(entities);
      for (const std::uint32_t entity : sealed.entities) out.u32(entity);
      transaction.put(entities_key(key), std::move(entities));
    }
    transaction.put(pending_key(key), std::move(sealed.bytes));
  }
}

}  // namespace

Outbox::Outbox(Epoch epoch, const std::array<std::uint64_t, kLaneCount>& next) : epoch_(epoch), open_(kLaneCount) {
  for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) totals_.last[lane] = next[lane] - 1;
  forming_ = totals_;
}

void Outbox::resume(const EpochTotals& totals) {
  OAS_ASSERT(!in_hand_);
  const Hlc clock = std::max(totals_.hlc, totals.hlc);
  totals_ = totals;
  totals_.hlc = clock;
  forming_ = totals_;
}

void Outbox::change_epoch(Epoch epoch) {
  OAS_ASSERT(!in_hand_);
  epoch_ = epoch;
  totals_ = EpochTotals{.hlc = totals_.hlc};
  forming_ = totals_;
}

void Outbox::observe(Hlc hlc) {
  totals_.hlc = std::max(totals_.hlc, hlc);
  forming_.hlc = std::max(forming_.hlc, hlc);
}

void Outbox::accept(std::uint32_t first_command, std::uint32_t count, Bytes text, std::vector<Refusal>& refused) {
  const auto batch = first_batch_ + static_cast<std::uint32_t>(batches_.size());
  batches_.push_back({std::move(text), 0});
  const ByteView bytes = batches_.back().text;
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t start = at;
    Result<Call> call = take_call(bytes, at);
    Result<void> checked = call ? check_call(call->event) : std::unexpected(call.error());
    if (checked && (waiting_.size() >= kWaitingEventsMax || waiting_bytes_ >= kWaitingBytesMax))
      checked = fail(ErrorCode::kQueueFull);
    if (!checked) {
      refused.push_back({first_command + i, checked.error()});
      continue;
    }
    waiting_.push_back({first_command + i, call->lane, call->durability, false, batch, call->event});
    waiting_bytes_ += at - start;
    ++batches_.back().users;
  }
  if (batches_.back().users == 0) batches_.pop_back();
}

void Outbox::accept_event(std::uint32_t command, Lane lane, Durability durability, Bytes canonical_event) {
  const auto batch = first_batch_ + static_cast<std::uint32_t>(batches_.size());
  batches_.push_back({std::move(canonical_event), 1});
  wire::Reader reader(batches_.back().text);
  const Result<wire::EventView> event = wire::read_event(reader);
  OAS_ASSERT(event.has_value());
  waiting_.push_back({command, lane, durability, true, batch, *event});
  waiting_bytes_ += batches_.back().text.size();
}

Hlc Outbox::tick(Millis wall) {
  const std::uint64_t now = static_cast<std::uint64_t>(std::max<std::int64_t>(wall.value, 0)) << 16;
  forming_.hlc = {std::max(now, forming_.hlc.value + 1)};
  return forming_.hlc;
}

void Outbox::seal(Lane lane, Transaction& transaction) {
  const auto at = static_cast<std::size_t>(lane);
  if (!open_[at]) return;
  put_segments(*open_[at], {epoch_, lane}, transaction);
  open_[at].reset();
}

void Outbox::release(std::uint32_t batch) {
  --batches_[batch - first_batch_].users;
  while (!batches_.empty() && batches_.front().users == 0) {
    batches_.pop_front();
    ++first_batch_;
  }
}

Durability Outbox::form(Millis wall, Transaction& transaction) {
  OAS_ASSERT(!in_hand_ && !waiting_.empty());
  in_hand_ = true;
  runs_.clear();
  lanes_forming_ = 0;
  forming_ = totals_;
  EntityLanes entities(std::min<std::size_t>(waiting_.size(), kTransactionEventsMax));
  Durability durability = Durability::kMemory;
  std::uint64_t bytes = 0;
  for (std::uint32_t n = 0; !waiting_.empty() && n < kTransactionEventsMax && bytes < kTransactionBytesMax; ++n) {
    Waiting& call = waiting_.front();
    const auto lane = static_cast<std::size_t>(call.lane);
    call.event.hlc = tick(wall);
    if (ordered(call.lane) && !call.event.entity.empty() &&
        entities.crosses(entity_hash(as_bytes(call.event.entity)), call.lane)) {
      // Segments are sent in the order of their first event, so two lanes that share an entity must not overlap in time.
      for (const Lane other : {Lane::kCritical, Lane::kHigh, Lane::kNormal}) seal(other, transaction);
      entities.clear();
      (void)entities.crosses(entity_hash(as_bytes(call.event.entity)), call.lane);
    }
    if (open_[lane] && !open_[lane]->fits(call.event)) seal(call.lane, transaction);
    if (!open_[lane])
      open_[lane].emplace(StreamId{epoch_, call.lane}, Sequence{forming_.last[lane] + 1}, forming_.hash[lane]);
    open_[lane]->add(call.event);
    const EventId id{{epoch_, call.lane}, {++forming_.last[lane]}};
    forming_.hash[lane] = open_[lane]->hash();
    durability = std::max(durability, call.durability);
    lanes_forming_ |= 1U << lane;
    bytes += call.event.json.size() + 64;
    if (!runs_.empty() && runs_.back().first.stream == id.stream &&
        runs_.back().first_command + runs_.back().count == call.command) {
      ++runs_.back().count;
    } else {
      runs_.push_back({call.command, 1, id});
    }
    const std::uint32_t batch = call.batch;
    waiting_.pop_front();
    release(batch);
  }
  for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) seal(static_cast<Lane>(lane), transaction);
  if (waiting_.empty()) waiting_bytes_ = 0;
  transaction.put(epoch_key(epoch_), write_record(forming_));
  return std::max(durability, Durability::kDurable);
}

std::vector<AcceptedRun> Outbox::stored() {
  OAS_ASSERT(in_hand_);
  in_hand_ = false;
  totals_ = forming_;
  lanes_stored_ = lanes_forming_;
  return std::exchange(runs_, {});
}

void Outbox::aborted(Error error, std::vector<Refusal>& refused) {
  OAS_ASSERT(in_hand_);
  in_hand_ = false;
  const Hlc clock = forming_.hlc;
  if (!OAS_MUTANT(kNumbersKeptAfterAbort))
    forming_ = totals_;
  else
    totals_ = forming_;
  observe(clock);
  for (const AcceptedRun& run : std::exchange(runs_, {}))
    for (std::uint32_t i = 0; i < run.count; ++i) refused.push_back({run.first_command + i, error});
}

Result<void> take_over_journal(ByteView record, EpochTotals& totals, Transaction& transaction) {
  wire::Reader in(record);
  OAS_TRY(const std::uint8_t mark, in.u8());
  OAS_TRY(const std::uint8_t version, in.u8());
  if (mark != 'J') return fail(ErrorCode::kMalformed, 0);
  if (version != 1) return fail(ErrorCode::kUnknownVersion, version);
  OAS_TRY(const std::uint64_t wall, in.u64());
  OAS_TRY(const std::uint64_t epoch, in.u64());
  std::array<std::uint64_t, kLaneCount> next{};
  for (std::uint64_t& number : next) {
    OAS_TRY(number, in.u64());
    if (number == 0) return fail(ErrorCode::kMalformed, in.offset());
  }
  OAS_TRY(const std::uint32_t checksum, in.u32());
  OAS_TRY(const ByteView text, in.raw(in.left()));
  std::uint32_t fnv = 0x811C9DC5U;
  for (const std::uint8_t byte : text) fnv = (fnv ^ byte) * 0x01000193U;
  if (fnv != checksum) return fail(ErrorCode::kChecksum);

  EpochTotals after = totals;
  after.hlc = {std::max(wall << 16, after.hlc.value)};
  std::vector<std::optional<wire::SegmentBuilder>> open(kLaneCount);
  Transaction segments;
  for (std::size_t at = 0; at < text.size();) {
    OAS_TRY(Call call, take_call(text, at));
    OAS_CHECK(check_call(call.event));
    const auto lane = static_cast<std::size_t>(call.lane);
    const StreamId stream{{epoch}, call.lane};
    const std::uint64_t number = next[lane]++;
    if (number <= after.last[lane]) continue;  // taken over before
    if (number != after.last[lane] + 1) return fail(ErrorCode::kGap, after.last[lane] + 1);
    call.event.hlc = after.hlc = {after.hlc.value + 1};
    // One entity may stand in several lanes here; sealing at every change of lane keeps their order.
    for (std::size_t other = 0; other < kLaneCount; ++other) {
      const bool cut = other == lane ? open[other] && !open[other]->fits(call.event) : open[other].has_value();
      if (!cut) continue;
      put_segments(*open[other], {{epoch}, static_cast<Lane>(other)}, segments);
      open[other].reset();
    }
    if (!open[lane]) open[lane].emplace(stream, Sequence{number}, after.hash[lane]);
    open[lane]->add(call.event);
    after.last[lane] = number;
    after.hash[lane] = open[lane]->hash();
  }
  for (std::size_t lane = 0; lane < kLaneCount; ++lane)
    if (open[lane]) put_segments(*open[lane], {{epoch}, static_cast<Lane>(lane)}, segments);
  totals = after;
  for (Put& put : segments.puts) transaction.puts.push_back(std::move(put));
  return {};
}

}  // namespace oas::queue
