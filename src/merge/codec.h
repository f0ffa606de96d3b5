// Values as canonical bytes: one value, one spelling, in state, on the wire and under every hash.
//
//   00 null   01 false   02 true   03 integer zigzag   04 decimal text   05 string text
//   06 array count, items   07 object count, (key text, value)   08 array with identities: count, (id text, pos text, item)
//   40..7F integer 0 to 63   80..BF string of 0 to 63 bytes
#pragma once

#include "base/result.h"
#include "merge/value.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::merge {

void write_value(wire::Writer& out, const Value& value);

// Refuses every second spelling, unsorted or double keys, bad UTF-8, non-canonical numbers, malformed identities, depth
// above kDepthMax. Errors: kTruncated, kMalformed, kLimit, kTooDeep.
Result<Value> read_value(wire::Reader& in);

[[nodiscard]] Bytes encode_value(const Value& value);

// Valid UTF-8 without surrogates.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace oas::merge
