#include "engine/calls.h"

#include <utility>

#include "base/hash.h"
#include "base/limits.h"
#include "engine/calls_write.h"
#include "wire/json_check.h"
#include "wire/reader.h"
#include "wire/segment.h"
#include "wire/writer.h"

namespace oas::engine {
namespace {

using wire::Reader;
using wire::Writer;

constexpr std::uint32_t kSessionsMax = 1'024;  // open requests of one process
constexpr std::size_t kDictionariesMax = 64;  // loaded at once
constexpr std::uint32_t kRowsMax = 4'000'000;

// --- reading ------------------------------------------------------------------------------------------------------------

Result<StreamId> read_stream(Reader& in) {
  OAS_TRY(const std::uint64_t epoch, in.u64());
  OAS_TRY(const std::uint8_t lane, in.u8());
  if (lane >= kLaneCount) return fail(ErrorCode::kMalformed, in.offset());
  return StreamId{{epoch}, static_cast<Lane>(lane)};
}

Result<EventId> read_id(Reader& in) {
  OAS_TRY(const StreamId stream, read_stream(in));
  OAS_TRY(const std::uint64_t seq, in.u64());
  return EventId{stream, {seq}};
}

Result<Watermark> read_mark(Reader& in) {
  OAS_TRY(const std::uint64_t seq, in.u64());
  OAS_TRY(const std::uint64_t hash, in.u64());
  return Watermark{{seq}, {hash}};
}

Result<sync::Verdict> read_verdict(Reader& in) {
  sync::Verdict verdict;
  OAS_TRY(verdict.seq.value, in.u64());
  OAS_TRY(const std::uint8_t kind, in.u8());
  verdict.kind = static_cast<sync::VerdictKind>(kind);
  OAS_TRY(verdict.code, in.u16());
  return verdict;
}

Result<sync::VoidRow> read_void(Reader& in) {
  sync::VoidRow row;
  OAS_TRY(row.from.value, in.u64());
  OAS_TRY(row.to.value, in.u64());
  OAS_TRY(const std::uint8_t reason, in.u8());
  row.reason = static_cast<sync::VoidReason>(reason);
  OAS_TRY(const std::uint8_t recovered, in.u8());
  row.recovered = recovered != 0;
  return row;
}

// A counted list; the count is bounded by the bytes that are left, so no allocation follows a made-up number.
template <class T>
Result<std::vector<T>> read_list(Reader& in, Result<T> (*read)(Reader&)) {
  OAS_TRY(const std::uint32_t count, in.u32());
  if (count > kRowsMax || count > in.left()) return fail(ErrorCode::kLimit, kRowsMax);
  std::vector<T> list;
  list.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    OAS_TRY(T value, read(in));
    list.push_back(std::move(value));
  }
  return list;
}

Result<sync::StreamRow> read_stream_row(Reader& in) {
  sync::StreamRow row;
  OAS_TRY(row.stream, read_stream(in));
  OAS_TRY(row.mark, read_mark(in));
  OAS_TRY(row.hashes, read_list(in, read_mark));
  OAS_TRY(row.verdicts, read_list(in, read_verdict));
  OAS_TRY(row.voids, read_list(in, read_void));
  return row;
}

Result<sync::DeferredRow> read_deferred(Reader& in) {
  sync::DeferredRow row;
  OAS_TRY(row.event, read_id(in));
  OAS_TRY(row.entity, in.u32());
  OAS_TRY(row.after, read_list(in, read_id));
  return row;
}

Result<sync::LateVerdict> read_late(Reader& in) {
  sync::LateVerdict late;
  OAS_TRY(late.number, in.u64());
  OAS_TRY(late.event, read_id(in));
  OAS_TRY(const std::uint8_t kind, in.u8());
  late.kind = static_cast<sync::VerdictKind>(kind);
  OAS_TRY(late.code, in.u16());
  return late;
}

Result<sync::Outcome> read_outcome(Reader& in) {
  sync::Outcome outcome;
  OAS_TRY(const std::uint8_t kind, in.u8());
  if (kind > static_cast<std::uint8_t>(sync::VerdictKind::kDuplicate)) return fail(ErrorCode::kMalformed, in.offset());
  outcome.kind = static_cast<sync::VerdictKind>(kind);
  OAS_TRY(outcome.code, in.u16());
  return outcome;
}

Result<sync::Rows> read_rows(Reader& in) {
  sync::Rows rows;
  OAS_TRY(rows.incarnation.minted_at.value, in.i64());
  OAS_TRY(rows.incarnation.random, in.u64());
  OAS_TRY(rows.streams, read_list(in, read_stream_row));
  OAS_TRY(rows.deferred, read_list(in, read_deferred));
  OAS_TRY(rows.late, read_list(in, read_late));
  return rows;
}

Result<sync::ReplyContext> read_context(Reader& in) {
  sync::ReplyContext context;
  OAS_TRY(context.incarnation.minted_at.value, in.i64());
  OAS_TRY(context.incarnation.random, in.u64());
  OAS_TRY(context.server_time.value, in.i64());
  OAS_TRY(context.horizon.value, in.i64());
  OAS_TRY(context.credit, in.u32());
  OAS_TRY(context.retry_after_ms, in.u32());
  return context;
}

}  // namespace

