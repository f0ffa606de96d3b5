// Everything that enters and leaves the client engine. Hosts turn outputs into I/O and I/O into inputs.
//
// Host adapters never reject: each failure has an input of its own, so a simulator can produce every one of them.
// The byte form that crosses the WASM border is io_codec.h; the two name the same fields in the same order.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/types.h"
#include "queue/storage.h"

namespace oas::engine {

// --- storage vocabulary -----------------------------------------------------------------------------------------

using queue::Expect;
using queue::KeyRange;
using queue::Put;

// --- inputs -----------------------------------------------------------------------------------------------------

// The first input of every instance. `epoch` is minted by the host (or its journal) for this context and never reused;
// `next` holds the next free number per lane: 1 everywhere, or what the journal has already given out.
struct Start {
  DeviceId device;
  Epoch epoch;
  std::array<std::uint64_t, kLaneCount> next{1, 1, 1, 1, 1};
  Seed seed{};
  Durability durability{Durability::kStrict};  // of transactions the engine makes for itself
  bool drains{true};                           // may take the lease and send
};
// Calls of the application, in order. `text` holds, per event, six fields each ended by U+0000:
// lane digit ("0".."4") with durability digit ("0".."2"), type, module, entity, dedupe key, JSON. Command numbers run
// on from `first`. Every command is answered by exactly one kAccepted or kFailed notice.
struct Enqueue {
  std::uint32_t first{};
  std::uint32_t count{};
  Bytes text;
};
struct Loaded {
  std::uint32_t load{};
  std::vector<Put> records;  // ascending; fewer than asked for means the range is exhausted
};
struct LoadFailed {
  std::uint32_t load{};
};
struct Persisted {
  std::uint32_t tx{};
};
// kAborted: nothing was written, `code` says why. kConflict: a precondition failed, nothing was written. kUnknown: the
// connection was lost and the host could not find out; the same transaction must be tried again, byte for byte.
struct PersistFailed {
  enum class Kind : std::uint8_t { kAborted = 0, kConflict = 1, kUnknown = 2 };
  std::uint32_t tx{};
  Kind kind{};
  std::uint16_t code{};
};
struct Response {
  std::uint32_t request{};
  std::uint16_t status{};
  std::uint32_t retry_after_ms{};
  Bytes body;
};
// No answer: refused, reset, redirected, timed out or aborted.
struct SendFailed {
  std::uint32_t request{};
};
struct Woke {};
// A hint. `token_fresh` = a new credential may be at hand: parked work is tried again.
struct Connectivity {
  bool online{};
  bool token_fresh{};
};
// Bytes another context of this device told us (Tell).
struct Peer {
  Bytes bytes;
};
// Everything else the application can ask for; answered by one kResult or kFailed notice.
struct Command {
  enum class Op : std::uint8_t {
    kDrain = 0,  // try now, whatever the backoff says; args: budget_ms u32 (0 = none). Answered when idle or spent
    kStatus = 1,  // → Status bytes
    kPending = 2,  // args: after key bytes, limit u16 → page of pending events
    kDeadLetters = 3,  // args: after key bytes, limit u16 → page
    kDeadLetterRetry = 4,  // args: EventId, json bytes (empty = unchanged) → new EventId
    kDeadLetterDrop = 5,  // args: EventId
    kCompact = 6,  // merge small segments now
    kClose = 7,  // give up the lease; answered when stored
    kGiveUp = 8,  // args: lane u8, reason u8 (sync::VoidReason) → events given up u64
    // args: a packed dictionary that the server holds, or nothing → one that the server should be given: learned from what is
    // sent, or this one when the server has lost it. One at a time.
    kDictionary = 9,
    kTrap = 255,  // tests only: ends the instance
  };
  std::uint32_t command{};
  Op op{};
  Bytes args;
};

// A hint, in answer to Follow: the context that holds the lease is gone, or stands still.
struct Gone {
  Epoch owner;
};

using Input = std::variant<Start, Enqueue, Loaded, LoadFailed, Persisted, PersistFailed, Response, SendFailed, Woke,
                           Connectivity, Peer, Command, Gone>;

// --- outputs ----------------------------------------------------------------------------------------------------

// `first`..`first + count - 1` were stored at the durability they asked for, with consecutive numbers from `id`.
struct Accepted {
  std::uint32_t first{};
  std::uint32_t count{};
  EventId id;
};

// One transaction, all or nothing, confirmed by Persisted{tx}. The engine has at most one in flight. `guard` is a put
// like the others; a host that lost its connection reads the guard's key first: the value there means it happened.
struct Persist {
  std::uint32_t tx{};
  Durability durability{};
  std::vector<Expect> expects;
  std::vector<Put> puts;
  std::vector<KeyRange> deletes;  // carried out before the puts
  Put guard;  // empty key when there is nothing to guard (no expects)
  std::vector<Accepted>
      covers;  // the calls it stores: a host may add records of its own to theirs, and knows after a trap
};
struct Load {
  std::uint32_t load{};
  KeyRange range;
  std::uint32_t records_max{};
};
struct Send {
  std::uint32_t request{};
  bool pull{};  // no items: goes to sync/pull
  std::uint32_t timeout_ms{};
  Bytes body;
};
struct Abort {
  std::uint32_t request{};
};
// For every other context of this device (BroadcastChannel). May be lost.
struct Tell {
  Bytes bytes;
};

struct Failed {
  std::uint32_t command{};
  std::uint16_t code{};
  std::uint64_t detail{};
};
struct CommandResult {
  std::uint32_t command{};
  Bytes bytes;
};
// Final verdicts are stored: every event of `stream` up to `upto` is applied but for the exceptions; deferred ones
// follow as a later notice with `late` set and one exception each.
struct Settled {
  struct Exception {
    Sequence seq;
    std::uint8_t kind{};  // sync::VerdictKind
    std::uint16_t code{};
  };
  StreamId stream;
  Sequence from;
  Sequence upto;
  bool late{};
  std::vector<Exception> exceptions;
};
enum class Phase : std::uint8_t { kIdle = 0, kFollowing = 1, kSending = 2, kWaiting = 3, kOffline = 4, kParked = 5 };
struct Status {
  Phase phase{};
  std::uint16_t reason{};  // ErrorCode of the last failure, 0 = none
  std::array<std::uint64_t, kLaneCount> pending{};
  std::uint64_t created{}, applied{}, dead{}, voided{}, deferred{};  // of this device, all epochs, stored
  std::uint32_t attempts{};
  Millis next_attempt;  // monotonic; 0 = none
  Millis oldest_unsent;  // wall clock of the oldest pending event; 0 = none
};
// The credential was refused; the host asks the application once and answers with Connectivity{token_fresh}.
struct NeedToken {};

using Notice = std::variant<Accepted, Failed, CommandResult, Settled, Status, NeedToken>;
struct Deliver {
  Notice notice;
};
enum class Severity : std::uint8_t { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };
struct Log {
  Severity severity{};
  std::uint16_t code{};
  std::uint64_t detail{};
};
// Call again no later than this (monotonic). At most one a step, always last.
struct Wake {
  Millis at;
};

// Another context holds the lease. A host that can tell answers with Gone as soon as that one is gone; without an answer the
// lease is taken over once it is stale. Replaces the one before.
struct Follow {
  Epoch owner;
};

using Output = std::variant<Persist, Load, Send, Abort, Tell, Deliver, Log, Wake, Follow>;

// Wall time is data and may jump; monotonic time only grows and drives every timer.
struct Now {
  Millis mono;
  Millis wall;
};

}  // namespace oas::engine
