// One sync request at the server, without I/O: what must be read, what to do with each event, what to write, what to
// answer. The host runs it inside one database transaction; the simulator drives the same object.
//
//   opened --rows--> planned --outcomes--> done          any error ends it; nothing was written by us
//
// Exactly once: the watermark (sequence, rolling hash) of a stream moves in the transaction of the effects. Numbers at
// or below it are duplicates if the hash agrees, whatever the batch they come in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "sync/messages.h"
#include "wire/dictionary.h"
#include "wire/event.h"

namespace oas::sync {

// What the session must know of one stream. `hashes_at` lists positions whose per-event hash it wants if kept there
// (the client's stored watermark, the ends of pushed segments); verdicts in (stored, ...] ascending, at most kVerdictsMax + 1.
// A stream that is only depended on needs its mark and nothing else.
struct StreamNeed {
  StreamId stream;
  Sequence stored;
  std::vector<Sequence> hashes_at;
  bool mark_only{};
};

// After a fork showed itself: the per-event hashes in [from, to] that decide where the histories part.
struct HashProbe {
  StreamId stream;
  Sequence from;
  Sequence to;
};

struct VoidRow {
  Sequence from;
  Sequence to;
  VoidReason reason{};
  bool recovered{};
};

struct StreamRow {
  StreamId stream;
  Watermark mark;  // {0, 0} for a stream never seen
  std::vector<Watermark> hashes;  // those of hashes_at that are kept, and of the last verdict listed; ascending
  std::vector<Verdict> verdicts;  // > stored, ascending
  std::vector<VoidRow> voids;  // overlapping the pushed numbers
};

struct DeferredRow {
  EventId event;
  std::uint32_t entity{};  // 0 = belongs to none
  std::vector<EventId> after;  // open dependencies
};

struct Rows {
  Incarnation incarnation;  // of this installation
  std::vector<StreamRow> streams;  // every stream of needs(), in that order
  std::vector<DeferredRow> deferred;  // all of the device, oldest first; at most kDeferredPerDeviceMax
  std::vector<LateVerdict> late;  // of the device, number > late_seen, ascending, at most kVerdictsMax
};

// One event to hand to the application, in order. Views into the session's own memory.
struct PlannedEvent {
  EventId id;
  RollingHash hash;
  wire::EventView event;
  std::uint32_t entity{};  // hash, 0 = belongs to none
  std::uint16_t refused{};  // not 0: rejected before anyone ran it (an ErrorCode); do not run it
  bool recovered{};  // fills a void(lost) range
  bool run{};  // false = store as deferred without running it: `after` is open, or its entity waits
  std::vector<EventId> after;
};

// Consecutive events of an analytics stream that simply apply: kept as the client's own segments, without a row each.
struct PlannedBlock {
  struct Segment {
    Sequence first;
    Sequence last;
    ByteView bytes;  // as pushed, checked; into the session's own memory
  };
  // How many events of one type and module there are; `hlc` is the first one's.
  struct Group {
    std::string_view type;
    std::string_view module;
    std::uint32_t count{};
    Hlc hlc;
  };
  StreamId stream;
  std::vector<Segment> segments;  // each begins where the one before it ends
  std::vector<RollingHash> hashes;  // after each event
  std::vector<Group> groups;  // in the order of their first events
};

// What the application (or the store: dedupe, replaces) said.
struct Outcome {
  VerdictKind kind{};  // kApplied, kRejected, kDeferred, kDuplicate
  std::uint16_t code{};
};

struct StreamWrite {
  StreamId stream;
  Watermark before;  // compare-and-set against the row read; a miss means another push won: start again
  Watermark after;
};
struct VoidWrite {
  VoidRange range;
};

// Everything the transaction must write besides the effects. Deferred events are stored with their bytes.
struct Writes {
  std::vector<StreamWrite> streams;
  std::vector<std::uint32_t> events;  // indices into planned(): rows for the inbox, verdict in outcomes order
  std::vector<VoidWrite> voids;
  std::vector<EventId> recovered;  // numbers of void(lost) ranges that have come after all
};

struct ReplyContext {
  Incarnation incarnation;
  Millis server_time;
  Millis horizon;
  std::uint32_t credit{};
  std::uint32_t retry_after_ms{};
};

class ServerSession {
 public:
  // Opens every frame, segment and row, checks all JSON, and computes the rolling hashes. The bytes are copied.
  // Errors: those of read_request and open_segment for the request as a whole; a segment whose checksum holds but whose
  // body does not decode only marks its stream kUndecodable.
  // `dictionaries` are the pushing device's own; they are not needed any more when this returns.
  static Result<ServerSession> open(ByteView request, wire::Dictionaries dictionaries = {});

  [[nodiscard]] DeviceId device() const;
  [[nodiscard]] std::uint64_t late_seen() const;
  [[nodiscard]] const std::vector<StreamNeed>& needs() const;
  // A dictionary that a segment names and `open` was not given; 0 = none. What was packed with it is undecodable here.
  [[nodiscard]] std::uint64_t missing_dictionary() const;

  // Decides every stream against its row. A client that still believes in another incarnation is only told how far each
  // stream is: the database was restored or set up again, and what came earlier may have to come first. Pure: calling it again with other rows starts over (lost race).
  // With `take_blocks`, analytics that need nobody's decision come as blocks and are not in planned().
  void plan(Rows rows, bool take_blocks = false);
  // Set when `plan` needs more hashes: add them to that stream's row and plan again.
  [[nodiscard]] const std::optional<HashProbe>& probe() const;
  [[nodiscard]] const std::vector<PlannedEvent>& planned() const;
  [[nodiscard]] const std::vector<PlannedBlock>& blocks() const;
  // True when the plan brings something and all of it may be written as applied without a further look at the store: nothing
  // waits, is refused, given up or found again, and no event names another or a dedupe key.
  [[nodiscard]] bool plain() const;

  // `outcomes` answers planned() one by one; an event with run = false gets kDeferred. A later event of the same entity
  // as one that came back kDeferred must not be run by the host either: ask `still_runs(i)` before each.
  [[nodiscard]] bool still_runs(std::uint32_t index) const;
  void outcome(std::uint32_t index, Outcome outcome);
  [[nodiscard]] Writes writes() const;

  // The whole frame to send. Names only what `writes` made true.
  [[nodiscard]] Bytes reply(const ReplyContext& context) const;

  ServerSession(ServerSession&&) noexcept;
  ServerSession& operator=(ServerSession&&) noexcept;
  ~ServerSession();

 private:
  struct Impl;
  explicit ServerSession(Impl* impl);
  Impl* impl_;
};

// Which deferred events may run now, oldest first: their dependencies are passed and no earlier deferred event shares
// their entity. `marks` holds the device's streams that the dependencies name.
[[nodiscard]] std::vector<std::uint32_t> releasable(const std::vector<DeferredRow>& deferred,
                                                    const std::vector<std::pair<StreamId, Sequence>>& marks);

}  // namespace oas::sync
