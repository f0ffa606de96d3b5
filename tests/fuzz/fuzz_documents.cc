// documents.wasm's whole border against hostile bytes: a run of requests, each one length byte pair and its bytes, in one
// session. Every request is answered, whatever came before it; an answer begins with 0 or 1.
#include <cstddef>
#include <cstdint>

#include "documents/session.h"
#include "fuzz/feed.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oas;
  documents::Session session;
  Bytes defaults;
  wire::Writer out(defaults);
  out.u8(static_cast<std::uint8_t>(documents::Command::kRules));
  out.text("");
  (void)session.call(defaults);
  // A document to begin with, so that handle 0 is open.
  (void)session.call(Bytes{static_cast<std::uint8_t>(documents::Command::kOpen), 0, 0});
  ByteView rest(data, size);
  while (rest.size() > 2) {
    const std::size_t length = std::min<std::size_t>(rest[0] + 256U * rest[1], rest.size() - 2);
    const ByteView answer = session.call(rest.subspan(2, length));
    fuzz::require(!answer.empty() && answer[0] <= 1);
    rest = rest.subspan(2 + length);
  }
  return 0;
}
