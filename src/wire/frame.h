// The first and last bytes of every message: who is speaking, in which version, answering what, and a checksum.
//
//   "OAS" u8x3 | kind u8 | version u16 | nonce u64 | payload | checksum u64 over all that came before
//
// An answer echoes the request's nonce; a captive portal's page cannot.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace oas::wire {

inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::uint16_t kProtocolVersionOldest = 1;  // N-2 both ways, as far as they exist

enum class FrameKind : std::uint8_t { kSyncRequest = 1, kSyncReply = 2, kPeer = 3 };

struct Frame {
  FrameKind kind{};
  std::uint16_t version{};
  std::uint64_t nonce{};
  ByteView payload;
};

// Starts a message in `out` (cleared); write the payload after it, then finish.
void begin_frame(Bytes& out, FrameKind kind, std::uint64_t nonce);
void finish_frame(Bytes& out);

// Errors: kTruncated, kForeignReply (magic or kind), kChecksum, kUnknownVersion.
Result<Frame> open_frame(ByteView bytes, FrameKind expected);

}  // namespace oas::wire
