#include "engine/engine.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/sim_points.h"
#include "queue/outbox.h"
#include "sync/client_session.h"
#include "wire/frame.h"
#include "wire/json_check.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::engine {
namespace {

constexpr std::int64_t kUnknownRetryMs = 1'000;
constexpr std::uint32_t kRequestTimeoutMs = 30'000;
constexpr std::uint32_t kPageMax = 100;

enum class PeerKind : std::uint8_t { kWork = 1, kDrained = 2 };

void write_id(wire::Writer& out, const EventId& id) {
  out.u64(id.stream.epoch.value);
  out.u8(static_cast<std::uint8_t>(id.stream.lane));
  out.u64(id.seq.value);
}

Result<EventId> read_id(wire::Reader& in) {
  OAS_TRY(const std::uint64_t epoch, in.u64());
  OAS_TRY(const std::uint8_t lane, in.u8());
  OAS_TRY(const std::uint64_t seq, in.u64());
  if (lane >= kLaneCount) return fail(ErrorCode::kMalformed, in.offset());
  return EventId{{{epoch}, static_cast<Lane>(lane)}, {seq}};
}

}  // namespace

// What a transaction in flight belongs to.
enum class Owner : std::uint8_t { kNone, kOutbox, kSession, kCommand, kJournal };

struct Engine::Impl {
  // --- identity
  bool started = false;
  Start options;
  std::optional<Prng> prng;
  std::optional<queue::Outbox> outbox;
  std::optional<sync::ClientSession> session;

  // --- one step
  Now now;
  std::vector<Output> out;

  // --- storage: one transaction in flight
  std::uint32_t next_tx = 1;
  Owner owner = Owner::kNone;
  Persist in_flight;
  Millis replay_at;      // monotonic; when an unknown outcome is tried again
  bool unknown = false;  // an earlier attempt at it may have been written
  bool outbox_turn = true;
  std::optional<queue::Transaction> session_write;

  // --- reads
  enum class Reader : std::uint8_t { kSession, kTotals, kJournal, kMeta, kPage, kLetter };
  struct OpenLoad {
    Reader reader{};
    Command command;
  };
  std::uint32_t next_load = 1;
  std::map<std::uint32_t, OpenLoad> loads;

  // --- the request in flight
  std::uint32_t next_request = 1;
  std::uint32_t request = 0;

  // --- start: totals and journal of this epoch come before the first number
  bool ready = false;
  queue::EpochTotals own_totals;
  std::vector<Put> own_journal;

  // --- commands
  std::vector<Command> drains;
  std::vector<Millis> drain_deadlines;
  std::optional<Command> closing;
  struct CommandWrite {
    Command command;
    queue::Transaction transaction;
    Bytes result;
  };
  std::deque<CommandWrite> command_writes;
  std::map<std::uint32_t, Bytes> retries;  // command of a re-issued dead letter: the key to delete with it

  bool work = false;       // something was stored that has not been offered to the session yet
  bool status_due = true;
  bool look_due = true;
  bool looking = false;
  sync::Remembered seen;
  Status last_status;
  bool reported_once = false;

  // ------------------------------------------------------------------------------------------------------------------

  sync::Clocks clocks() const { return {now.mono, now.wall}; }
  template <class N>
  void deliver(N notice) {
    out.emplace_back(Deliver{Notice{std::move(notice)}});
  }
  void refuse(std::uint32_t command, Error error) {
    deliver(Failed{command, static_cast<std::uint16_t>(error.code), error.detail});
  }
  void refuse_all(const std::vector<queue::Refusal>& refused) {
    for (const queue::Refusal& one : refused) refuse(one.command, one.error);
  }

  void load(Reader reader, KeyRange range, std::uint32_t records_max, Command command = {}) {
    loads[next_load] = {reader, std::move(command)};
    out.emplace_back(Load{next_load++, std::move(range), records_max});
  }

  void tell(PeerKind kind) {
    Bytes bytes;
    wire::begin_frame(bytes, wire::FrameKind::kPeer, 0);
    wire::Writer writer(bytes);
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.u64(outbox->clock().value);
    wire::finish_frame(bytes);
    out.emplace_back(Tell{std::move(bytes)});
  }

  // --- inputs -------------------------------------------------------------------------------------------------------

