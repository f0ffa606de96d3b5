// What can go wrong, with a stable code, and who has to act on it.
//
// The table is error_codes.def; TypeScript and docs/errors.md are generated from it. Numbers are never reused.
#pragma once

#include <cstdint>
#include <string_view>

namespace oas {

// Who has to act: the caller misused us; the peer sent nonsense; the environment failed; or we have a bug.
enum class Fault : std::uint8_t { kCaller, kPeer, kEnvironment, kBug };

enum class ErrorCode : std::uint16_t {
#define OAS_ERROR(number, name, text, fault, retryable, http_status, sentence) name = number,
#include "base/error_codes.def"
#undef OAS_ERROR
};

// `detail` is a number whose meaning the code's sentence gives (an offset, a limit, a version), or 0.
struct Error {
  ErrorCode code{};
  std::uint64_t detail{};
  friend bool operator==(const Error&, const Error&) = default;
};

struct ErrorInfo {
  ErrorCode code;
  std::string_view name;  // stable snake_case text, the `code` callers branch on
  Fault fault;
  bool retryable;
  std::uint16_t http_status;
  std::string_view sentence;
};

// The row of the table, or null for a number this build does not know (it may come from a newer peer). O(log n).
[[nodiscard]] const ErrorInfo* find_error(std::uint16_t number);
[[nodiscard]] const ErrorInfo& error_info(ErrorCode code);

}  // namespace oas
