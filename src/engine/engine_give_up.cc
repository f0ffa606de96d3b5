// Events of a lane that shall not be sent after all: a person has withdrawn the consent under which they were stored.
//
//   what was accepted before is stored --> read a page --> a hole in each segment's place --> next page --> answer
//
// The numbers stay given, so nothing that is stored or sent later changes; the server passes them by the reason. What is on
// its way at that moment arrives, and then counts as sent.
#include "engine/engine_state.h"
#include "wire/reader.h"
#include "wire/segment.h"

namespace oas::engine {
namespace {

constexpr std::uint32_t kGiveUpRecords = 24;  // about a megabyte of the largest segments
constexpr std::size_t kGiveUpsMax = 16;  // asked for and not ended

}  // namespace

void Engine::Impl::begin_give_up(Command command) {
  wire::Reader in(command.args);
  const std::uint8_t lane = in.u8().value_or(kLaneCount);
  const auto reason = static_cast<sync::VoidReason>(in.u8().value_or(0));
  if (lane >= kLaneCount || (reason != sync::VoidReason::kConsent && reason != sync::VoidReason::kDiscarded)) {
    refuse(command.command, {ErrorCode::kInvalidArgument});
    return;
  }
  if (giving_up.size() >= kGiveUpsMax) {
    refuse(command.command, {ErrorCode::kQueueFull, kGiveUpsMax});
    return;
  }
  GivingUp one{.command = std::move(command), .lane = static_cast<Lane>(lane), .reason = reason};
  one.from = queue::pending_lane_prefix(one.lane);
  giving_up.push_back(std::move(one));
}

void Engine::Impl::pump_give_up() {
  if (!ready || giving_up.empty()) return;
  GivingUp& one = giving_up.front();
  if (one.open || (!one.begun && (outbox->has_waiting() || owner == Owner::kOutbox))) return;
  one.begun = one.open = true;
  load(Reader::kGiveUp, {one.from, queue::after_prefix(queue::pending_lane_prefix(one.lane))}, kGiveUpRecords);
}

void Engine::Impl::on_give_up(const std::vector<Put>& records) {
  GivingUp& one = giving_up.front();
  queue::Transaction transaction;
  one.in_page = 0;
  for (const Put& record : records) {
    const auto key = queue::read_segment_key(record.key);
    const auto segment = wire::open_segment(record.value);
    if (!key || !segment) continue;  // a hole already, or damaged: whoever drains decides about it
    const wire::SegmentHead& head = segment->head;
    const queue::HoleRecord hole{static_cast<std::uint8_t>(one.reason), head.hash_before, head.hash_after};
    transaction.expect_present(record.key);
    transaction.put(record.key, queue::write_record(hole));
    if (!head.entities.empty()) transaction.erase(queue::entities_key(*key));
    one.in_page += head.count;
  }
  const bool last = records.size() < kGiveUpRecords;
  one.behind = last ? Bytes{} : queue::after_key(records.back().key);
  if (transaction.empty())
    gave_up();
  else
    give_up_write = std::move(transaction);
}

// The page at hand is done.
void Engine::Impl::gave_up() {
  GivingUp& one = giving_up.front();
  one.events += one.in_page;
  one.from = std::move(one.behind);
  one.open = false;
  work = status_due = true;  // also where a later page fails: these numbers may be passed
  if (!one.from.empty()) return;
  Bytes result;
  wire::Writer(result).u64(one.events);
  deliver(CommandResult{one.command.command, std::move(result)});
  tell(PeerKind::kWork);
  giving_up.pop_front();
}

void Engine::Impl::fail_give_up(Error error) {
  refuse(giving_up.front().command.command, error);
  giving_up.pop_front();
}

}  // namespace oas::engine