ByteView Calls::call(std::uint32_t op, ByteView input) {
  out_.assign(10, 0);
  const Result<void> done = run(static_cast<Op>(op), input);
  if (!done) {
    out_.clear();
    Writer out(out_);
    out.u16(static_cast<std::uint16_t>(done.error().code));
    out.u64(done.error().detail);
  }
  return out_;
}

Result<void> Calls::open(Reader& in) {
  if (sessions_.size() >= kSessionsMax) return fail(ErrorCode::kServerBusy);
  OAS_TRY(const std::uint32_t number, in.u32());
  std::vector<const wire::Dictionary*> held;
  if (number != 0) {
    const auto at = dictionaries_.find(number);
    if (at == dictionaries_.end()) return fail(ErrorCode::kNotFound, number);
    held.push_back(&at->second);
  }
  OAS_TRY(const ByteView request, in.raw(in.left()));
  OAS_TRY(sync::ServerSession session, sync::ServerSession::open(request, held));
  Writer out(out_);
  out.u32(next_session_);
  out.raw(session.device().value);
  out.u64(session.late_seen());
  write_needs(out, session.needs());
  out.u64(session.missing_dictionary());
  sessions_.emplace(next_session_++, std::move(session));
  return {};
}

Result<void> Calls::load_dictionary(ByteView input) {
  if (dictionaries_.size() >= kDictionariesMax) return fail(ErrorCode::kLimit, kDictionariesMax);
  OAS_TRY(wire::Dictionary dictionary, wire::unpack_dictionary(input));
  Writer out(out_);
  out.u32(next_dictionary_);
  out.u64(dictionary.id());
  dictionaries_.emplace(next_dictionary_++, std::move(dictionary));
  return {};
}

Result<void> Calls::open_segment(ByteView input) {
  OAS_TRY(const wire::SegmentView segment, wire::open_segment(input));
  Bytes rows;
  OAS_CHECK(wire::decode_rows(segment, rows));
  Writer out(out_);
  write_count(out, segment.head.count);
  Sequence seq = segment.head.first;
  for (wire::RowCursor cursor(segment.head, rows); !cursor.done(); ++seq.value) {
    OAS_TRY(const wire::RowCursor::Row row, cursor.next());
    write_id(out, {segment.head.stream, seq});
    out.u64(row.hash.value);
    out.u64(row.event.hlc.value);
    write_bytes(out, as_bytes(row.event.type));
    write_bytes(out, as_bytes(row.event.module));
    write_bytes(out, as_bytes(row.event.entity));
    write_bytes(out, row.event.json);
  }
  return {};
}

Result<void> Calls::run(Op op, ByteView input) {
  Reader in(input);
  Writer out(out_);
  switch (op) {
    case Op::kCheckJson: return wire::check_json(input);
    case Op::kEntityHash: out.u32(entity_hash(input)); return {};
    case Op::kSessionOpen: return open(in);
    case Op::kDictionaryLoad: return load_dictionary(input);
    case Op::kDictionaryDrop: {
      OAS_TRY(const std::uint32_t number, in.u32());
      return dictionaries_.erase(number) > 0 ? Result<void>{} : fail(ErrorCode::kNotFound, number);
    }
    case Op::kSegmentOpen: return open_segment(input);
    case Op::kReleasable: {
      OAS_TRY(const std::vector<sync::DeferredRow> deferred, read_list(in, read_deferred));
      OAS_TRY(const std::vector<EventId> marks, read_list(in, read_id));
      std::vector<std::pair<StreamId, Sequence>> passed;
      for (const EventId& mark : marks) passed.emplace_back(mark.stream, mark.seq);
      const std::vector<std::uint32_t> released = sync::releasable(deferred, passed);
      write_count(out, released.size());
      for (const std::uint32_t index : released) out.u32(index);
      return {};
    }
    case Op::kSessionPlan:
    case Op::kSessionPlain:
    case Op::kSessionFinish:
    case Op::kSessionReply:
    case Op::kSessionClose: break;
    default: return fail(ErrorCode::kInvalidArgument, static_cast<std::uint64_t>(op));
  }

  OAS_TRY(const std::uint32_t number, in.u32());
  const auto at = sessions_.find(number);
  if (at == sessions_.end()) return fail(ErrorCode::kNotFound, number);
  sync::ServerSession& session = at->second;
  switch (op) {
    case Op::kSessionPlan:
    case Op::kSessionPlain: {
      OAS_TRY(const std::uint8_t take_blocks, in.u8());
      OAS_TRY(sync::Rows rows, read_rows(in));
      if (rows.streams.size() != session.needs().size()) return fail(ErrorCode::kInvalidArgument, rows.streams.size());
      session.plan(std::move(rows), take_blocks != 0);
      if (op == Op::kSessionPlain)
        write_plain(out_, session);
      else
        write_plan(out, session);
      return {};
    }
    case Op::kSessionFinish: {
      OAS_TRY(const std::vector<sync::Outcome> outcomes, read_list(in, read_outcome));
      if (outcomes.size() != session.planned().size()) return fail(ErrorCode::kInvalidArgument, outcomes.size());
      for (std::uint32_t i = 0; i < outcomes.size(); ++i) session.outcome(i, outcomes[i]);
      write_writes(out, session.writes());
      return {};
    }
    case Op::kSessionReply: {
      OAS_TRY(const sync::ReplyContext context, read_context(in));
      out.raw(session.reply(context));
      return {};
    }
    default: sessions_.erase(at); return {};
  }
}

}  // namespace oas::engine
