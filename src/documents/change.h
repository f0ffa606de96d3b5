// One row of a space's change order, as bytes: what the server says happened to a document, in the order it happened.
//
//   kind u8 | delta: encoded delta with its stamps and voids     (edits that were accepted, dots that never will be)
//           | fold: cut varint                                   (everybody compacts here, so that replicas stay byte-equal)
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "merge/document.h"

namespace oas::documents {

enum class ChangeKind : std::uint8_t { kDelta = 0, kFold = 1 };

[[nodiscard]] Bytes encode_change(const merge::Delta& delta);
[[nodiscard]] Bytes encode_fold(std::uint64_t cut);

// Carries one change out; all or nothing. A change that is known already changes nothing. Errors: kMalformed and what
// decode_delta and Document::apply say.
Result<ChangeKind> apply_change(merge::Document& document, ByteView change, const merge::Rules& rules);

}  // namespace oas::documents
