// The bounds of one document. Each has a defined outcome: a decoder refuses with kLimit, a writer refuses with the named
// error, and a bound that only time can reach (siblings) is decided by the path's policy and logged in the record.
#pragma once

#include <cstdint>

#include "base/limits.h"

namespace oas::merge {

inline constexpr std::uint32_t kDepthMax = kJsonDepthMax;
inline constexpr std::uint32_t kDocumentBytesMax = 16'000'000;  // JSON text, and encoded state
inline constexpr std::uint32_t kStringBytesMax = 4'000'000;
inline constexpr std::uint32_t kStepBytesMax = 65'536;
inline constexpr std::uint32_t kPositionBytesMax = 512;
inline constexpr std::uint32_t kSiblingsMax = 32;  // beyond: a forced pick, whatever the policy
inline constexpr std::uint32_t kOperationsMax = 1'000'000;  // held uncompacted by one document
inline constexpr std::uint32_t kReasonBytesMax = 200;  // why an operation is on hold
inline constexpr std::uint32_t kEpochsMax = 1'000'000;
inline constexpr std::uint32_t kTokensMax = 4'096;  // of one string, for the token merge
inline constexpr std::uint64_t kAlignCellsMax = 4'000'000;  // of one longest-common-subsequence table

}  // namespace oas::merge
