// The column codec from both sides: arbitrary bytes as a stored body or a dictionary, and arbitrary text as events, which
// must come back byte for byte. The first byte chooses; the second says how many rows.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "wire/columns.h"
#include "wire/segment.h"

namespace {

void fuzz_body(oas::ByteView bytes, std::uint32_t count, const oas::wire::Dictionary* dictionary) {
  oas::Bytes rows;
  const std::uint32_t declared = count * 40;
  const auto read = oas::wire::read_columns(bytes, count, {1}, declared, dictionary, rows);
  if (rows.size() != (read ? declared : 0)) std::abort();
}

void fuzz_events(oas::ByteView text, std::uint32_t count) {
  using namespace oas::wire;
  oas::Bytes rows;
  Writer writer(rows);
  DictionaryBuilder builder;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t from = text.size() * i / count;
    const EventView event{.hlc = {i},
                          .type = "t",
                          .module = {},
                          .entity = {},
                          .dedupe_key = {},
                          .replaces = {},
                          .json = text.subspan(from, text.size() * (i + 1) / count - from)};
    write_event(writer, event);
    builder.add(event);
  }
  const auto dictionary = Dictionary::load(builder.build(2'000));
  if (!dictionary) std::abort();
  for (const Dictionary* with : {static_cast<const Dictionary*>(nullptr), &*dictionary}) {
    oas::Bytes stored;
    if (!write_columns(rows, count, {0}, with, stored)) continue;
    oas::Bytes read;
    const auto size = static_cast<std::uint32_t>(rows.size());
    if (!read_columns(stored, count, {0}, size, with, read) || read != rows) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 40'000) return 0;
  const oas::ByteView bytes = oas::ByteView(data, size).subspan(2);
  const std::uint32_t count = 1 + data[1] % 64;
  switch (data[0] % 3) {
    case 0: fuzz_body(bytes, count, nullptr); break;
    case 1: {
      const std::size_t half = bytes.size() / 2;
      const auto dictionary = oas::wire::Dictionary::load(bytes.first(half));
      if (dictionary) fuzz_body(bytes.subspan(half), count, &*dictionary);
      break;
    }
    default: fuzz_events(bytes, count); break;
  }
  return 0;
}
