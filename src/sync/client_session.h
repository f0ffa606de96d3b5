// Drains the queue of one device: takes the lease, plans a push, stores what the answer says, and starts over.
//
//   idle --want--> lease --> take --> meta --> journal --> plan <----------------------.
//    ^  \           | held                          | work   \ nothing left            |
//    |   `--- follow <                              v         `--> release --> idle    |
//    |                                            send --answer--> (late) --> store ---+
//    `-- wait, park <--- store retry <--- no ------'   `--> (rewind | fork) --> store -'
//
// Strictly one thing at a time: at most one read, one write or one request is open, and kAwaits says for every state
// which. Nothing is retired before its acknowledgement is stored; a missed precondition throws away everything
// remembered and starts at `lease`. Leadership is an optimisation: two drainers at once are harmless, because the
// server's watermarks decide.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/prng.h"
#include "base/types.h"
#include "queue/storage.h"
#include "sync/acknowledge.h"
#include "sync/messages.h"
#include "sync/packer.h"
#include "sync/push_plan.h"
#include "sync/remembered.h"

namespace oas::sync {

struct Clocks {
  Millis mono;
  Millis wall;
};

// What the session wants done. At most one of read, write and push is set at a time.
struct Wishes {
  struct Push {
    bool pull{};
    Bytes body;
  };
  struct Note {
    ErrorCode code{};
    std::uint64_t detail{};
  };
  std::optional<ReadWish> read;
  std::optional<queue::Transaction> write;
  std::optional<Push> push;
  std::optional<Epoch> follow;  // whose lease is waited for, from now on
  std::vector<SettledRun> settled;
  std::optional<Bytes> learned;  // a packed dictionary that the server should have
  std::vector<Note> notes;
  bool need_token{};
  bool tell{};              // storage changed in a way other contexts want to know
  bool own_epoch_forked{};  // the engine must number under a new epoch from now on
};

enum class SessionState : std::uint8_t {
  // at rest: nothing is open
  kIdle,
  kFollow,
  kWait,
  kOffline,
  kPark,
  // a read
  kLease,
  kMeta,
  kJournal,
  kPlan,
  kLate,
  kRewind,
  kFork,
  kFold,
  // a write
  kTakeLease,
  kTakeJournal,
  kMend,
  kStore,
  kStoreRetry,
  kRelease,
  // a request
  kSend,
};

class ClientSession {
 public:
  ClientSession(DeviceId device, Epoch context, Prng& prng) : device_(device), context_(context), prng_(&prng) {}

  // There may be work. Starts from idle; with `now_or_never` also out of a wait, a parking or another's lease.
  void want(Clocks now, bool now_or_never);
  void read_done(Clocks now, std::vector<queue::Put> records);
  void read_failed(Clocks now);
  void write_done(Clocks now);
  void write_conflict(Clocks now);
  void write_aborted(Clocks now, ErrorCode code);
  void answered(Clocks now, std::uint16_t status, std::uint32_t retry_after_ms, ByteView body);
  void unanswered(Clocks now);
  void woke(Clocks now);
  // Another context has let go of the lease: whoever waited for it looks. Others stay asleep, or idle tabs would wake each
  // other for ever.
  void lease_freed(Clocks now);
  void connectivity(Clocks now, bool online, bool token_fresh);
  // What is sent from now on may refer to this dictionary, which the server holds. Empty: there is none, and one is learned
  // from what is sent. Wishes::learned brings it, or the one in use when the server turns out not to hold it. Errors: those
  // of Packer::use.
  Result<void> use_dictionary(ByteView packed);
  // A context whose lease was waited for is gone: it need not be stale to be taken over.
  void owner_gone(Clocks now, Epoch owner);
  // Gives the lease up as soon as nothing is open, and starts nothing more.
  void close(Clocks now);

  [[nodiscard]] Wishes take();
  [[nodiscard]] SessionState state() const { return state_; }
  [[nodiscard]] bool resting() const { return state_ <= SessionState::kPark; }
  [[nodiscard]] bool drained() const { return drained_; }  // the last plan found nothing to send
  // What it has to write takes or gives back the lease, and does nothing else.
  [[nodiscard]] bool moves_lease() const {
    return state_ == SessionState::kTakeLease || state_ == SessionState::kRelease;
  }
  [[nodiscard]] bool closed() const { return closing_ && resting(); }
  [[nodiscard]] Millis wake_at() const { return wake_at_; }  // monotonic; 0 = no timer
  [[nodiscard]] ErrorCode reason() const { return reason_; }  // of the wait or parking; 0 = none
  [[nodiscard]] Millis oldest_unsent() const { return oldest_unsent_; }
  // What storage held when it was last read or written here: for reports, never for decisions.
  [[nodiscard]] const Remembered& known() const { return known_; }
  // A fresh reading of the meta store by someone who only watches. Ignored while a round is under way.
  void observe(Remembered known) {
    if (resting() && !holding_) known_ = std::move(known);
  }
  [[nodiscard]] bool holding() const { return holding_; }

