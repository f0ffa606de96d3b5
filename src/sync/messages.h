// What client and server say to each other. One request, one answer; a pull is a push without items.
//
// Rules that hold for both ends (docs/protocol.md):
//   - a watermark never travels alone: an answer that names one lists every verdict in (client's stored, watermark]
//     that is not plainly applied, or names a lower watermark whose list fits into kVerdictsMax;
//   - a watermark is (sequence, rolling hash), so two histories under one epoch are noticed;
//   - tenant and principal come from the credential, never from here.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/result.h"
#include "base/types.h"

namespace oas::sync {

enum class VoidReason : std::uint8_t { kLost = 0, kSampled = 1, kConsent = 2, kDiscarded = 3, kReplaced = 4 };

// Numbers passed without content. `hash_after` is the hash the stream goes on with.
struct VoidRange {
  StreamId stream;
  Sequence from;
  Sequence to;
  VoidReason reason{};
  RollingHash hash_before;
  RollingHash hash_after;
};

// What became of one event. kApplied is implied by a watermark; it is spelt out only as a late verdict.
enum class VerdictKind : std::uint8_t { kApplied = 0, kRejected = 1, kDeferred = 2, kVoid = 3, kDuplicate = 4 };
struct Verdict {
  Sequence seq;
  VerdictKind kind{};
  std::uint16_t code{};  // ErrorCode number for kRejected, VoidReason for kVoid, else 0
};

// A stream the request speaks of. `stored` is the client's stored watermark; `last` its newest number with the hash
// after it (equal to `stored` when nothing is pending), so that a fork shows before anything is retired.
struct StreamState {
  StreamId stream;
  Watermark stored;
  Watermark last;
};

// "Events of `entity` in item `item` come after everything of `stream` up to `seq`." Streams of the same device only.
struct Dep {
  std::uint32_t item{};
  std::uint32_t entity{};
  StreamId stream;
  Sequence seq;
};

// One pushed thing, in the order to apply: a whole sealed segment, or a void.
struct Item {
  ByteView segment;  // empty for a void
  VoidRange hole;    // meaningful when `segment` is empty
};

struct SyncRequest {
  DeviceId device;
  Incarnation known;               // greatest incarnation the client has accepted; {0, 0} at first
  std::uint64_t late_seen{};       // late verdicts up to this number are stored at the client
  Millis client_time;              // wall clock, for the skew report only
  std::vector<StreamState> streams;  // ascending by stream, unique; every item's stream is among them
  std::vector<Item> items;
  std::vector<Dep> deps;
};

enum class StreamStatus : std::uint8_t {
  kOk = 0,           // `mark` is the server's, checked against the client's hashes
  kGap = 1,          // the items start after mark + 1; nothing of this stream was taken
  kFork = 2,  // another history under this epoch; `mark` is the last agreed position (of the client's own chain)
  kUnknown = 3,  // hashes no longer kept here; the client parks the stream and retires nothing
  kRewound = 4,  // the server has less than the client's stored watermark; `mark` is what it has
  kUndecodable = 5,  // a segment's checksum holds but not its body; re-encode plainly once, then park
  kFull = 6,  // too many deferred events; `mark` is where it stopped
};

struct StreamAnswer {
  StreamId stream;
  StreamStatus status{};
  Watermark mark;
  std::vector<Verdict> verdicts;  // ascending, all in (client's stored, mark]
};

// The final word on an event that was deferred, from the device's late log; numbers are dense per device.
struct LateVerdict {
  std::uint64_t number{};
  EventId event;
  VerdictKind kind{};
  std::uint16_t code{};
};

struct SyncReply {
  Incarnation incarnation;
  Millis server_time;
  Millis horizon;  // everything committed before this server time is covered by a backup: settled
  std::uint32_t credit{};  // events wanted in the next push; never below one segment
  std::uint32_t retry_after_ms{};  // 0 = at once
  std::uint16_t error{};  // 0, or an ErrorCode that concerns the whole request (then the rest may be empty)
  std::vector<StreamAnswer> streams;
  std::vector<LateVerdict> late;
};

// Both write whole frames. The reply echoes the request's nonce.
void write_request(Bytes& out, std::uint64_t nonce, const SyncRequest& request);
void write_reply(Bytes& out, std::uint64_t nonce, const SyncReply& reply);

struct OpenedRequest {
  std::uint64_t nonce{};
  SyncRequest request;  // views into the input
};
// Counts are bounded by the limits of base/limits.h before anything is allocated; segments are not opened here.
Result<OpenedRequest> read_request(ByteView bytes);
// Errors: those of open_frame; kForeignReply when the nonce is not ours.
Result<SyncReply> read_reply(ByteView bytes, std::uint64_t nonce);

// The hash a stream continues with behind a void whose own hashes are unreadable: hash64(before, "void", from, to).
[[nodiscard]] RollingHash void_hash(RollingHash before, Sequence from, Sequence to);
// The epoch a forked branch goes on under: the same for every drainer of that branch.
[[nodiscard]] Epoch forked_epoch(Epoch old, Sequence agreed, RollingHash own_next);

}  // namespace oas::sync
