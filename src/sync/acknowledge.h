// From a server's answer to the transaction that believes it. Pure: nothing is sent or stored here.
//
// Per stream: the new watermark is the greatest number this client can vouch for with its own hashes; every verdict up
// to it is turned into counts, dead letters and notices; only records at or below it are deleted. Streams that cannot
// go on that way are named for recovery (client_recovery.h).
#pragma once

#include <map>
#include <vector>

#include "queue/storage.h"
#include "sync/messages.h"
#include "sync/push_plan.h"
#include "sync/remembered.h"

namespace oas::sync {

// Stored final verdicts, to be told to whoever waits for `.synced`.
struct SettledRun {
  StreamId stream;
  Sequence from;
  Sequence upto;
  bool late{};
  std::vector<Verdict> exceptions;
};

struct Acknowledged {
  queue::Transaction transaction;
  std::vector<SettledRun> settled;
  // Passed once more after a rewind, or without their content: the records of deferred events have to be looked at.
  std::map<StreamId, SettledRun> revisited;
  std::map<StreamId, queue::StreamMark> marks;  // changed ones; guarded and put by the caller
  std::map<StreamId, Watermark> rewound;        // the server has only this much
  std::map<StreamId, Sequence> forked;          // last agreed number
  std::vector<StreamId> unknown;                // parked: nothing is retired
  std::vector<StreamId> undecodable;            // the same, unless they can be sent in another form
  bool progress{};                              // at least one watermark moved
  bool more{};  // a stream was compared: plan again at once
};

// `wall` is the client's clock, for dead letters only.
[[nodiscard]] Acknowledged acknowledge(const PushPlan& plan, const Remembered& remembered, const SyncReply& reply,
                                       Millis wall);

// Whether the request carries the content of this number.
[[nodiscard]] bool holds(const PushPlan& plan, StreamId stream, Sequence seq);

// The stream's hash after number `at` according to the planned items of the request, if they reach it.
[[nodiscard]] std::optional<RollingHash> planned_hash(const PushPlan& plan, const Remembered& remembered,
                                                      StreamId stream, Sequence at);

// A segment kept because some of its events are deferred: their open numbers, then the segment. It is empty where only the
// server has the content: the verdict is counted all the same.
struct DeferredRecord {
  std::vector<std::uint64_t> open;
  ByteView segment;
};
[[nodiscard]] Bytes write_deferred(const DeferredRecord& record);
Result<DeferredRecord> read_deferred(ByteView bytes);

// The canonical bytes of one event of a segment. Errors: those of decoding; kNotFound.
Result<Bytes> event_of(ByteView segment, Sequence seq);

}  // namespace oas::sync
