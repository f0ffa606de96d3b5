// The merge core against a hostile peer: arbitrary bytes as a delta, as a stored state and as a basis, and arbitrary text as
// documents. Whatever is accepted must be canonical after one round, must show the same on both sides, and put() must do what it
// is asked. The first byte chooses.
#include <cstddef>
#include <cstdint>

#include "fuzz/feed.h"
#include "merge/document.h"
#include "merge/three_way.h"

namespace {

using namespace oas;
using namespace oas::merge;
using fuzz::require;

void fuzz_state(ByteView bytes) {
  auto document = Document::open(bytes);
  if (!document) return;
  const Bytes canonical = document->bytes();
  const auto again = Document::open(canonical);
  require(again.has_value() && again->bytes() == canonical);
  const Shown shown = document->view({});
  require(put(shown, shown.value, {}, {{7}, 1, {1}}).empty());
  (void)document->compact(~std::uint64_t{0}, {});
}

void fuzz_delta(ByteView bytes) {
  const Value base = *parse_json(R"({"a":1,"b":[1,2],"c":{"d":"x"}})");
  Document left(base);
  Document right(base);
  const std::size_t half = bytes.size() / 2;
  // Two deltas in one order here and in the other order there.
  const auto first = decode_delta(bytes.first(half));
  const auto second = decode_delta(bytes.subspan(half));
  if (!first || !second) return;
  require(left.apply(*first).has_value() && left.apply(*second).has_value());
  require(right.apply(*second).has_value() && right.apply(*first).has_value());
  (void)left.view({});
  (void)right.view({});
}

void fuzz_json(std::string_view text) {
  const std::size_t cut = text.find('\n');
  const auto base = parse_json(text.substr(0, cut));
  if (!base || cut == std::string_view::npos) return;
  const auto next = parse_json(text.substr(cut + 1));
  if (!next) return;
  Document document(*base);
  require(document.apply(put(document.view({}), *next, {}, {{7}, 1, {1}})).has_value());
  const Shown shown = document.view({});
  require(shown.value.has_value() && *shown.value == *next);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: fuzz_state(rest); break;
    case 1: fuzz_delta(rest); break;
    case 2: (void)decode_basis(rest); break;
    default: fuzz_json(as_text(rest)); break;
  }
  return 0;
}