  void take(Start& start) {
    OAS_ASSERT(!started);
    started = true;
    options = start;
    prng.emplace(start.seed);
    outbox.emplace(start.epoch, start.next);
    session.emplace(start.device, start.epoch, *prng);
    load_totals({'m', 'e'});
  }

  // Our own epoch may have a past: journal records, or totals written before a trap. And our clock starts above the
  // greatest one that any context of this device has stored, whatever the wall clock says meanwhile.
  void load_totals(Bytes from) {
    load(Reader::kTotals, {std::move(from), queue::after_prefix({'m', 'e'})}, kLoadRecordsMax);
  }

  void take(Enqueue& enqueue) {
    std::vector<queue::Refusal> refused;
    outbox->accept(enqueue.first, enqueue.count, std::move(enqueue.text), refused);
    refuse_all(refused);
  }

  void take(Loaded& loaded) {
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
    }
  }

  void take(LoadFailed& failed) {
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
    }
  }

  // A context that does not drain learns the totals by reading them when another one has told of a change.
  void look(Bytes from) {
    looking = true;
    load(Reader::kMeta, {std::move(from), {'n'}}, kLoadRecordsMax);
  }

  void on_meta(const std::vector<Put>& records) {
    for (const Put& record : records) (void)seen.take(record);
    if (records.size() == kLoadRecordsMax) {
      look(queue::after_key(records.back().key));
      return;
    }
    looking = false;
    session->observe(std::exchange(seen, {}));
    status_due = true;
  }

  void on_totals(const std::vector<Put>& records) {
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
    Bytes from = queue::journal_key(options.epoch, 0);
    load(Reader::kJournal, {from, queue::after_key(queue::journal_key(options.epoch, 0xFFFFFFFF))}, kLoadRecordsMax);
  }

  void on_journal(std::vector<Put> records) {
    own_journal = std::move(records);
    if (own_journal.empty()) {
      become_ready();
      return;
    }
    take_over_own_journal();
  }

  // The first transaction of this context: its journal becomes segments, and numbering goes on behind them.
  void take_over_own_journal() {
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

  void become_ready() {
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

  void take(Persisted& persisted) {
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
      case Owner::kNone: break;
    }
  }

  void take(PersistFailed& failed) {
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
      case Owner::kSession:
        conflict ? session->write_conflict(clocks()) : session->write_aborted(clocks(), code);
        break;
      case Owner::kJournal: {
        // Another drainer took our journal over first, or storage is full: look again.
        replay_at = {now.mono.value + (conflict ? 0 : kUnknownRetryMs)};
        break;
      }
      case Owner::kCommand:
        refuse(command_writes.front().command.command, {code});
        command_writes.pop_front();
        break;
      case Owner::kNone: break;
    }
  }

  void take(Response& response) {
    if (response.request != request || request == 0) return;
    request = 0;
    session->answered(clocks(), response.status, response.retry_after_ms, response.body);
  }
  void take(SendFailed& failed) {
    if (failed.request != request || request == 0) return;
    request = 0;
    session->unanswered(clocks());
  }
  void take(Woke&) {}
  void take(Connectivity& change) {
    session->connectivity(clocks(), change.online, change.token_fresh);
    if (change.online) work = true;
  }

  void take(Peer& peer) {
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

  void take(Command& command) {
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
      case Command::Op::kClose: closing = std::move(command); return;
      case Command::Op::kTrap: __builtin_trap();
    }
    refuse(command.command, {ErrorCode::kInvalidArgument});
  }

  // --- commands -----------------------------------------------------------------------------------------------------

  void begin_drain(Command command) {
    wire::Reader in(command.args);
    const std::uint32_t budget = in.u32().value_or(0);
    drain_deadlines.push_back({budget == 0 ? INT64_MAX : now.mono.value + budget});
    drains.push_back(std::move(command));
    if (ready) session->want(clocks(), true);
  }

  // Another's lease is waited out: a worker woken for one drain must see it go stale, or it would never take over.
  // Answered when everything stored is drained, when the session cannot go on by itself, or when the budget is spent.
  void finish_drains() {
    if (drains.empty()) return;
    const bool still = !ready || outbox->has_waiting() || owner != Owner::kNone || work || !session->resting() ||
                       session->state() == sync::SessionState::kFollow;
    for (std::size_t i = 0; i < drains.size();) {
      if (still && now.mono < drain_deadlines[i]) {
        ++i;
        continue;
      }
      Bytes result{static_cast<std::uint8_t>(session->drained() ? 1 : 0)};
      wire::Writer(result).u16(static_cast<std::uint16_t>(session->reason()));
      deliver(CommandResult{drains[i].command, std::move(result)});
      drains.erase(drains.begin() + static_cast<std::ptrdiff_t>(i));
      drain_deadlines.erase(drain_deadlines.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void begin_page(Command command) {
    wire::Reader in(command.args);
    const bool letters = command.op == Command::Op::kDeadLetters;
    const Result<std::uint32_t> size = in.u32();
    const Result<ByteView> after = size ? in.raw(*size) : fail(size.error().code);
    const Result<std::uint16_t> limit = in.u16();
    if (!after || !limit) {
      refuse(command.command, {ErrorCode::kInvalidArgument});
      return;
    }
    Bytes from = letters ? Bytes{'x'} : Bytes{'s', 'p'};
    const Bytes to = queue::after_prefix(from);
    if (!after->empty()) from = queue::after_key(to_bytes(*after));
    const std::uint32_t records = std::clamp<std::uint32_t>(*limit, 1, kPageMax);
    load(Reader::kPage, {std::move(from), to}, records, std::move(command));
  }

  // u32 count, then per record: key, value (u32 size and bytes each). The host decodes what it shows.
  void answer_page(const Command& command, const std::vector<Put>& records) {
    Bytes bytes;
    wire::Writer writer(bytes);
    writer.u32(static_cast<std::uint32_t>(records.size()));
    for (const Put& record : records) {
      writer.u32(static_cast<std::uint32_t>(record.key.size()));
      writer.raw(record.key);
      write_page_value(writer, command.op, record);
    }
    deliver(CommandResult{command.command, std::move(bytes)});
  }

  // Rows of a page: u32 count of events, then per event id, code u16, hlc u64, type, module, entity, json (u32 sizes).
  static void write_page_value(wire::Writer& writer, Command::Op op, const Put& record) {
    Bytes rows;
    wire::Writer out_rows(rows);
    std::uint32_t count = 0;
    const auto add = [&](const EventId& id, std::uint16_t code, const wire::EventView& event) {
      ++count;
      write_id(out_rows, id);
      out_rows.u16(code);
      out_rows.u64(event.hlc.value);
      for (const ByteView field : {as_bytes(event.type), as_bytes(event.module), as_bytes(event.entity), event.json}) {
        out_rows.u32(static_cast<std::uint32_t>(field.size()));
        out_rows.raw(field);
      }
    };
    if (op == Command::Op::kDeadLetters) {
      const auto letter = queue::read_record<queue::DeadLetter>(record.value);
      if (letter && record.key.size() == 18) {
        wire::Reader in(letter->event);
        if (const auto event = wire::read_event(in)) add(letter_id(record.key), letter->code, *event);
      }
    } else if (const auto segment = wire::open_segment(record.value)) {
      Bytes decoded;
      if (wire::decode_rows(*segment, decoded)) {
        wire::RowCursor cursor(segment->head, decoded);
        while (!cursor.done()) {
          const auto row = cursor.next();
          if (!row) break;
          add({segment->head.stream, row->seq}, 0, row->event);
        }
      }
    }
    writer.u32(count);
    writer.raw(rows);
  }

  static EventId letter_id(ByteView key) {
    EventId id;
    for (std::size_t i = 1; i < 9; ++i) id.stream.epoch.value = id.stream.epoch.value << 8 | key[i];
    id.stream.lane = static_cast<Lane>(key[9]);
    for (std::size_t i = 10; i < 18; ++i) id.seq.value = id.seq.value << 8 | key[i];
    return id;
  }

  void begin_letter(Command command) {
    wire::Reader in(command.args);
    const Result<EventId> id = read_id(in);
    if (!id) {
      refuse(command.command, {ErrorCode::kInvalidArgument});
      return;
    }
    Bytes key = queue::dead_letter_key(*id);
    load(Reader::kLetter, {key, queue::after_key(key)}, 1, std::move(command));
  }

  void on_letter(const Command& command, const std::vector<Put>& records) {
    if (records.empty()) {
      refuse(command.command, {ErrorCode::kNotFound});
      return;
    }
    if (command.op == Command::Op::kDeadLetterDrop) {
      queue::Transaction transaction;
      transaction.expect_present(records[0].key);
      transaction.erase(records[0].key);
      command_writes.push_back({command, std::move(transaction), {}});
      return;
    }
    retry_letter(command, records[0]);
  }

  // The event is re-issued under a new number that names the one it replaces: the server closes that dead letter in the
  // transaction that applies the new one, so two retries have one effect.
  void retry_letter(const Command& command, const Put& record) {
    const auto letter = queue::read_record<queue::DeadLetter>(record.value);
    wire::Reader in(command.args);
    const Result<EventId> id = read_id(in);
    if (!letter || !id) {
      refuse(command.command, {ErrorCode::kMalformed});
      return;
    }
    wire::Reader event_in(letter->event);
    Result<wire::EventView> event = wire::read_event(event_in);
    const ByteView edited = in.raw(in.left()).value_or(ByteView{});
    if (event && !edited.empty()) {
      if (const auto checked = wire::check_json(edited); !checked) {
        refuse(command.command, checked.error());
        return;
      }
      event->json = edited;
    }
    if (!event) {
      refuse(command.command, event.error());
      return;
    }
    if (!OAS_MUTANT(kRetryWithoutReplaces)) event->replaces = *id;
    Bytes canonical;
    wire::Writer writer(canonical);
    wire::write_event(writer, *event);
    retries[command.command] = record.key;
    outbox->accept_event(command.command, id->stream.lane, options.durability, std::move(canonical));
  }

  // --- outputs ------------------------------------------------------------------------------------------------------

  void persist(Owner whose, queue::Transaction transaction, Durability durability) {
    OAS_ASSERT(owner == Owner::kNone);
    owner = whose;
    in_flight = Persist{.tx = next_tx++,
                        .durability = durability,
                        .expects = std::move(transaction.expects),
                        .puts = std::move(transaction.puts),
                        .deletes = std::move(transaction.deletes),
                        .guard = {},
                        .covers = {}};
    if (whose == Owner::kOutbox)
      for (const queue::AcceptedRun& run : outbox->forming())
        in_flight.covers.push_back({run.first_command, run.count, run.first});
    if (!in_flight.expects.empty()) {
      // A replay after a lost connection must not take its own success for another writer's.
      Bytes value;
      wire::Writer(value).u32(in_flight.tx);
      in_flight.guard = {queue::guard_key(options.epoch), std::move(value)};
    }
    out.emplace_back(in_flight);
  }

  // One transaction at a time; the application's events and the session take turns.
  void pump_storage() {
    if (owner != Owner::kNone) {
      if (replay_at.value != 0 && now.mono >= replay_at) {
        replay_at = {};
        out.emplace_back(in_flight);
      }
      return;
    }
    if (!ready) {
      if (started && loads.empty() && replay_at.value != 0 && now.mono >= replay_at) {
        replay_at = {};
        own_totals = {};
        load_totals({'m', 'e'});
      }
      return;
    }
    const bool outbox_ready = outbox->has_waiting();
    if (outbox_ready && (outbox_turn || !session_write)) {
      outbox_turn = false;
      queue::Transaction transaction;
      const Durability durability = outbox->form(now.wall, transaction);
      for (const auto& [command, key] : retries) {
        (void)command;
        transaction.erase(key);
      }
      persist(Owner::kOutbox, std::move(transaction),
              OAS_MUTANT(kStrictOnRelaxedCommit) ? Durability::kDurable : durability);
      if (OAS_MUTANT(kAckBeforeCommit))
        for (const queue::AcceptedRun& run : outbox->forming())
          deliver(Accepted{run.first_command, run.count, run.first});
    } else if (session_write) {
      outbox_turn = true;
      persist(Owner::kSession, *std::exchange(session_write, std::nullopt), options.durability);
    } else if (!command_writes.empty()) {
      persist(Owner::kCommand, command_writes.front().transaction, options.durability);
    }
  }

  void pump_session() {
    if (!ready || !options.drains) return;
    session->woke(clocks());
    if (work) {
      work = false;
      session->want(clocks(), false);
    }
    if (closing && owner == Owner::kNone && !outbox->has_waiting()) session->close(clocks());
    take_wishes();
  }

  void take_wishes() {
    sync::Wishes wishes = session->take();
    if (wishes.read) load(Reader::kSession, std::move(wishes.read->range), wishes.read->records_max);
    if (wishes.write) session_write = std::move(wishes.write);
    if (wishes.push) {
      request = next_request++;
      out.emplace_back(Send{request, wishes.push->pull, kRequestTimeoutMs, std::move(wishes.push->body)});
    }
    for (const sync::SettledRun& run : wishes.settled) deliver_settled(run);
    for (const sync::Wishes::Note& note : wishes.notes)
      out.emplace_back(Log{Severity::kWarning, static_cast<std::uint16_t>(note.code), note.detail});
    if (wishes.need_token) deliver(NeedToken{});
    if (wishes.own_epoch_forked) {
      // A copy of this very context may draw the same numbers; what it has stored differs.
      std::uint64_t fresh = prng->next();
      for (const RollingHash hash : outbox->totals().hash) fresh = hash_mix(fresh, hash.value);
      outbox->change_epoch({fresh});
    }
    if (wishes.tell) tell(PeerKind::kDrained);
    status_due |= wishes.tell || !wishes.settled.empty();
  }

  void deliver_settled(const sync::SettledRun& run) {
    Settled settled{.stream = run.stream, .from = run.from, .upto = run.upto, .late = run.late, .exceptions = {}};
    for (const sync::Verdict& verdict : run.exceptions)
      settled.exceptions.push_back({verdict.seq, static_cast<std::uint8_t>(verdict.kind), verdict.code});
    deliver(std::move(settled));
  }

  void report_status() {
    const Phase phase = phase_now();
    Status status{.phase = phase, .reason = static_cast<std::uint16_t>(session->reason())};
    const sync::Remembered& remembered = session->known();
    status.attempts = remembered.retry.value.attempts;
    status.next_attempt = session->resting() ? session->wake_at() : Millis{};
    status.oldest_unsent = session->drained() ? Millis{} : session->oldest_unsent();
    status.created = remembered.folded.value.created;
    status.applied = remembered.folded.value.applied;
    status.dead = remembered.folded.value.rejected;
    status.voided = remembered.folded.value.voided;
    const auto add = [&](Epoch epoch, const queue::EpochTotals& totals) {
      for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) {
        const queue::StreamMark mark = remembered.mark({epoch, static_cast<Lane>(lane)});
        status.created += totals.last[lane];
        status.pending[lane] += totals.last[lane] - std::min(totals.last[lane], mark.mark.seq.value);
        status.applied += mark.applied();
        status.dead += mark.rejected;
        status.voided += mark.voided;
        status.deferred += mark.deferred;
      }
    };
    bool own_seen = false;
    for (const auto& [epoch, totals] : remembered.totals) {
      const bool own = epoch == outbox->epoch();
      own_seen |= own;
      add(epoch, own ? outbox->totals() : totals.value);
    }
    if (!own_seen) add(outbox->epoch(), outbox->totals());
    deliver(status);
  }

  Phase phase_now() const {
    switch (session->state()) {
      case sync::SessionState::kIdle: return Phase::kIdle;
      case sync::SessionState::kFollow: return Phase::kFollowing;
      case sync::SessionState::kWait: return Phase::kWaiting;
      case sync::SessionState::kOffline: return Phase::kOffline;
      case sync::SessionState::kPark: return Phase::kParked;
      default: return Phase::kSending;
    }
  }

  void finish_step() {
    if (started) {
      pump_session();
      pump_storage();
      // A command whose answer needs no I/O, and the session's next wish after a write it was waiting for.
      take_wishes();
      finish_drains();
      if (look_due && !looking && session->resting() && !session->holding()) {
        look_due = false;
        look({'m'});
      }
      if (closing && session->resting() && owner == Owner::kNone && !session_write && !outbox->has_waiting()) {
        deliver(CommandResult{closing->command, {}});
        closing.reset();
      }
      if (const Phase phase = phase_now(); status_due || !reported_once || phase != last_status.phase) {
        last_status.phase = phase;
        reported_once = true;
        status_due = false;
        report_status();
      }
    }
    Millis wake = session && ready && session->resting() ? session->wake_at() : Millis{};
    const auto earlier = [&wake](Millis at) {
      if (at.value != 0 && at.value != INT64_MAX && (wake.value == 0 || at < wake)) wake = at;
    };
    earlier(replay_at);
    for (const Millis deadline : drain_deadlines) earlier(deadline);
    if (wake.value != 0) out.emplace_back(Wake{wake});
  }
};

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
