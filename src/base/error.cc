#include "base/error.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace oas {
namespace {

constexpr Fault caller = Fault::kCaller;
constexpr Fault peer = Fault::kPeer;
constexpr Fault environment = Fault::kEnvironment;
constexpr Fault bug = Fault::kBug;

constexpr auto kErrors = std::to_array<ErrorInfo>({
#define OAS_ERROR(number, name, text, fault, retryable, http_status, sentence) \
  {ErrorCode::name, text, fault, retryable, http_status, sentence},
#include "base/error_codes.def"
#undef OAS_ERROR
});

constexpr bool by_code(const ErrorInfo& a, const ErrorInfo& b) { return a.code < b.code; }
static_assert(std::is_sorted(kErrors.begin(), kErrors.end(), by_code), "keep error_codes.def in order of number");

}  // namespace

const ErrorInfo* find_error(std::uint16_t number) {
  const auto code = static_cast<ErrorCode>(number);
  const auto at = std::lower_bound(kErrors.begin(), kErrors.end(), code,
                                   [](const ErrorInfo& info, ErrorCode wanted) { return info.code < wanted; });
  return at != kErrors.end() && at->code == code ? &*at : nullptr;
}

const ErrorInfo& error_info(ErrorCode code) {
  const ErrorInfo* info = find_error(static_cast<std::uint16_t>(code));
  OAS_ASSERT(info != nullptr);
  return *info;
}

}  // namespace oas
