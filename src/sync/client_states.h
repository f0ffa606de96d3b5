// What every state of the client session waits for, and how long its rests last. For client_*.cc only.
#pragma once

#include <array>
#include <cstdint>

#include "queue/backoff.h"
#include "sync/client_session.h"

namespace oas::sync {

enum class Await : std::uint8_t { kNothing, kRead, kWrite, kAnswer };

// One row per state, in the order of SessionState. What a state does not await is late or foreign, and is ignored.
inline constexpr std::array<Await, 20> kAwaits{
    Await::kNothing,  // idle
    Await::kNothing,  // follow
    Await::kNothing,  // wait
    Await::kNothing,  // offline
    Await::kNothing,  // park
    Await::kRead,  // lease
    Await::kRead,  // meta
    Await::kRead,  // journal
    Await::kRead,  // plan
    Await::kRead,  // late
    Await::kRead,  // rewind
    Await::kRead,  // fork
    Await::kRead,  // fold
    Await::kWrite,  // take the lease
    Await::kWrite,  // take a journal
    Await::kWrite,  // mend
    Await::kWrite,  // store
    Await::kWrite,  // store the retry
    Await::kWrite,  // release
    Await::kAnswer,  // send
};
static_assert(kAwaits.size() == static_cast<std::size_t>(SessionState::kSend) + 1);

inline bool awaits(SessionState state, Await what) { return kAwaits[static_cast<std::size_t>(state)] == what; }

inline constexpr queue::BackoffLimits kTransient{.delay_base = {500}, .delay_max = {60'000}};
inline constexpr queue::BackoffLimits kOfflineProbe{.delay_base = {1'000}, .delay_max = {30'000}};
inline constexpr queue::BackoffLimits kLatePoll{.delay_base = {1'000}, .delay_max = {60'000}};
inline constexpr std::int64_t kParkRecheckMs = 15 * 60'000;
inline constexpr std::int64_t kSettlePollMs = 15 * 60'000;
inline constexpr std::uint32_t kJournalRecordsMax = 32;

inline Bytes all_meta() { return {'m'}; }
inline Bytes all_journals() { return {'s', 'j'}; }

}  // namespace oas::sync
