#include "sync/messages.h"

#include <algorithm>

#include "base/hash.h"
#include "base/limits.h"
#include "wire/frame.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::sync {
namespace {

using wire::Reader;
using wire::Writer;

constexpr std::uint8_t kSegmentItem = 0;
constexpr std::uint8_t kHoleItem = 1;

void write_stream(Writer& out, StreamId stream) {
  out.u64(stream.epoch.value);
  out.u8(static_cast<std::uint8_t>(stream.lane));
}

Result<StreamId> read_stream(Reader& in) {
  OAS_TRY(const std::uint64_t epoch, in.u64());
  OAS_TRY(const std::uint8_t lane, in.u8());
  if (lane >= kLaneCount) return fail(ErrorCode::kMalformed, in.offset());
  return StreamId{{epoch}, static_cast<Lane>(lane)};
}

void write_mark(Writer& out, const Watermark& mark) {
  out.varint(mark.seq.value);
  out.u64(mark.hash.value);
}

Result<Watermark> read_mark(Reader& in) {
  OAS_TRY(const std::uint64_t seq, in.varint());
  OAS_TRY(const std::uint64_t hash, in.u64());
  return Watermark{{seq}, {hash}};
}

// A number below `end`, as the enumeration it stands for.
template <class E>
Result<E> read_enum(Reader& in, std::uint8_t end) {
  OAS_TRY(const std::uint8_t value, in.u8());
  if (value >= end) return fail(ErrorCode::kMalformed, in.offset());
  return static_cast<E>(value);
}

void write_hole(Writer& out, const VoidRange& hole) {
  write_stream(out, hole.stream);
  out.varint(hole.from.value);
  out.varint(hole.to.value - hole.from.value);
  out.u8(static_cast<std::uint8_t>(hole.reason));
  out.u64(hole.hash_before.value);
  out.u64(hole.hash_after.value);
}

Result<VoidRange> read_hole(Reader& in) {
  VoidRange hole;
  OAS_TRY(hole.stream, read_stream(in));
  OAS_TRY(hole.from.value, in.varint());
  OAS_TRY(const std::uint64_t more, in.varint());
  if (hole.from.value == 0 || hole.from.value >= 1ULL << 56 || more >= 1ULL << 56)
    return fail(ErrorCode::kMalformed, in.offset());
  hole.to = {hole.from.value + more};
  OAS_TRY(hole.reason, read_enum<VoidReason>(in, 5));
  OAS_TRY(hole.hash_before.value, in.u64());
  OAS_TRY(hole.hash_after.value, in.u64());
  return hole;
}

Result<Item> read_item(Reader& in) {
  OAS_TRY(const std::uint8_t kind, in.u8());
  Item item;
  if (kind == kSegmentItem) {
    OAS_TRY(item.segment, in.bytes(kRecordBytesMax * 2));
    if (item.segment.empty()) return fail(ErrorCode::kMalformed, in.offset());
  } else if (kind == kHoleItem) {
    OAS_TRY(item.hole, read_hole(in));
  } else {
    return fail(ErrorCode::kMalformed, in.offset());
  }
  return item;
}

Result<void> read_streams(Reader& in, std::vector<StreamState>& streams) {
  OAS_TRY(const std::uint32_t count, in.count(kPushStreamsMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    StreamState state;
    OAS_TRY(state.stream, read_stream(in));
    if (i > 0 && state.stream <= streams.back().stream) return fail(ErrorCode::kMalformed, in.offset());
    OAS_TRY(state.stored, read_mark(in));
    OAS_TRY(state.last, read_mark(in));
    streams.push_back(state);
  }
  return {};
}

Result<void> read_deps(Reader& in, std::uint32_t items, std::vector<Dep>& deps) {
  OAS_TRY(const std::uint32_t count, in.count(kPushDepsMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    Dep dep;
    OAS_TRY(const std::uint64_t item, in.varint());
    if (item >= items) return fail(ErrorCode::kMalformed, in.offset());
    dep.item = static_cast<std::uint32_t>(item);
    OAS_TRY(dep.entity, in.u32());
    OAS_TRY(dep.stream, read_stream(in));
    OAS_TRY(dep.seq.value, in.varint());
    deps.push_back(dep);
  }
  return {};
}

Result<std::uint16_t> read_code(Reader& in) {
  OAS_TRY(const std::uint32_t code, in.count(0xFFFF));
  return static_cast<std::uint16_t>(code);
}

Result<StreamAnswer> read_answer(Reader& in) {
  StreamAnswer answer;
  OAS_TRY(answer.stream, read_stream(in));
  OAS_TRY(answer.status, read_enum<StreamStatus>(in, 7));
  OAS_TRY(answer.mark, read_mark(in));
  OAS_TRY(const std::uint32_t count, in.count(kVerdictsMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    Verdict verdict;
    OAS_TRY(verdict.seq.value, in.varint());
    if (i > 0 && verdict.seq <= answer.verdicts.back().seq) return fail(ErrorCode::kMalformed, in.offset());
    OAS_TRY(verdict.kind, read_enum<VerdictKind>(in, 5));
    OAS_TRY(verdict.code, read_code(in));
    answer.verdicts.push_back(verdict);
  }
  return answer;
}

Result<LateVerdict> read_late(Reader& in) {
  LateVerdict late;
  OAS_TRY(late.number, in.varint());
  OAS_TRY(late.event.stream, read_stream(in));
  OAS_TRY(late.event.seq.value, in.varint());
  OAS_TRY(late.kind, read_enum<VerdictKind>(in, 5));
  OAS_TRY(late.code, read_code(in));
  return late;
}

}  // namespace

void write_request(Bytes& out, std::uint64_t nonce, const SyncRequest& request) {
  wire::begin_frame(out, wire::FrameKind::kSyncRequest, nonce);
  Writer writer(out);
  writer.raw(request.device.value);
  writer.i64(request.known.minted_at.value);
  writer.u64(request.known.random);
  writer.varint(request.late_seen);
  writer.i64(request.client_time.value);
  writer.varint(request.streams.size());
  for (const StreamState& state : request.streams) {
    write_stream(writer, state.stream);
    write_mark(writer, state.stored);
    write_mark(writer, state.last);
  }
  writer.varint(request.items.size());
  for (const Item& item : request.items) {
    writer.u8(item.segment.empty() ? kHoleItem : kSegmentItem);
    if (item.segment.empty()) {
      write_hole(writer, item.hole);
    } else {
      writer.bytes(item.segment);
    }
  }
  writer.varint(request.deps.size());
  for (const Dep& dep : request.deps) {
    writer.varint(dep.item);
    writer.u32(dep.entity);
    write_stream(writer, dep.stream);
    writer.varint(dep.seq.value);
  }
  wire::finish_frame(out);
}

Result<OpenedRequest> read_request(ByteView bytes) {
  if (bytes.size() > kPushBytesMax * 2) return fail(ErrorCode::kLimit, kPushBytesMax * 2);
  OAS_TRY(const wire::Frame frame, wire::open_frame(bytes, wire::FrameKind::kSyncRequest));
  OpenedRequest opened{.nonce = frame.nonce, .request = {}};
  SyncRequest& request = opened.request;
  Reader in(frame.payload);
  OAS_TRY(const ByteView device, in.raw(request.device.value.size()));
  std::copy(device.begin(), device.end(), request.device.value.begin());
  OAS_TRY(request.known.minted_at.value, in.i64());
  OAS_TRY(request.known.random, in.u64());
  OAS_TRY(request.late_seen, in.varint());
  OAS_TRY(request.client_time.value, in.i64());
  OAS_CHECK(read_streams(in, request.streams));
  OAS_TRY(const std::uint32_t items, in.count(kPushItemsMax));
  for (std::uint32_t i = 0; i < items; ++i) {
    OAS_TRY(Item item, read_item(in));
    request.items.push_back(item);
  }
  OAS_CHECK(read_deps(in, items, request.deps));
  OAS_CHECK(in.end());
  return opened;
}

void write_reply(Bytes& out, std::uint64_t nonce, const SyncReply& reply) {
  wire::begin_frame(out, wire::FrameKind::kSyncReply, nonce);
  Writer writer(out);
  writer.i64(reply.incarnation.minted_at.value);
  writer.u64(reply.incarnation.random);
  writer.i64(reply.server_time.value);
  writer.i64(reply.horizon.value);
  writer.varint(reply.credit);
  writer.varint(reply.retry_after_ms);
  writer.varint(reply.error);
  writer.varint(reply.streams.size());
  for (const StreamAnswer& answer : reply.streams) {
    write_stream(writer, answer.stream);
    writer.u8(static_cast<std::uint8_t>(answer.status));
    write_mark(writer, answer.mark);
    writer.varint(answer.verdicts.size());
    for (const Verdict& verdict : answer.verdicts) {
      writer.varint(verdict.seq.value);
      writer.u8(static_cast<std::uint8_t>(verdict.kind));
      writer.varint(verdict.code);
    }
  }
  writer.varint(reply.late.size());
  for (const LateVerdict& late : reply.late) {
    writer.varint(late.number);
    write_stream(writer, late.event.stream);
    writer.varint(late.event.seq.value);
    writer.u8(static_cast<std::uint8_t>(late.kind));
    writer.varint(late.code);
  }
  wire::finish_frame(out);
}

Result<SyncReply> read_reply(ByteView bytes, std::uint64_t nonce) {
  OAS_TRY(const wire::Frame frame, wire::open_frame(bytes, wire::FrameKind::kSyncReply));
  if (frame.nonce != nonce) return fail(ErrorCode::kForeignReply);
  SyncReply reply;
  Reader in(frame.payload);
  OAS_TRY(reply.incarnation.minted_at.value, in.i64());
  OAS_TRY(reply.incarnation.random, in.u64());
  OAS_TRY(reply.server_time.value, in.i64());
  OAS_TRY(reply.horizon.value, in.i64());
  OAS_TRY(reply.credit, in.count(0xFFFFFFFF));
  OAS_TRY(reply.retry_after_ms, in.count(0xFFFFFFFF));
  OAS_TRY(reply.error, read_code(in));
  OAS_TRY(const std::uint32_t streams, in.count(kPushStreamsMax));
  for (std::uint32_t i = 0; i < streams; ++i) {
    OAS_TRY(StreamAnswer answer, read_answer(in));
    reply.streams.push_back(std::move(answer));
  }
  OAS_TRY(const std::uint32_t late, in.count(kVerdictsMax));
  for (std::uint32_t i = 0; i < late; ++i) {
    OAS_TRY(const LateVerdict verdict, read_late(in));
    reply.late.push_back(verdict);
  }
  OAS_CHECK(in.end());
  return reply;
}

RollingHash void_hash(RollingHash before, Sequence from, Sequence to) {
  Bytes bytes;
  Writer writer(bytes);
  writer.u64(before.value);
  writer.text("void");
  writer.u64(from.value);
  writer.u64(to.value);
  return {hash64(bytes)};
}

Epoch forked_epoch(Epoch old, Sequence agreed, RollingHash own_next) {
  Bytes bytes;
  Writer writer(bytes);
  writer.u64(old.value);
  writer.u64(agreed.value);
  writer.u64(own_next.value);
  return {hash64(bytes)};
}

}  // namespace oas::sync
