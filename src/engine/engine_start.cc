// What an engine reads before it gives its first number, and what a context that only watches reads later.
#include <algorithm>

#include "base/limits.h"
#include "base/sim_points.h"
#include "engine/engine_state.h"

namespace oas::engine {

// Our own epoch may have a past: journal records, or totals written before a trap. And our clock starts above the
// greatest one that any context of this device has stored, whatever the wall clock says meanwhile.
void Engine::Impl::load_totals(Bytes from) {
  load(Reader::kTotals, {std::move(from), queue::after_prefix({'m', 'e'})}, kLoadRecordsMax);
}

// A context that does not drain learns the totals by reading them when another one has told of a change.
void Engine::Impl::look(Bytes from) {
  looking = true;
  load(Reader::kMeta, {std::move(from), {'n'}}, kLoadRecordsMax);
}

void Engine::Impl::on_meta(const std::vector<Put>& records) {
  for (const Put& record : records) (void)seen.take(record);
  if (records.size() == kLoadRecordsMax) {
    look(queue::after_key(records.back().key));
    return;
  }
  looking = false;
  tell_settled_before();
  session->observe(std::exchange(seen, {}));
  status_due = true;
}

// What this epoch had journalled may have been taken over, sent and told by another context before anybody listened here. The
// watermark counts what was not applied without naming it; rejected events are named by their dead letters. It counts what had
// been applied before, under the same dedupe key, with what is applied, so this is told as applied, too.
void Engine::Impl::tell_settled_before() {
  if (std::exchange(told_before, true)) return;
  for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) {
    const StreamId stream{options.epoch, static_cast<Lane>(lane)};
    const queue::StreamMark mark = seen.mark(stream);
    const Sequence upto = mark.mark.seq;
    if (upto.value == 0 || mark.applied() + mark.rejected != upto.value) continue;
    Settled settled{.stream = stream, .from = {1}, .upto = upto, .late = false, .exceptions = {}};
    if (mark.rejected == 0) {
      deliver(std::move(settled));
    } else {
      unnamed.push_back({std::move(settled), mark.rejected});
    }
  }
  if (!unnamed.empty())
    load_own_letters(queue::dead_letter_key({.stream = {options.epoch, Lane::kCritical}, .seq = {}}));
}

void Engine::Impl::load_own_letters(Bytes from) {
  constexpr auto kLaneLast = static_cast<Lane>(kLaneCount);  // one behind the last
  load(Reader::kOwnLetters,
       {std::move(from), queue::dead_letter_key({.stream = {options.epoch, kLaneLast}, .seq = {}})}, kLoadRecordsMax);
}

// A stream one of whose dead letters is gone, retried or dropped by a person, stays untold: whoever did that has seen it.
void Engine::Impl::on_own_letters(const std::vector<Put>& records) {
  for (const Put& record : records) {
    if (record.key.size() != kLetterKeyBytes) continue;
    const auto letter = queue::read_record<queue::DeadLetter>(record.value);
    const EventId id = letter_id(record.key);
    const auto at = std::find_if(unnamed.begin(), unnamed.end(),
                                 [&id](const Unnamed& one) { return one.settled.stream == id.stream; });
    if (!letter || at == unnamed.end() || id.seq > at->settled.upto) continue;
    at->settled.exceptions.push_back({id.seq, static_cast<std::uint8_t>(sync::VerdictKind::kRejected), letter->code});
  }
  if (records.size() == kLoadRecordsMax) {
    load_own_letters(queue::after_key(records.back().key));
    return;
  }
  for (Unnamed& one : std::exchange(unnamed, {}))
    if (one.settled.exceptions.size() == one.rejected) deliver(std::move(one.settled));
}

void Engine::Impl::on_totals(const std::vector<Put>& records) {
  for (const Put& record : records) {
    const auto totals = queue::read_record<queue::EpochTotals>(record.value);
    if (!totals) continue;
    if (record.key == queue::epoch_key(options.epoch)) own_totals = *totals;
    if (!OAS_MUTANT(kHlcFromWallAtStart)) outbox->observe(totals->hlc);
  }
  if (records.size() == kLoadRecordsMax) {
    load_totals(queue::after_key(records.back().key));
    return;
  }
  if (std::all_of(options.next.begin(), options.next.end(), [](std::uint64_t free) { return free == 1; })) {
    become_ready();  // nothing was journalled under this epoch
    return;
  }
  Bytes from = queue::journal_key(options.epoch, 0);
  load(Reader::kJournal, {from, queue::after_key(queue::journal_key(options.epoch, 0xFFFFFFFF))}, kLoadRecordsMax);
}

void Engine::Impl::on_journal(std::vector<Put> records) {
  own_journal = std::move(records);
  if (own_journal.empty()) {
    become_ready();
    return;
  }
  take_over_own_journal();
}

// The first transaction of this context: its journal becomes segments, and numbering goes on behind them.
void Engine::Impl::take_over_own_journal() {
  queue::Transaction transaction;
  queue::EpochTotals after = own_totals;
  for (const Put& record : own_journal) {
    if (!queue::take_over_journal(record.value, after, transaction)) {
      out.emplace_back(Log{Severity::kError, static_cast<std::uint16_t>(ErrorCode::kLost), 0});
      break;
    }
    transaction.expect_present(record.key);
    transaction.erase(record.key);
  }
  if (transaction.empty()) {
    become_ready();
    return;
  }
  transaction.put(queue::epoch_key(options.epoch), queue::write_record(after));
  own_totals = after;
  persist(Owner::kJournal, std::move(transaction), Durability::kStrict);
}

void Engine::Impl::become_ready() {
  // Numbers the journal promised stay given, even if its records were damaged.
  for (std::uint32_t lane = 0; lane < kLaneCount; ++lane)
    if (own_totals.last[lane] + 1 < options.next[lane]) {
      outbox->change_epoch({prng->next()});
      ready = work = true;
      if (!drains.empty()) session->want(clocks(), true);
      return;
    }
  outbox->resume(own_totals);
  ready = work = true;
  if (!drains.empty()) session->want(clocks(), true);  // asked for while we were not ready
}

}  // namespace oas::engine
