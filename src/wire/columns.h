// Many events of few kinds, stored by column: the codec behind Codec::kColumns.
//
// Rows are cut into shapes and values (shape.h). Each column of values refers to values it had before, guesses from the
// row's earlier columns and from its own past, and writes out only what is new. References and numbers go through an
// adaptive arithmetic coder, new text through lz4, so short batches win by the first and long text by the second.
//
//   text bytes varint | block bytes varint (0 = text as it is) | text or lz4 block | coded references and numbers
//
// Byte for byte reversible, whatever the events hold.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "wire/dictionary.h"

namespace oas::wire {

// Bounds of one segment; beyond them it is stored by rows.
inline constexpr std::uint32_t kColumnsMax = 512;
inline constexpr std::uint32_t kColumnValuesMax = 65'536;

// Appends `count` rows (canonical events one after another) to `out`; false when they do not suit this codec, and `out`
// is then as it was. Pre: the rows are well formed. O(values).
[[nodiscard]] bool write_columns(ByteView rows, std::uint32_t count, Hlc hlc_first, const Dictionary* dictionary,
                                 Bytes& out);

// Appends exactly `rows_bytes` bytes of rows. Errors: kUndecodable, kLimit, kTruncated, kMalformed; `rows` is then as it
// was. Allocates at most a small multiple of rows_bytes and kColumnValuesMax.
Result<void> read_columns(ByteView bytes, std::uint32_t count, Hlc hlc_first, std::uint32_t rows_bytes,
                          const Dictionary* dictionary, Bytes& rows);

}  // namespace oas::wire
