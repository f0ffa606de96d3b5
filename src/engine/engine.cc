// Inputs, one by one, and the step around them.
#include "engine/engine.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "base/sim_points.h"
#include "engine/engine_state.h"
#include "wire/frame.h"
#include "wire/reader.h"

namespace oas::engine {

void Engine::Impl::load(Reader reader, KeyRange range, std::uint32_t records_max, Command command) {
  loads[next_load] = {reader, std::move(command)};
  out.emplace_back(Load{next_load++, std::move(range), records_max});
}

void Engine::Impl::tell(PeerKind kind) {
  Bytes bytes;
  wire::begin_frame(bytes, wire::FrameKind::kPeer, 0);
  wire::Writer writer(bytes);
  writer.u8(static_cast<std::uint8_t>(kind));
  writer.u64(outbox->clock().value);
  wire::finish_frame(bytes);
  out.emplace_back(Tell{std::move(bytes)});
}

void Engine::Impl::take(Start& start) {
  OAS_ASSERT(!started);
  started = true;
  options = start;
  prng.emplace(start.seed);
  outbox.emplace(start.epoch, start.next);
  session.emplace(start.device, start.epoch, *prng);
  load_totals({'m', 'e'});
}

void Engine::Impl::take(Enqueue& enqueue) {
  std::vector<queue::Refusal> refused;
  outbox->accept(enqueue.first, enqueue.count, std::move(enqueue.text), refused);
  refuse_all(refused);
}

void Engine::Impl::take(Loaded& loaded) {
  const auto at = loads.find(loaded.load);
  if (at == loads.end()) return;
  OpenLoad open = std::move(at->second);
  loads.erase(at);
  switch (open.reader) {
    case Reader::kSession: session->read_done(clocks(), std::move(loaded.records)); break;
    case Reader::kTotals: on_totals(loaded.records); break;
    case Reader::kJournal: on_journal(std::move(loaded.records)); break;
    case Reader::kMeta: on_meta(loaded.records); break;
    case Reader::kPage: answer_page(open.command, loaded.records); break;
    case Reader::kLetter: on_letter(open.command, loaded.records); break;
    case Reader::kGiveUp: on_give_up(loaded.records); break;
    case Reader::kOwnLetters: on_own_letters(loaded.records); break;
  }
}

void Engine::Impl::take(LoadFailed& failed) {
  const auto at = loads.find(failed.load);
  if (at == loads.end()) return;
  OpenLoad open = std::move(at->second);
  loads.erase(at);
  switch (open.reader) {
    case Reader::kSession: session->read_failed(clocks()); break;
    case Reader::kTotals:
    case Reader::kJournal:
      // Nothing may be numbered before the past of this epoch is known; ask again a little later.
      replay_at = {now.mono.value + kUnknownRetryMs};
      break;
    case Reader::kMeta: looking = false; break;
    case Reader::kPage:
    case Reader::kLetter: refuse(open.command.command, {ErrorCode::kStorageFailed}); break;
    case Reader::kGiveUp: fail_give_up({ErrorCode::kStorageFailed}); break;
    case Reader::kOwnLetters: unnamed.clear(); break;
  }
}

void Engine::Impl::take(Persisted& persisted) {
  if (owner == Owner::kNone || persisted.tx != in_flight.tx) return;
  const Owner whose = std::exchange(owner, Owner::kNone);
  replay_at = {};
  unknown = false;
  switch (whose) {
    case Owner::kOutbox: {
      for (const queue::AcceptedRun& run : outbox->stored()) {
        if (OAS_MUTANT(kAckBeforeCommit)) break;
        deliver(Accepted{run.first_command, run.count, run.first});
        for (std::uint32_t i = 0; i < run.count && !retries.empty(); ++i) retries.erase(run.first_command + i);
      }
      work = status_due = true;
      tell(PeerKind::kWork);
      break;
    }
    case Owner::kSession: session->write_done(clocks()); break;
    case Owner::kJournal: become_ready(); break;
    case Owner::kCommand:
      deliver(CommandResult{command_writes.front().command.command, std::move(command_writes.front().result)});
      command_writes.pop_front();
      status_due = true;
      break;
    case Owner::kGiveUp: gave_up(); break;
    case Owner::kNone: break;
  }
}

void Engine::Impl::take(PersistFailed& failed) {
  if (owner == Owner::kNone || failed.tx != in_flight.tx) return;
  if (OAS_MUTANT(kAbortIgnored) && owner == Owner::kOutbox) {
    Persisted taken_for{failed.tx};
    take(taken_for);
    return;
  }
  if (OAS_MUTANT(kUnknownTakenForAbort) && failed.kind == PersistFailed::Kind::kUnknown)
    failed.kind = PersistFailed::Kind::kAborted;
  const bool aborted = failed.kind == PersistFailed::Kind::kAborted;
  unknown |= failed.kind == PersistFailed::Kind::kUnknown;
  if (failed.kind == PersistFailed::Kind::kUnknown || (unknown && aborted)) {
    // An attempt that was rolled back says nothing of the one before it.
    // The same bytes and numbers are tried again; nothing is told to anyone before the outcome is known.
    replay_at = {now.mono.value + kUnknownRetryMs};
    out.emplace_back(Log{Severity::kWarning, static_cast<std::uint16_t>(ErrorCode::kStorageUnknown), failed.tx});
    return;
  }
  const Owner whose = std::exchange(owner, Owner::kNone);
  replay_at = {};
  unknown = false;
  const bool conflict = failed.kind == PersistFailed::Kind::kConflict;
  const auto code = conflict                             ? ErrorCode::kStorageConflict
                    : find_error(failed.code) != nullptr ? static_cast<ErrorCode>(failed.code)
                                                         : ErrorCode::kStorageFailed;
  switch (whose) {
    case Owner::kOutbox: {
      std::vector<queue::Refusal> refused;
      outbox->aborted({code}, refused);
      refuse_all(refused);
      for (const queue::Refusal& one : refused) retries.erase(one.command);
      break;
    }
    case Owner::kSession: conflict ? session->write_conflict(clocks()) : session->write_aborted(clocks(), code); break;
    case Owner::kJournal: {
      // Another drainer took our journal over first, or storage is full: look again.
      replay_at = {now.mono.value + (conflict ? 0 : kUnknownRetryMs)};
      break;
    }
    case Owner::kCommand:
      refuse(command_writes.front().command.command, {code});
      command_writes.pop_front();
      break;
    case Owner::kGiveUp:
      // Somebody was faster with one of the records: the page is read again.
      if (conflict)
        giving_up.front().open = false;
      else
        fail_give_up({code});
      break;
    case Owner::kNone: break;
  }
}

void Engine::Impl::take(Response& response) {
  if (response.request != request || request == 0) return;
  request = 0;
  session->answered(clocks(), response.status, response.retry_after_ms, response.body);
}

void Engine::Impl::take(SendFailed& failed) {
  if (failed.request != request || request == 0) return;
  request = 0;
  session->unanswered(clocks());
}

void Engine::Impl::take(Woke&) {}

void Engine::Impl::take(Connectivity& change) {
  session->connectivity(clocks(), change.online, change.token_fresh);
  if (change.online) work = true;
}

void Engine::Impl::take(Gone& gone) {
  if (ready && options.drains) session->owner_gone(clocks(), gone.owner);
}

void Engine::Impl::take(Peer& peer) {
  const Result<wire::Frame> frame = wire::open_frame(peer.bytes, wire::FrameKind::kPeer);
  if (!frame) return;
  wire::Reader in(frame->payload);
  const Result<std::uint8_t> kind = in.u8();
  const Result<std::uint64_t> clock = in.u64();
  if (!kind || !clock) return;
  // Another context's clock is believed as far as a server's would be, so a broken tab cannot push us into the future.
  const std::uint64_t ceiling = static_cast<std::uint64_t>(now.wall.value + kClockAheadMsMax) << 16;
  outbox->observe({std::min(*clock, ceiling)});
  if (*kind == static_cast<std::uint8_t>(PeerKind::kWork)) {
    work = true;
  } else if (ready && options.drains) {
    session->lease_freed(clocks());
  }
  look_due = true;
}

void Engine::Impl::take(Command& command) {
  switch (command.op) {
    case Command::Op::kDrain: begin_drain(std::move(command)); return;
    case Command::Op::kStatus:
      deliver(CommandResult{command.command, {}});
      status_due = look_due = true;
      return;
    case Command::Op::kPending:
    case Command::Op::kDeadLetters: begin_page(std::move(command)); return;
    case Command::Op::kDeadLetterRetry:
    case Command::Op::kDeadLetterDrop: begin_letter(std::move(command)); return;
    case Command::Op::kCompact: deliver(CommandResult{command.command, {}}); return;
    case Command::Op::kGiveUp: begin_give_up(std::move(command)); return;
    case Command::Op::kDictionary: use_dictionary(command); return;
    case Command::Op::kClose: closing = std::move(command); return;
    case Command::Op::kTrap: __builtin_trap();
  }
  refuse(command.command, {ErrorCode::kInvalidArgument});
}

Engine::Engine() : impl_(std::make_unique<Impl>()) {}
Engine::~Engine() = default;

std::span<const Output> Engine::step(Now now, std::span<Input> inputs) {
  Impl& impl = *impl_;
  impl.out.clear();
  impl.now = {std::max(impl.now.mono, now.mono), now.wall};
  for (Input& input : inputs) {
    OAS_ASSERT(impl.started || std::holds_alternative<Start>(input));
    std::visit([&impl](auto& one) { impl.take(one); }, input);
    if (impl.session) impl.take_wishes();
  }
  impl.finish_step();
  return impl.out;
}

}  // namespace oas::engine
