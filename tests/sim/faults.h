// Everything that can go wrong, by name. A seed switches each kind on or off as a whole (swarm testing: Groce et al.,
// ISSTA 2012), so that rare combinations are not drowned by common ones.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "base/prng.h"

namespace oas::sim {

enum class Fault : std::uint8_t {
  kRequestLost,
  kReplyLost,
  kReplyLate,
  kRequestDoubled,
  kOldReply,
  kCaptivePortal,
  kServerError,
  kServerBusy,
  kUnauthorized,
  kPartition,
  kServerDown,
  kCrashBeforeCommit,
  kCrashAfterCommit,
  kRestore,
  kHandlerFails,
  kTabKilled,
  kWorkerStopped,
  kBrowserKilled,
  kPowerLoss,
  kProfileRolledBack,
  kProfileCloned,
  kMachineCloned,
  kClockJump,
  kQuota,
  kConnectionLost,
  kReadFailed,
  kTrap,
  kFrozen,
  kRecordDamaged,
  kPeerLost,
  kJournalLeft,
  kTakenForGone,
  kCount,
};
inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::kCount);

inline constexpr std::array<std::string_view, kFaultCount> kFaultNames{
    "request_lost",    "reply_lost",          "reply_late",     "request_doubled", "old_reply",      "captive_portal",
    "server_error",    "server_busy",         "unauthorized",   "partition",       "server_down",    "crash_before",
    "crash_after",     "server_restored",     "handler_fails",  "tab_killed",      "worker_killed",  "browser_killed",
    "power_loss",      "profile_rolled_back", "profile_cloned", "machine_cloned",  "clock_jump",     "quota",
    "connection_lost", "read_failed",         "trap",           "frozen",          "record_damaged", "peer_lost",
    "journal_left",    "taken_for_gone"};

using FaultCounts = std::array<std::uint64_t, kFaultCount>;
using FaultSet = std::array<bool, kFaultCount>;

// Whether a replayed world tells its story on standard output.
inline bool tracing = false;

class Faults {
 public:
  Faults(Prng& prng, FaultCounts& counts, const FaultSet& never) : prng_(&prng), counts_(&counts), never_(never) {
    for (bool& on : on_) on = prng.chance(3, 5);
  }
  // True in n of d visits while this seed uses the fault and faults are on at all; counts it.
  bool hit(Fault fault, std::uint32_t n, std::uint32_t d) {
    const auto i = static_cast<std::size_t>(fault);
    if (!active || !on_[i] || !prng_->chance(n, d) || never_[i]) return false;
    ++(*counts_)[i];
    if (tracing) std::printf("      fault %s\n", kFaultNames[i].data());
    return true;
  }
  [[nodiscard]] bool uses(Fault fault) const { return on_[static_cast<std::size_t>(fault)]; }
  void forbid(Fault fault) { on_[static_cast<std::size_t>(fault)] = false; }

  bool active = true;

 private:
  Prng* prng_;
  FaultCounts* counts_;
  FaultSet never_{};
  FaultSet on_{};
};

}  // namespace oas::sim
