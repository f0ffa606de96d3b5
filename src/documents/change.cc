#include "documents/change.h"

#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::documents {

Bytes encode_change(const merge::Delta& delta) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u8(static_cast<std::uint8_t>(ChangeKind::kDelta));
  out.raw(merge::encode_delta(delta));
  return bytes;
}

Bytes encode_fold(std::uint64_t cut) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u8(static_cast<std::uint8_t>(ChangeKind::kFold));
  out.varint(cut);
  return bytes;
}

Result<ChangeKind> apply_change(merge::Document& document, ByteView change, const merge::Rules& rules) {
  wire::Reader in(change);
  OAS_TRY(const std::uint8_t kind, in.u8());
  switch (static_cast<ChangeKind>(kind)) {
    case ChangeKind::kDelta: {
      OAS_TRY(const ByteView delta, in.raw(in.left()));
      OAS_CHECK(document.apply(delta));
      return ChangeKind::kDelta;
    }
    case ChangeKind::kFold: {
      OAS_TRY(const std::uint64_t cut, in.varint());
      OAS_CHECK(in.end());
      document.compact(cut, rules);
      return ChangeKind::kFold;
    }
  }
  return fail(ErrorCode::kUnknownVersion, kind);
}

}  // namespace oas::documents
