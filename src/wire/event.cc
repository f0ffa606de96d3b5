#include "wire/event.h"

#include <algorithm>

#include "base/limits.h"
#include "wire/json_check.h"

namespace oas::wire {
namespace {

enum Flag : std::uint8_t { kHasEntity = 1, kHasDedupeKey = 2, kHasReplaces = 4, kAllFlags = 7 };

Result<void> check_field(std::string_view field) {
  if (field.size() > kEnvelopeFieldBytesMax) return fail(ErrorCode::kInvalidEnvelope, field.size());
  if (field.find('\0') != std::string_view::npos) return fail(ErrorCode::kInvalidEnvelope);
  return check_utf8(as_bytes(field));
}

}  // namespace

void write_event(Writer& out, const EventView& event) {
  out.u64(event.hlc.value);
  out.u8(static_cast<std::uint8_t>((event.entity.empty() ? 0 : kHasEntity) |
                                   (event.dedupe_key.empty() ? 0 : kHasDedupeKey) |
                                   (event.replaces ? kHasReplaces : 0)));
  out.text(event.type);
  out.text(event.module);
  if (!event.entity.empty()) out.text(event.entity);
  if (!event.dedupe_key.empty()) out.text(event.dedupe_key);
  if (event.replaces) {
    out.u64(event.replaces->stream.epoch.value);
    out.u8(static_cast<std::uint8_t>(event.replaces->stream.lane));
    out.varint(event.replaces->seq.value);
  }
  out.bytes(event.json);
}

Result<EventView> read_event(Reader& in) {
  EventView event;
  OAS_TRY(event.hlc.value, in.u64());
  OAS_TRY(const std::uint8_t flags, in.u8());
  if ((flags & ~kAllFlags) != 0) return fail(ErrorCode::kMalformed, in.offset());
  OAS_TRY(event.type, in.text(kEnvelopeFieldBytesMax));
  if (event.type.empty()) return fail(ErrorCode::kInvalidEnvelope, in.offset());
  OAS_TRY(event.module, in.text(kEnvelopeFieldBytesMax));
  if ((flags & kHasEntity) != 0) {
    OAS_TRY(event.entity, in.text(kEnvelopeFieldBytesMax));
    if (event.entity.empty()) return fail(ErrorCode::kMalformed, in.offset());
  }
  if ((flags & kHasDedupeKey) != 0) {
    OAS_TRY(event.dedupe_key, in.text(kEnvelopeFieldBytesMax));
    if (event.dedupe_key.empty()) return fail(ErrorCode::kMalformed, in.offset());
  }
  if ((flags & kHasReplaces) != 0) {
    EventId id;
    OAS_TRY(id.stream.epoch.value, in.u64());
    OAS_TRY(const std::uint8_t lane, in.u8());
    if (lane >= kLaneCount) return fail(ErrorCode::kMalformed, in.offset());
    id.stream.lane = static_cast<Lane>(lane);
    OAS_TRY(id.seq.value, in.varint());
    event.replaces = id;
  }
  OAS_TRY(event.json, in.bytes(kEventJsonBytesMax));
  return event;
}

Result<void> check_envelope(const EventView& event) {
  if (event.type.empty()) return fail(ErrorCode::kInvalidEnvelope);
  for (const std::string_view field : {event.type, event.module, event.entity, event.dedupe_key})
    OAS_CHECK(check_field(field));
  return {};
}

}  // namespace oas::wire
