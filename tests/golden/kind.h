// Golden vectors: what the core answers to fixed input bytes, the same in every build.
//
// A kind is a pure function from bytes to bytes over one part of the core, with the inputs its vectors were made from.
// vectors/<kind>.bin holds the pairs; `golden check` runs every stored input and compares the answer byte by byte.
//   file: "OASV" | version u8 = 1 | count varint | per vector: input varint length and bytes, output likewise
// An output starts with the error code u16 (0 = none); an error is followed by its detail u64.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/result.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::golden {

struct Kind {
  std::string_view name;
  std::vector<Bytes> (*inputs)();
  Bytes (*run)(ByteView input);
};

std::span<const Kind> base_kinds();
std::span<const Kind> wire_kinds();
std::span<const Kind> queue_kinds();
std::span<const Kind> merge_kinds();
std::span<const Kind> sync_kinds();
std::span<const Kind> engine_kinds();

inline Bytes refused(const Error& error) {
  Bytes out;
  wire::Writer writer(out);
  writer.u16(static_cast<std::uint16_t>(error.code));
  writer.u64(error.detail);
  return out;
}

// For a `run` written with OAS_TRY: the answer of `body(reader, writer)` over the input.
template <class Body>
Bytes answer(ByteView input, Body body) {
  Bytes out;
  wire::Writer writer(out);
  writer.u16(0);
  wire::Reader reader(input);
  const Result<void> result = body(reader, writer);
  return result ? out : refused(result.error());
}

inline Bytes random_bytes(Prng& prng, std::uint32_t size) {
  Bytes out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(prng.next());
  return out;
}

// A number of any length: short ones as likely as long ones.
inline std::uint64_t random_number(Prng& prng) { return prng.next() >> prng.below(64); }

}  // namespace oas::golden
