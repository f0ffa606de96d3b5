// Everything of the core that answers at once, without the engine's loop: bytes in, bytes out.
//
// Used by the server (one session per sync request) and by tools. Numbers are little-endian and fixed width; Bytes = u32
// size, then the bytes; StreamId = epoch u64, lane u8; EventId = StreamId, seq u64; Watermark = seq u64, hash u64.
//
//   kCheckJson       json                     → nothing
//   kSessionOpen     dictionary u32 (0 = none), a request frame
//                                             → session u32, device 16 bytes, late_seen u64, needs, missing dictionary u64
//   kSessionPlan     session u32, take_blocks u8, incarnation, rows
//                                             → has_probe u8 [stream, from u64, to u64], planned events, blocks
//   kSessionFinish   session u32, outcomes    → writes
//   kSessionPlain    as kSessionPlan          → plain u8 [moved streams, groups and columns of the events, blocks]: a plan and
//                                               its writes at once, where all of it simply applies (engine/event_columns.h)
//   kSessionReply    session u32, context     → the reply frame
//   kSessionClose    session u32              → nothing
//   kReleasable      deferred rows, marks     → u32 count, u32 indices
//   kEntityHash      entity bytes             → u32
//   kDictionaryLoad  a packed dictionary      → dictionary u32, id u64
//   kDictionaryDrop  dictionary u32           → nothing
//   kSegmentOpen     a segment                → its events: EventId, hash u64, hlc u64, type, module, entity, JSON (Bytes)
//
// Lists are a u32 count and the elements, field by field as in sync/server_session.h; hashes of a block are Bytes. Every answer starts with
// error u16 (0 = well) and detail u64.
#pragma once

#include <cstdint>
#include <map>

#include "base/bytes.h"
#include "sync/server_session.h"
#include "wire/dictionary.h"
#include "wire/reader.h"

namespace oas::engine {

class Calls {
 public:
  enum class Op : std::uint8_t {
    kCheckJson = 1,
    kSessionOpen = 2,
    kSessionPlan = 3,
    kSessionFinish = 4,
    kSessionReply = 5,
    kSessionClose = 6,
    kReleasable = 7,
    kEntityHash = 8,
    kSegmentOpen = 9,
    kSessionPlain = 10,
    kDictionaryLoad = 11,
    kDictionaryDrop = 12,
  };

  // The view is valid until the next call.
  ByteView call(std::uint32_t op, ByteView input);

 private:
  Result<void> run(Op op, ByteView input);
  Result<void> open(wire::Reader& in);
  Result<void> load_dictionary(ByteView input);
  Result<void> open_segment(ByteView input);

  std::map<std::uint32_t, sync::ServerSession> sessions_;
  std::uint32_t next_session_ = 1;
  std::map<std::uint32_t, wire::Dictionary> dictionaries_;
  std::uint32_t next_dictionary_ = 1;
  Bytes out_;
};

}  // namespace oas::engine
