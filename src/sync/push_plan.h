// Decides what goes into the next push: urgent lanes first, streams without gaps, entities in the order they were made.
//
//   whole queue --fits one page--> complete
//       `--more--> lanes --all read or budget spent--> dependencies --missing ones--> promoted lanes --> complete
//
// One page is one snapshot. Beyond it lanes are read one after another while contexts go on appending, so what an event
// depends on is looked up after the event was read: its own context stored it earlier. So it is where a stream of the page
// cannot go on: its records are parked, or behind one that is not there.
//
// Asks for records with `next` and takes them with `feed`; holds no other state than one plan. A segment that shares an
// entity with an earlier one of another stream pulls that lane's prefix into the request (priority inheritance); numbers
// never change. Urgent lanes leave half of the request to such prefixes. Where a prefix still does not fit, what waits for
// it stays for a later request; where it cannot come at all (its stream is parked), the request declares the dependency
// and the server defers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/limits.h"
#include "queue/keys.h"
#include "sync/messages.h"
#include "sync/remembered.h"
#include "wire/segment.h"

namespace oas::sync {

struct ReadWish {
  queue::KeyRange range;
  std::uint32_t records_max{};
};

struct Planned {
  queue::SegmentKey key;
  Bytes record;  // a segment, or a hole record; empty for a hole made up for this request
  wire::SegmentHead head;  // of a segment
  std::optional<VoidRange> hole;
  [[nodiscard]] StreamId stream() const { return key.stream; }
};

// A pending record whose checksum failed twice: its numbers are given up by a stored decision.
struct Damage {
  queue::SegmentKey key;
  RollingHash before;
  RollingHash after;
  bool resolved{};  // `after` is known
  bool followed{};  // a record behind it exists, readable or not
};

class PushPlan {
 public:
  static constexpr std::uint32_t kPageSegments = 24;  // about a megabyte of the largest segments
  static constexpr std::uint32_t kFirstPageSegments = 4;  // before a request has told how much it takes

  struct Budget {
    std::uint32_t events{};
    std::uint64_t bytes{kPushBytesMax - 64'000};
    std::uint32_t page{kPageSegments};  // records of the first read
  };

  // `skipped` streams are parked; `suspects` are keys whose record failed its checksum before, or came behind a gap. Both
  // outlive the plan.
  PushPlan(const Remembered& remembered, Budget budget, const std::set<StreamId>& skipped, std::set<Bytes>& suspects);
  // The totals were read again for this plan: what they do not explain will not be explained by a third reading.
  void believe_totals() { totals_believed_ = true; }

  // The next range to read, or nothing when the plan is complete.
  [[nodiscard]] std::optional<ReadWish> next();
  void feed(std::vector<queue::Put> records);

  // Valid once complete:
  [[nodiscard]] const std::vector<Planned>& items() const { return items_; }  // in the order to apply
  [[nodiscard]] const std::vector<Bytes>& stale() const { return stale_; }  // records at or below a watermark
  [[nodiscard]] const std::vector<Damage>& damages() const { return damages_; }
  // A checksum failed, or a gap was met, for the first time: plan again.
  [[nodiscard]] bool suspicious() const { return suspicious_; }
  // What is remembered of an epoch is older than its records: read the meta store again before planning.
  [[nodiscard]] bool outdated() const { return outdated_; }
  // Streams to name without items, because the server was rewound: with the first number held here.
  [[nodiscard]] const std::map<StreamId, Sequence>& compare() const { return compare_; }
  [[nodiscard]] bool blocked() const { return blocked_any_; }  // a stream waits for an earlier record
  [[nodiscard]] Millis oldest_unsent() const { return oldest_; }
  // What is enough to read first for the next request, if the queue goes on as it begins. Only a guess: too small a page
  // costs another read.
  [[nodiscard]] std::uint32_t next_page() const { return next_page_; }
  // The request's streams, items and dependencies; the rest is the caller's. Items whose dependencies it has no room for leave
  // the plan.
  void write(SyncRequest& request);

 private:
  enum class Phase : std::uint8_t { kQueue, kLanes, kDeps, kComplete };
  struct LaneScan {
    Bytes cursor;
    Bytes promote;  // plan up to and including this key, whatever the budget of events
    bool done{};  // nothing behind the cursor
    std::uint32_t wanted{};
  };
  struct Chain {
    Sequence next;  // number that continues the stream
    RollingHash hash;  // hash before it
  };

  void feed_queue(std::vector<queue::Put> records);
  void take(queue::Put record);
  void take_damaged(const queue::SegmentKey& key, Bytes record_key, Chain& chain);
  void follow_damage(const queue::SegmentKey& key, ByteView record);
  void resolve_damage(StreamId stream, Sequence first, RollingHash before);
  void resolve_at_end(std::uint32_t lane);
  [[nodiscard]] bool full(std::uint32_t lane) const;  // enough of this lane for one request
  // Whether 1/`share` of a request is taken; with 1, not one more item fits, whatever asks for it.
  [[nodiscard]] bool stuffed(std::uint32_t share = 1) const;
  [[nodiscard]] bool lane_wants_more(std::uint32_t lane) const;
  void begin_deps();
  [[nodiscard]] bool leaves_out() const;
  void give_up_unheld();
  void feed_deps(const std::vector<queue::Put>& records);
  void finish_deps();
  [[nodiscard]] bool promote_missing();
  void leave_dependents();
  [[nodiscard]] std::vector<std::uint32_t> in_send_order() const;
  [[nodiscard]] std::size_t list_deps(const std::vector<std::uint32_t>& order, std::vector<Dep>& deps) const;
  void leave(const std::vector<bool>& leaves);
  Chain& chain(StreamId stream);

  const Remembered* remembered_;
  Budget budget_;
  const std::set<StreamId>* skipped_;
  std::set<Bytes>* suspects_;
  Phase phase_ = Phase::kQueue;
  std::array<LaneScan, kLaneCount> lanes_;
  std::uint32_t lane_ = 0;
  std::uint32_t asked_ = 0;
  Bytes deps_cursor_;
  bool snapshot_ = false;  // one read held the whole queue
  std::uint32_t next_page_ = kPageSegments;
  std::uint32_t deps_lane_ = 0;
  std::uint32_t promotions_ = 0;

  std::vector<Planned> items_;
  std::uint32_t events_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t decoded_ = 0;
  std::vector<Bytes> stale_;
  std::vector<Damage> damages_;
  std::map<StreamId, Chain> chains_;
  std::set<StreamId> blocked_;
  std::map<StreamId, Sequence> compare_;
  struct Missing {
    queue::SegmentKey key;
    std::vector<std::uint32_t> entities;
  };
  std::vector<Missing> missing_;  // earlier segments with entities that are not in the plan
  bool suspicious_ = false;
  bool blocked_any_ = false;
  bool outdated_ = false;
  bool totals_believed_ = false;
  Millis oldest_;
};

}  // namespace oas::sync
