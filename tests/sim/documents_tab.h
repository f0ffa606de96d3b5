// The documents that one tab has open, as js-glue/documents/replicas.ts and shelf.ts keep them: replicas fed by the tab's
// own edits, those of the device's other tabs, and the changes of the server's order.
//
// Beside every replica stand the numbers of the edits it should hold, for the judge: kept by what was given to it, never
// read out of it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "documents/replica.h"
#include "sim/disk.h"
#include "sim/documents_names.h"
#include "sim/documents_server.h"

namespace oas::sim {

// Numbers of all edits, by document and first dot.
using DotNumbers = std::map<std::pair<DocumentName, merge::Dot>, std::uint32_t>;

// An edit of this device, as its record names it.
struct WaitingEdit {
  DocumentName name;
  merge::Dot first;
  friend auto operator<=>(const WaitingEdit&, const WaitingEdit&) = default;
};

class DocumentTab {
 public:
  struct Doc {
    documents::Replica replica;
    std::map<merge::Dot, Bytes> unstored;  // own edits on their way to storage
    EditNumbers accepted;
    std::map<merge::Dot, std::uint32_t> pending;
    EditNumbers shown;  // what the next edit has seen
    EditNumbers shown_waiting;  // of these, what the server had not judged
    std::optional<merge::Shown> last;  // the same, as people saw it
    std::uint64_t next_n = 1;
    [[nodiscard]] EditNumbers holds() const;
    void note_shown();
  };

  // `forget`: removes the record of an edit that a snapshot has brought.
  using Forget = std::function<void(engine::KeyRange)>;
  DocumentTab(const Disk& disk, Epoch minted, const DotNumbers& numbers, Forget forget)
      : epoch(minted), disk_(&disk), numbers_(&numbers), forget_(std::move(forget)) {}

  Doc& open(const DocumentName& name);
  // By own edits too, or by what the server has accepted alone.
  const merge::Rules& rules(const DocumentName& name);
  const merge::Rules& accepted_rules(const DocumentName& name);

  // What somebody sees who may edit it.
  merge::Shown show(const DocumentName& name);
  // What was shown last: nothing has told the person what came since.
  merge::Shown shown_last(const DocumentName& name);
  // An own edit counts as shown.
  void edited(const DocumentName& name);
  // Another tab made this edit and has stored it; the tab's own one is stored; it will never be part of the document.
  void keep(const DocumentName& name, ByteView delta);
  void stored(const DocumentName& name, const merge::Dot& first);
  void drop(const DocumentName& name, const merge::Dot& first);

  // Changes behind `before`, and the transaction that stores what came of them with the new cursor.
  engine::Persist accept(const std::string& space, const SpaceCursor& before, const DocumentServer::Changes& page);
  // The changes were stored by another tab.
  void follow(const std::string& space, const SpaceCursor& before, const DocumentServer::Changes& page);
  // Nothing came behind the stored cursor: what is open here stands there now, whoever stored what led to it.
  void catch_up(const std::string& space, const SpaceCursor& stored);
  void stands_at(const std::string& space, const SpaceCursor& cursor) { at_[space] = cursor; }
  // Waiting edits of the space whose events have left the queue.
  [[nodiscard]] std::vector<WaitingEdit> judged(const std::string& space) const;
  // Reads anew what is open here.
  void refresh(const std::string& space);

  [[nodiscard]] std::optional<SpaceCursor> stored_cursor(const std::string& space) const;
  [[nodiscard]] bool waits(const std::string& space) const;
  // Whether what a server before this one had taken has been sent to this one, too, as far as it had to be.
  [[nodiscard]] bool has_resent(const Incarnation& server) const;
  [[nodiscard]] const std::map<DocumentName, Doc>& documents() const { return open_; }

  const Epoch epoch;  // of the edits made here

 private:
  void read(const DocumentName& name, Doc& doc) const;
  std::vector<engine::KeyRange> apply(const DocumentName& name, const DocumentChange& change);
  [[nodiscard]] std::uint32_t number_of(const DocumentName& name, const merge::Dot& first) const;

  const Disk* disk_;
  const DotNumbers* numbers_;
  Forget forget_;
  std::map<DocumentName, Doc> open_;
  std::map<std::string, SpaceCursor> at_;  // what the open documents of a space stand at, where that is known
};

// What this device has stored of the space's documents and the snapshot of a restored server lacks.
[[nodiscard]] std::vector<Offer> lost_by(const Disk& disk, const std::string& space,
                                         const DocumentServer::Snapshot& snapshot);
// The transaction that stores a snapshot's documents.
[[nodiscard]] engine::Persist store_snapshot(const std::string& space, const std::optional<SpaceCursor>& before,
                                             const DocumentServer::Snapshot& snapshot);

}  // namespace oas::sim
