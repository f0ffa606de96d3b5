// One event as bytes: what is stored, hashed and sent. The caller's JSON is kept byte for byte.
//
//   hlc u64 | flags u8 | type text | module text | [entity text] | [dedupe key text] | [replaces epoch u64, lane u8, seq varint] | json bytes
//
// This is the canonical form: a row segment's body is these bytes one after another, and the rolling hash of a stream
// runs over exactly them, so segments may be cut anew anywhere without changing a hash.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::wire {

// Views point into the bytes the event was read from, or into the caller's strings.
struct EventView {
  Hlc hlc;
  std::string_view type;  // 1 to 256 bytes, UTF-8, no U+0000
  std::string_view module;  // 0 to 256 bytes
  std::string_view entity;  // empty = belongs to none and holds back nothing
  std::string_view dedupe_key;  // empty = two equal events are two events
  std::optional<EventId> replaces;
  ByteView json;  // one JSON value, at most kEventJsonBytesMax bytes
};

void write_event(Writer& out, const EventView& event);

// Checks framing and lengths, not the JSON inside. Errors: kTruncated, kMalformed, kLimit, kInvalidEnvelope.
Result<EventView> read_event(Reader& in);

// The rules for everything around the JSON: lengths, valid UTF-8, no U+0000. Errors: kInvalidEnvelope, kInvalidUtf8.
Result<void> check_envelope(const EventView& event);

}  // namespace oas::wire
