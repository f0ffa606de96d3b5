// Decides in one pass whether bytes are one JSON value we accept, and builds nothing.
//
// RFC 8259: top-level scalars, duplicate keys, \u0000 and numbers of any size are fine, since the bytes are kept as
// they are. Refused: invalid UTF-8, lone surrogates (raw or escaped), depth over kJsonDepthMax, more than kJsonKeysMax
// keys in total, more than kEventJsonBytesMax bytes. O(n) time, O(depth) space on a fixed array.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace oas::wire {

// Errors: kInvalidJson, kInvalidUtf8, kLoneSurrogate, kTooDeep, kTooManyKeys (detail: byte offset), kEventTooLarge.
Result<void> check_json(ByteView text);

// Valid UTF-8 without surrogates; `detail` is the offset of the first bad byte.
Result<void> check_utf8(ByteView text);

}  // namespace oas::wire
