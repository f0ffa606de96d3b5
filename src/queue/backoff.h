// How long to wait before the next attempt.
//
// Exponential with full jitter after the cap: attempt n waits a uniform time in [0, min(delay_max, delay_base * 2^n)],
// so a fleet that failed together does not come back together (Brooker, "Exponential Backoff And Jitter", 2015).
// Pure given the generator. Not here: deciding WHETHER to retry (sync/client_session.h).
#pragma once

#include <cstdint>

#include "base/prng.h"
#include "base/types.h"

namespace oas::queue {

struct BackoffLimits {
  Millis delay_base{500};
  Millis delay_max{60'000};
};

// Never exceeds `limits.delay_max`; any `attempt` is fine, the doubling saturates.
[[nodiscard]] Millis backoff_delay(const BackoffLimits& limits, std::uint32_t attempt, Prng& prng);

}  // namespace oas::queue
