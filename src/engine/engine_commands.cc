// Drains, pages and dead letters: what the application asks for beside its events.
#include <algorithm>

#include "base/sim_points.h"
#include "engine/engine_state.h"
#include "wire/json_check.h"
#include "wire/reader.h"
#include "wire/segment.h"

namespace oas::engine {
namespace {

constexpr std::uint32_t kPageMax = 100;

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

void Engine::Impl::begin_drain(Command command) {
  wire::Reader in(command.args);
  const std::uint32_t budget = in.u32().value_or(0);
  drain_deadlines.push_back({budget == 0 ? INT64_MAX : now.mono.value + budget});
  drains.push_back(std::move(command));
  if (ready) session->want(clocks(), true);
}

// Another's lease is waited out: a worker woken for one drain must see it go stale, or it would never take over.
// Answered when everything stored is drained, when the session cannot go on by itself, or when the budget is spent.
void Engine::Impl::finish_drains() {
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

void Engine::Impl::begin_page(Command command) {
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
void Engine::Impl::answer_page(const Command& command, const std::vector<Put>& records) {
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
void Engine::Impl::write_page_value(wire::Writer& writer, Command::Op op, const Put& record) {
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
    if (letter && record.key.size() == kLetterKeyBytes) {
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

EventId Engine::Impl::letter_id(ByteView key) {
  EventId id;
  for (std::size_t i = 1; i < 9; ++i) id.stream.epoch.value = id.stream.epoch.value << 8 | key[i];
  id.stream.lane = static_cast<Lane>(key[9]);
  for (std::size_t i = 10; i < 18; ++i) id.seq.value = id.seq.value << 8 | key[i];
  return id;
}

void Engine::Impl::begin_letter(Command command) {
  wire::Reader in(command.args);
  const Result<EventId> id = read_id(in);
  if (!id) {
    refuse(command.command, {ErrorCode::kInvalidArgument});
    return;
  }
  Bytes key = queue::dead_letter_key(*id);
  load(Reader::kLetter, {key, queue::after_key(key)}, 1, std::move(command));
}

void Engine::Impl::on_letter(const Command& command, const std::vector<Put>& records) {
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
void Engine::Impl::retry_letter(const Command& command, const Put& record) {
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
  // Another context may have made it, by a clock that is ahead of ours: what replaces it comes after it.
  outbox->observe(event->hlc);
  Bytes canonical;
  wire::Writer writer(canonical);
  wire::write_event(writer, *event);
  retries[command.command] = record.key;
  outbox->accept_event(command.command, id->stream.lane, options.durability, std::move(canonical));
}

void Engine::Impl::use_dictionary(const Command& command) {
  if (learning) {
    refuse(command.command, {ErrorCode::kQueueFull, 1});
  } else if (const auto used = session->use_dictionary(command.args); !used) {
    refuse(command.command, used.error());
  } else {
    learning = command.command;
  }
}

}  // namespace oas::engine
