// A value or the reason there is none. No exceptions in the core.
#pragma once

#include <expected>
#include <utility>

#include "base/error.h"

namespace oas {

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::uint64_t detail = 0) {
  return std::unexpected(Error{code, detail});
}

}  // namespace oas

// OAS_TRY(const auto x, expression): declares x, or returns the error from the enclosing function.
#define OAS_TRY_NAME_(a, b) a##b
#define OAS_TRY_NAME(a, b) OAS_TRY_NAME_(a, b)
#define OAS_TRY(declaration, ...)                                        \
  auto OAS_TRY_NAME(oas_result_, __LINE__) = (__VA_ARGS__);              \
  if (!OAS_TRY_NAME(oas_result_, __LINE__)) [[unlikely]]                 \
    return std::unexpected(OAS_TRY_NAME(oas_result_, __LINE__).error()); \
  declaration = *std::move(OAS_TRY_NAME(oas_result_, __LINE__))

// For a Result<void>, or a value that is not needed.
#define OAS_CHECK(...)                                               \
  do {                                                               \
    if (auto oas_checked = (__VA_ARGS__); !oas_checked) [[unlikely]] \
      return std::unexpected(oas_checked.error());                   \
  } while (false)
