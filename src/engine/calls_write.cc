#include "engine/calls_write.h"

#include "engine/event_columns.h"

namespace oas::engine {
namespace {

using wire::Writer;

void write_stream(Writer& out, StreamId stream) {
  out.u64(stream.epoch.value);
  out.u8(static_cast<std::uint8_t>(stream.lane));
}
void write_mark(Writer& out, const Watermark& mark) {
  out.u64(mark.seq.value);
  out.u64(mark.hash.value);
}

void write_planned(Writer& out, const sync::PlannedEvent& planned) {
  write_id(out, planned.id);
  out.u64(planned.hash.value);
  out.u64(planned.event.hlc.value);
  write_bytes(out, as_bytes(planned.event.type));
  write_bytes(out, as_bytes(planned.event.module));
  write_bytes(out, as_bytes(planned.event.entity));
  out.u32(planned.entity);
  write_bytes(out, as_bytes(planned.event.dedupe_key));
  out.u8(planned.event.replaces ? 1 : 0);
  if (planned.event.replaces) write_id(out, *planned.event.replaces);
  write_bytes(out, planned.event.json);
  out.u16(planned.refused);
  out.u8(planned.recovered ? 1 : 0);
  out.u8(planned.run ? 1 : 0);
  write_count(out, planned.after.size());
  for (const EventId& id : planned.after) write_id(out, id);
}

void write_block(Writer& out, const sync::PlannedBlock& block) {
  write_stream(out, block.stream);
  write_count(out, block.segments.size());
  for (const sync::PlannedBlock::Segment& segment : block.segments) {
    out.u64(segment.first.value);
    out.u64(segment.last.value);
    write_bytes(out, segment.bytes);
  }
  write_count(out, block.hashes.size() * sizeof(std::uint64_t));
  for (const RollingHash hash : block.hashes) out.u64(hash.value);
  write_count(out, block.groups.size());
  for (const sync::PlannedBlock::Group& group : block.groups) {
    write_bytes(out, as_bytes(group.type));
    write_bytes(out, as_bytes(group.module));
    out.u32(group.count);
    out.u64(group.hlc.value);
  }
}

void write_blocks(Writer& out, const std::vector<sync::PlannedBlock>& blocks) {
  write_count(out, blocks.size());
  for (const sync::PlannedBlock& block : blocks) write_block(out, block);
}

void write_moves(Writer& out, const std::vector<sync::StreamWrite>& moves) {
  write_count(out, moves.size());
  for (const sync::StreamWrite& write : moves) {
    write_stream(out, write.stream);
    write_mark(out, write.before);
    write_mark(out, write.after);
  }
}

}  // namespace

void write_count(Writer& out, std::size_t count) { out.u32(static_cast<std::uint32_t>(count)); }
void write_bytes(Writer& out, ByteView bytes) {
  write_count(out, bytes.size());
  out.raw(bytes);
}
void write_id(Writer& out, const EventId& id) {
  write_stream(out, id.stream);
  out.u64(id.seq.value);
}

void write_needs(Writer& out, const std::vector<sync::StreamNeed>& needs) {
  write_count(out, needs.size());
  for (const sync::StreamNeed& need : needs) {
    write_stream(out, need.stream);
    out.u64(need.stored.value);
    out.u8(need.mark_only ? 1 : 0);
    write_count(out, need.hashes_at.size());
    for (const Sequence seq : need.hashes_at) out.u64(seq.value);
  }
}

void write_plan(Writer& out, const sync::ServerSession& session) {
  const std::optional<sync::HashProbe>& probe = session.probe();
  out.u8(probe ? 1 : 0);
  if (probe) {
    write_stream(out, probe->stream);
    out.u64(probe->from.value);
    out.u64(probe->to.value);
  }
  write_count(out, session.planned().size());
  for (const sync::PlannedEvent& planned : session.planned()) write_planned(out, planned);
  write_blocks(out, session.blocks());
}

void write_plain(Bytes& bytes, const sync::ServerSession& session) {
  Writer out(bytes);
  const bool plain = session.plain();
  out.u8(plain ? 1 : 0);
  if (!plain) return;
  write_moves(out, session.writes().streams);
  write_event_groups(bytes, session.planned());
  write_event_columns(bytes, session.planned());
  write_blocks(out, session.blocks());
}

void write_writes(Writer& out, const sync::Writes& writes) {
  write_moves(out, writes.streams);
  write_count(out, writes.voids.size());
  for (const sync::VoidWrite& write : writes.voids) {
    write_stream(out, write.range.stream);
    out.u64(write.range.from.value);
    out.u64(write.range.to.value);
    out.u8(static_cast<std::uint8_t>(write.range.reason));
    out.u64(write.range.hash_before.value);
    out.u64(write.range.hash_after.value);
  }
  write_count(out, writes.recovered.size());
  for (const EventId& id : writes.recovered) write_id(out, id);
}

}  // namespace oas::engine