 private:
  // flow (client_session.cc)
  void start(Clocks now);
  void on_lease(Clocks now, const std::vector<queue::Put>& records);
  void rest(SessionState state, ErrorCode reason, Millis wake_at);
  void read(SessionState state, ReadWish wish);
  void write(SessionState state, queue::Transaction transaction);
  void forget();
  // one round, from what is stored to the request (client_round.cc)
  void on_meta(Clocks now, const std::vector<queue::Put>& records);
  void on_journal(Clocks now, const std::vector<queue::Put>& records);
  void begin_plan(Clocks now);
  void go_plan(Clocks now);
  void planned(Clocks now);
  void send(Clocks now);
  void nothing_left(Clocks now);
  [[nodiscard]] bool unsettled() const;
  // requests that failed (client_failure.cc)
  void fail_round(Clocks now, ErrorCode reason, std::uint32_t retry_after_ms);
  void on_refusal(Clocks now, std::uint16_t status, std::uint32_t retry_after_ms);
  // answers (client_answer.cc)
  void on_reply(Clocks now, const SyncReply& reply);
  void continue_answer(Clocks now);
  void on_late(Clocks now, const std::vector<queue::Put>& records);
  void end_deferred(Clocks now, const DeferredRecord& record, Verdict verdict, bool counted);
  void revisit(Clocks now, DeferredRecord& record, SettledRun& run);
  void keep_unheld(const SettledRun& run);
  void store(Clocks now);
  void stored(Clocks now);
  // recovery (client_recovery.cc)
  void gather(SessionState state, Bytes cursor, const Bytes& end);
  void on_rewind(Clocks now, std::vector<queue::Put>& records);
  void on_fork(Clocks now, std::vector<queue::Put>& records);
  void renumber(StreamId stream, Sequence agreed);

  DeviceId device_;
  Epoch context_;
  Prng* prng_;
  SessionState state_ = SessionState::kIdle;
  Wishes wishes_;
  Millis wake_at_;
  ErrorCode reason_{};
  Millis oldest_unsent_;
  bool online_ = true;
  bool wanted_ = false;
  Millis heard_at_;  // monotonic, of the last answer; 0 = none yet
  bool insisted_ = false;  // somebody asked for an attempt before its time
  Millis waits_for_;  // wall clock: the stored time of the next attempt that this rest is for; 0 = none
  Millis waited_for_;  // that time, once it was waited for here, whatever the wall clock says of it
  bool drained_ = false;
  bool closing_ = false;
  bool token_asked_ = false;
  std::uint32_t offline_tries_ = 0;
  std::uint32_t storage_failures_ = 0;
  std::uint32_t late_polls_ = 0;
  Millis late_poll_at_;  // monotonic

  Remembered remembered_;
  Remembered known_;
  bool holding_ = false;
  queue::Lease seen_lease_;  // another holder's, and since when its stamp has not changed
  Millis seen_since_;
  Epoch gone_;  // the owner that does not count any more
  Bytes cursor_;
  std::uint32_t credit_ = kSegmentEventsMax;
  std::uint32_t page_ = PushPlan::kFirstPageSegments;

  std::set<StreamId> skipped_;  // parked: unknown to the server, undecodable there
  std::set<Bytes> suspects_;
  std::optional<PushPlan> plan_;
  Packer packer_;
  bool totals_reread_ = false;  // once, for a damage at the end of a stream
  std::uint64_t nonce_ = 0;
  StreamId verified_;  // after a change of incarnation: compared up to here
  bool verifying_ = false;
  bool verify_more_ = false;
  bool poll_ = false;  // the open request only asks for late verdicts

  // one answer
  Acknowledged answer_;
  Bytes expected_journal_;
  SyncReply reply_;
  std::vector<LateVerdict> late_;
  std::vector<queue::Put> gathered_;
  Bytes gather_end_;
  std::uint32_t gather_lane_ = 0;
  StreamId gather_stream_;
  bool own_forked_ = false;
};

}  // namespace oas::sync
