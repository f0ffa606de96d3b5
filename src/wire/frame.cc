#include "wire/frame.h"

#include "base/hash.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::wire {
namespace {

constexpr std::size_t kChecksumBytes = 8;

}  // namespace

void begin_frame(Bytes& out, FrameKind kind, std::uint64_t nonce) {
  out.clear();
  Writer writer(out);
  writer.raw(as_bytes("OAS"));
  writer.u8(static_cast<std::uint8_t>(kind));
  writer.u16(kProtocolVersion);
  writer.u64(nonce);
}

void finish_frame(Bytes& out) {
  const std::uint64_t checksum = hash64(out);
  Writer(out).u64(checksum);
}

Result<Frame> open_frame(ByteView bytes, FrameKind expected) {
  if (bytes.size() < 4 || as_text(bytes.first(3)) != "OAS" || bytes[3] != static_cast<std::uint8_t>(expected))
    return fail(ErrorCode::kForeignReply);
  Frame frame{.kind = expected};
  Reader in(bytes.subspan(4));
  OAS_TRY(frame.version, in.u16());
  // The version first: a newer peer may checksum otherwise.
  if (frame.version < kProtocolVersionOldest || frame.version > kProtocolVersion)
    return fail(ErrorCode::kUnknownVersion, frame.version);
  OAS_TRY(frame.nonce, in.u64());
  if (in.left() < kChecksumBytes) return fail(ErrorCode::kTruncated, in.offset());
  OAS_TRY(frame.payload, in.raw(in.left() - kChecksumBytes));
  OAS_TRY(const std::uint64_t checksum, in.u64());
  if (checksum != hash64(bytes.first(bytes.size() - kChecksumBytes))) return fail(ErrorCode::kChecksum);
  return frame;
}

}  // namespace oas::wire
