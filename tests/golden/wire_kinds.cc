// JSON verdicts, events, lz4 blocks, segments and frames.
#include <array>
#include <string>

#include "../unit/wire/samples.h"
#include "base/hash.h"
#include "kind.h"
#include "wire/frame.h"
#include "wire/json_check.h"
#include "wire/lz4.h"
#include "wire/segment.h"

namespace oas::golden {
namespace {

using wire::SampleEvent;

constexpr std::size_t kChecksumBytes = 8;

// One of: a byte changed, bytes cut off, a byte too many.
void damage(Prng& prng, Bytes& bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  if (size == 0) return;
  switch (prng.below(3)) {
    case 0: bytes[prng.below(size)] = static_cast<std::uint8_t>(prng.next()); break;
    case 1: bytes.resize(prng.below(size)); break;
    default: bytes.push_back(static_cast<std::uint8_t>(prng.next())); break;
  }
}

// Damage before the checksum, which is then made right: what a liar would send.
Bytes lie(Prng& prng, Bytes bytes) {
  bytes.resize(bytes.size() - kChecksumBytes);
  damage(prng, bytes);
  wire::Writer(bytes).u64(hash64(bytes));
  return bytes;
}

// json: text → verdict of check_json, then of check_utf8.
std::vector<Bytes> json_inputs() {
  const std::string whole =
      R"({"u":"https://example.org/ä?q=\"x\"","n":[1,-2.5e3,0],"d":{"a":{"b":[[],{}]}},"e":"😀\ud83d\ude00","t":true})";
  std::vector<Bytes> out;
  for (const char* text : {"",
                           " ",
                           "null",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "01",
                           "1.",
                           "1e400",
                           "\"\\u0000\"",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800\\udc00\"",
                           "\"\\ud800\\ud800\"",
                           "\"\xED\xA0\x80\"",
                           "\"\xC0\x80\"",
                           "\"\xF4\x90\x80\x80\"",
                           "\"\t\"",
                           "[1,]",
                           "{\"a\":1,\"a\":2}",
                           "{\"__proto__\":1}",
                           "[}",
                           "NaN",
                           "1 2",
                           "\xEF\xBB\xBF"
                           "1",
                           "\"\\x\"",
                           "'a'"})
    out.push_back(to_bytes(as_bytes(text)));
  for (const std::uint32_t depth : {63U, 64U, 65U})
    out.push_back(to_bytes(as_bytes(std::string(depth, '[') + std::string(depth, ']'))));
  Prng prng(201);
  while (out.size() < 260) {
    Bytes text = to_bytes(as_bytes(whole));
    damage(prng, text);
    if (prng.chance(1, 2)) damage(prng, text);
    out.push_back(std::move(text));
  }
  return out;
}
Bytes run_json(ByteView input) {
  Bytes out;
  for (const Result<void>& checked : {wire::check_json(input), wire::check_utf8(input)}) {
    const Bytes one = refused(checked ? Error{} : checked.error());
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

// The fields of an event in fixed form: what the canonical form is made from.
void write_fields(wire::Writer& out, const wire::EventView& event) {
  out.u64(event.hlc.value);
  for (const std::string_view field : {event.type, event.module, event.entity, event.dedupe_key}) {
    out.u32(static_cast<std::uint32_t>(field.size()));
    out.raw(as_bytes(field));
  }
  out.u8(event.replaces ? 1 : 0);
  if (event.replaces) {
    out.u64(event.replaces->stream.epoch.value);
    out.u8(static_cast<std::uint8_t>(event.replaces->stream.lane));
    out.u64(event.replaces->seq.value);
  }
  out.u32(static_cast<std::uint32_t>(event.json.size()));
  out.raw(event.json);
}
Result<wire::EventView> read_fields(wire::Reader& in) {
  wire::EventView event;
  OAS_TRY(event.hlc.value, in.u64());
  for (std::string_view* field : {&event.type, &event.module, &event.entity, &event.dedupe_key}) {
    OAS_TRY(const std::uint32_t size, in.u32());
    OAS_TRY(const ByteView bytes, in.raw(size));
    *field = as_text(bytes);
  }
  OAS_TRY(const std::uint8_t replaces, in.u8());
  if (replaces != 0) {
    EventId id;
    OAS_TRY(id.stream.epoch.value, in.u64());
    OAS_TRY(const std::uint8_t lane, in.u8());
    id.stream.lane = static_cast<Lane>(lane);
    OAS_TRY(id.seq.value, in.u64());
    event.replaces = id;
  }
  OAS_TRY(const std::uint32_t size, in.u32());
  OAS_TRY(event.json, in.raw(size));
  return event;
}

// event: fields → canonical bytes.
std::vector<Bytes> event_inputs() {
  Prng prng(202);
  std::vector<Bytes> out;
  for (int i = 0; i < 150; ++i) {
    Bytes input;
    wire::Writer writer(input);
    write_fields(writer, wire::sample_event(prng, 120).view());
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_event(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const wire::EventView event, read_fields(in));
    wire::write_event(out, event);
    return {};
  });
}

// event-read: canonical bytes, often damaged → fields, envelope verdict.
std::vector<Bytes> event_read_inputs() {
  Prng prng(203);
  std::vector<Bytes> out;
  for (int i = 0; i < 200; ++i) {
    Bytes input;
    wire::Writer writer(input);
    wire::write_event(writer, wire::sample_event(prng, 60).view());
    if (prng.chance(3, 4)) damage(prng, input);
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_event_read(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const wire::EventView event, wire::read_event(in));
    const Result<void> checked = wire::check_envelope(event);
    out.raw(refused(checked ? Error{} : checked.error()));
    write_fields(out, event);
    out.u32(static_cast<std::uint32_t>(in.offset()));
    return {};
  });
}

// lz4: bytes → block. The blocks of one lz4 version are part of the format.
std::vector<Bytes> lz4_inputs() {
  Prng prng(204);
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < 120; ++i) {
    Bytes input;
    while (input.size() < i * 9) {
      const auto byte = static_cast<std::uint8_t>(prng.below(64));
      for (std::uint32_t run = 1 + prng.below(12); run > 0; --run) input.push_back(byte);
    }
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_lz4(ByteView input) {
  Bytes out{0, 0};
  wire::compress(input, out);
  return out;
}

// lz4-read: size u32, block, often damaged → the bytes.
std::vector<Bytes> lz4_read_inputs() {
  Prng prng(205);
  std::vector<Bytes> out;
  for (const Bytes& bytes : lz4_inputs()) {
    Bytes input;
    wire::Writer(input).u32(static_cast<std::uint32_t>(bytes.size()));
    wire::compress(bytes, input);
    if (prng.chance(2, 3)) damage(prng, input);
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_lz4_read(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::uint32_t size, in.u32());
    OAS_TRY(const ByteView block, in.raw(in.left()));
    Bytes bytes;
    OAS_CHECK(wire::decompress(block, size, 100'000, bytes));
    out.u64(hash64(bytes));
    return {};
  });
}

// segment: epoch u64, lane u8, first u64, hash before u64, then events as fields → the sealed segments.
Bytes segment_input(Prng& prng, std::uint32_t events, std::uint32_t json_bytes_max, bool noise) {
  Bytes input;
  wire::Writer writer(input);
  writer.u64(prng.next());
  writer.u8(static_cast<std::uint8_t>(prng.below(kLaneCount)));
  writer.u64(1 + (random_number(prng) >> 8));
  writer.u64(random_number(prng));
  for (std::uint32_t i = 0; i < events; ++i)
    write_fields(writer, wire::sample_event(prng, json_bytes_max, noise).view());
  return input;
}
std::vector<Bytes> segment_inputs() {
  Prng prng(206);
  std::vector<Bytes> out;
  for (int i = 0; i < 110; ++i) out.push_back(segment_input(prng, 1 + prng.below(16), 80, prng.chance(1, 4)));
  // More than one segment's worth, and cuts that depend on how well it compresses.
  out.push_back(segment_input(prng, 6, 20'000, true));
  out.push_back(segment_input(prng, 1'000, 8, false));
  return out;
}
Result<std::vector<wire::SealedSegment>> seal(wire::Reader& in) {
  StreamId stream;
  Sequence first;
  RollingHash before;
  OAS_TRY(stream.epoch.value, in.u64());
  OAS_TRY(const std::uint8_t lane, in.u8());
  stream.lane = static_cast<Lane>(lane);
  OAS_TRY(first.value, in.u64());
  OAS_TRY(before.value, in.u64());
  wire::SegmentBuilder builder(stream, first, before);
  while (in.left() > 0) {
    OAS_TRY(const wire::EventView event, read_fields(in));
    builder.add(event);
  }
  return builder.seal();
}
Bytes run_segment(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::vector<wire::SealedSegment> sealed, seal(in));
    for (const wire::SealedSegment& segment : sealed) {
      out.varint(segment.first.value);
      out.varint(segment.last.value);
      out.u64(segment.hlc_first.value);
      for (const std::uint32_t entity : segment.entities) out.u32(entity);
      // Large ones by their hash: the vectors stay small.
      if (segment.bytes.size() < 2'000)
        out.bytes(segment.bytes);
      else
        out.u64(hash64(segment.bytes));
    }
    return {};
  });
}

// segment-read: segment bytes, often changed → head and the hash over the events' fields.
std::vector<Bytes> segment_read_inputs() {
  Prng prng(207);
  std::vector<Bytes> out;
  for (int i = 0; i < 220; ++i) {
    const Bytes fields = segment_input(prng, 1 + prng.below(9), 60, prng.chance(1, 4));
    wire::Reader in(fields);
    Bytes bytes = std::move((*seal(in))[0].bytes);
    if (prng.chance(1, 8)) damage(prng, bytes);
    if (prng.chance(3, 4)) bytes = lie(prng, std::move(bytes));
    out.push_back(std::move(bytes));
  }
  return out;
}
Bytes run_segment_read(ByteView input) {
  return answer(input, [&](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const wire::SegmentView segment, wire::open_segment(input));
    const wire::SegmentHead& head = segment.head;
    out.u64(head.stream.epoch.value);
    out.u8(static_cast<std::uint8_t>(head.stream.lane));
    out.u8(static_cast<std::uint8_t>(head.codec));
    for (const std::uint64_t value : {head.first.value, head.last().value, head.hlc_first.value, head.hlc_last.value,
                                      head.hash_before.value, head.hash_after.value})
      out.u64(value);
    for (const std::uint32_t value : {head.json_bytes, head.body_bytes, head.stored_bytes}) out.u32(value);
    for (const std::uint32_t entity : head.entities) out.u32(entity);
    Bytes rows;
    OAS_CHECK(wire::decode_rows(segment, rows));
    wire::RowCursor cursor(head, rows);
    Bytes fields;
    wire::Writer writer(fields);
    while (!cursor.done()) {
      OAS_TRY(const wire::RowCursor::Row row, cursor.next());
      writer.u64(row.seq.value);
      writer.u64(row.hash.value);
      write_fields(writer, row.event);
    }
    out.u64(hash64(fields));
    return {};
  });
}

// frame: kind u8, nonce u64, payload → frame.
std::vector<Bytes> frame_inputs() {
  Prng prng(208);
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < 110; ++i) {
    Bytes input;
    wire::Writer writer(input);
    writer.u8(static_cast<std::uint8_t>(1 + prng.below(3)));
    writer.u64(random_number(prng));
    writer.raw(random_bytes(prng, i));
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_frame(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::uint8_t kind, in.u8());
    OAS_TRY(const std::uint64_t nonce, in.u64());
    OAS_TRY(const ByteView payload, in.raw(in.left()));
    Bytes frame;
    wire::begin_frame(frame, static_cast<wire::FrameKind>(kind), nonce);
    wire::Writer(frame).raw(payload);
    wire::finish_frame(frame);
    out.raw(frame);
    return {};
  });
}

// frame-read: frame, often changed → version, nonce, payload, opened as a reply.
std::vector<Bytes> frame_read_inputs() {
  Prng prng(209);
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < 140; ++i) {
    Bytes frame;
    wire::begin_frame(frame, prng.chance(1, 8) ? wire::FrameKind::kPeer : wire::FrameKind::kSyncReply,
                      random_number(prng));
    wire::Writer(frame).raw(random_bytes(prng, prng.below(40)));
    wire::finish_frame(frame);
    if (prng.chance(1, 4)) damage(prng, frame);
    if (prng.chance(1, 2) && frame.size() > kChecksumBytes) frame = lie(prng, std::move(frame));
    out.push_back(std::move(frame));
  }
  return out;
}
Bytes run_frame_read(ByteView input) {
  return answer(input, [&](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const wire::Frame frame, wire::open_frame(input, wire::FrameKind::kSyncReply));
    out.u16(frame.version);
    out.u64(frame.nonce);
    out.bytes(frame.payload);
    return {};
  });
}

constexpr std::array kKinds{
    Kind{"json", json_inputs, run_json},
    Kind{"event", event_inputs, run_event},
    Kind{"event-read", event_read_inputs, run_event_read},
    Kind{"lz4", lz4_inputs, run_lz4},
    Kind{"lz4-read", lz4_read_inputs, run_lz4_read},
    Kind{"segment", segment_inputs, run_segment},
    Kind{"segment-read", segment_read_inputs, run_segment_read},
    Kind{"frame", frame_inputs, run_frame},
    Kind{"frame-read", frame_read_inputs, run_frame_read},
};

}  // namespace

std::span<const Kind> wire_kinds() { return kKinds; }

}  // namespace oas::golden
