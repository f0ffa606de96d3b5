// Events the application has handed over, until the transaction that stores them has ended.
//
//   accept --form--> in hand --stored--> gone       (waiting -> one transaction -> the caller's notices)
//                       `--aborted--> refused       numbers return to use: nothing was written
//                       `--unknown--> in hand       the same bytes and numbers are tried again
//
// Numbers, clock values and hashes are given when a transaction is formed, never earlier, so a failed call leaves no
// hole in a dense stream. At most one transaction is in hand; everything that arrives meanwhile rides in the next one
// (self-clocking group commit).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/types.h"
#include "queue/keys.h"
#include "queue/records.h"
#include "queue/storage.h"
#include "wire/segment.h"

namespace oas::queue {

// A run of calls stored together: consecutive commands with consecutive numbers of one stream.
struct AcceptedRun {
  std::uint32_t first_command{};
  std::uint32_t count{};
  EventId first;
};

struct Refusal {
  std::uint32_t command{};
  Error error;
};

class Outbox {
 public:
  Outbox(Epoch epoch, const std::array<std::uint64_t, kLaneCount>& next);

  // Takes over what is stored of this epoch already (its journal): numbers, hashes and clock go on from there.
  void resume(const EpochTotals& totals);
  // From now on numbers come from another epoch; pre: nothing in hand.
  void change_epoch(Epoch epoch);
  // The clock never falls behind this; other contexts of the device announce theirs.
  void observe(Hlc hlc);

  // Checks each event of the text (engine/io.h, Enqueue) and keeps the good ones; bad ones are reported, with nothing
  // stored of them. The text is kept, not copied again. O(bytes).
  void accept(std::uint32_t first_command, std::uint32_t count, Bytes text, std::vector<Refusal>& refused);
  // One event made by the engine itself, such as a retried dead letter. Pre: the event was checked.
  void accept_event(std::uint32_t command, Lane lane, Durability durability, Bytes canonical_event);

  [[nodiscard]] bool has_waiting() const { return !waiting_.empty(); }
  [[nodiscard]] bool in_hand() const { return in_hand_; }
  [[nodiscard]] std::uint64_t waiting_count() const { return waiting_.size(); }

  // Gives numbers to what waits, up to the limits of one transaction, and adds the records to `transaction`.
  // Returns the durability the transaction needs. Pre: has_waiting() and not in_hand().
  Durability form(Millis wall, Transaction& transaction);
  // The runs of the transaction in hand, which are not stored yet.
  [[nodiscard]] const std::vector<AcceptedRun>& forming() const { return runs_; }
  // The transaction has ended well: the runs it covered.
  [[nodiscard]] std::vector<AcceptedRun> stored();
  // It was rolled back with a cause: the commands it covered are refused with `error`.
  void aborted(Error error, std::vector<Refusal>& refused);

  [[nodiscard]] const EpochTotals& totals() const { return totals_; }  // stored ones
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] Hlc clock() const { return forming_.hlc; }
  [[nodiscard]] std::uint32_t lanes_stored() const { return lanes_stored_; }  // bit per lane of the last stored()

 private:
  struct Waiting {
    std::uint32_t command{};
    Lane lane{};
    Durability durability{};
    bool canonical{};  // `text` is one canonical event whose clock is set when it is numbered
    std::uint32_t batch{};  // index of its text, counted from the first ever
    wire::EventView event;  // views into the batch's text
  };
  struct Batch {
    Bytes text;
    std::uint32_t users{};
  };

  void seal(Lane lane, Transaction& transaction);
  void release(std::uint32_t batch);
  Hlc tick(Millis wall);

  Epoch epoch_;
  EpochTotals totals_;  // as stored
  EpochTotals forming_;  // with what is in hand
  std::deque<Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::deque<Batch> batches_;
  std::uint32_t first_batch_ = 0;
  bool in_hand_ = false;
  std::vector<AcceptedRun> runs_;
  std::vector<std::optional<wire::SegmentBuilder>> open_;  // one per lane while forming
  std::uint32_t lanes_stored_ = 0;
  std::uint32_t lanes_forming_ = 0;
};

// Converts one journal record of the JavaScript path (docs/storage.md) into segments. Deterministic: every context
// that takes the same record over writes the same bytes under the same keys. `totals` are the epoch's, as stored; a
// record whose numbers they already cover yields no puts. Errors: kChecksum, kMalformed, kGap (an earlier record is missing).
Result<void> take_over_journal(ByteView record, EpochTotals& totals, Transaction& transaction);

}  // namespace oas::queue
