#include "queue/backoff.h"

#include <algorithm>

namespace oas::queue {

Millis backoff_delay(const BackoffLimits& limits, std::uint32_t attempt, Prng& prng) {
  // 2^20 times any base is past every cap in use, and 20 shifts of a 64-bit number cannot overflow.
  const std::int64_t ceiling = std::min(limits.delay_max.value, limits.delay_base.value << std::min(attempt, 20U));
  return {prng.between(0, ceiling)};
}

}  // namespace oas::queue
