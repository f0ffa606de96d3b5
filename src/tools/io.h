// Standard input and output as bytes, for every command of the tool.
#pragma once

#include <cstdio>
#include <string_view>

#include "base/bytes.h"

namespace oas::tools {

inline Bytes read_all(std::FILE* file = stdin) {
  Bytes bytes;
  std::uint8_t buffer[65536];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
    bytes.insert(bytes.end(), buffer, buffer + n);
  return bytes;
}

inline void write_all(ByteView bytes, std::FILE* file = stdout) {
  (void)std::fwrite(bytes.data(), 1, bytes.size(), file);
}
inline void write_text(std::string_view text, std::FILE* file = stdout) { write_all(as_bytes(text), file); }

}  // namespace oas::tools
