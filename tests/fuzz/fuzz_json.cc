// The JSON checker against a parser that shares no code with it: what one accepts the other accepts, within our limits.
#include <cstddef>
#include <cstdint>

#include "fuzz/feed.h"
#include "unit/wire/json_oracle.h"
#include "wire/json_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oas;
  const ByteView text(data, size);
  const Result<void> checked = wire::check_json(text);
  if (!checked) fuzz::require(checked.error().detail <= size || checked.error().code == ErrorCode::kEventTooLarge);
  if (checked) fuzz::require(wire::check_utf8(text).has_value());
  // The other parser takes a NUL for the end of its input.
  if (as_text(text).find('\0') != std::string_view::npos) {
    fuzz::require(!checked);
    return 0;
  }
  const wire::Opinion opinion = wire::second_opinion(as_text(text));
  if (opinion == wire::Opinion::kNone) return 0;
  const bool ours_alone =
      !checked && (checked.error().code == ErrorCode::kTooDeep || checked.error().code == ErrorCode::kTooManyKeys ||
                   checked.error().code == ErrorCode::kEventTooLarge);
  if (!ours_alone) fuzz::require(checked.has_value() == (opinion == wire::Opinion::kAccepted));
  return 0;
}
