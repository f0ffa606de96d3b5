// The server's half of documents over the simulator's own rows: what js-glue/server/documents does in SQL, by the same rules.
//
// Rows are values, so a crash or a restored backup takes them back with everything else. Judgement, voids and folds are the
// shipped ones (src/documents). What the judge needs (numbers of edits) stands beside the rows and decides nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "documents/authority.h"
#include "sim/documents_names.h"
#include "sync/server_session.h"

namespace oas::sim {

enum class Role : std::uint8_t { kNone, kReader, kWriter };

struct DocumentChange {
  std::string key;
  Bytes body;
  std::uint64_t sum{};
  Millis received_at;
  EditNumbers numbers;  // of the edits it accepts: one, or none, or all that a replica has given back
};

struct DocumentRecord {
  Bytes body;
  std::uint32_t edits{};  // changes since the last fold
  std::map<std::string, std::string> conflicts;  // open ones: JSON by id
  EditNumbers holds;
};

struct Space {
  std::map<DeviceId, Role> members;  // every device is a principal of its own; copies share it
  std::uint64_t head{};
  std::uint64_t sum{};
  std::map<std::uint64_t, DocumentChange> changes;  // by number; trimmed from the front
  std::map<std::string, DocumentRecord> records;
  struct Seen {
    std::uint64_t n{};
    Millis at;
  };
  std::map<DeviceId, Seen> cursors;
  // Behind which change each incarnation went on that ever wrote here.
  std::vector<std::pair<Incarnation, std::uint64_t>> began;
  // The last change that this history and the one of an older server have in common.
  [[nodiscard]] std::uint64_t shared_with(const Incarnation& older) const;
};

// What people were shown as conflicts.
struct SeenConflict {
  DocumentName name;
  std::string path;
  std::string value;  // JSON text of one sibling
  friend auto operator<=>(const SeenConflict&, const SeenConflict&) = default;
};

// The judge's: no database, so nothing takes it back.
struct Books {
  std::set<SeenConflict> seen_conflicts;
  // The dots under which each edit was ever taken: another history may have given it others.
  using Dots = std::set<merge::Dot>;
  std::map<std::uint32_t, std::set<Dots>> taken_as;
  EditNumbers refused;  // in some history
};

// What a replica still has of a document and a restored server lacks.
struct Offer {
  std::string key;
  Bytes delta;
  EditNumbers numbers;  // of the edits that it should bring, for the judge
};

class DocumentServer {
 public:
  struct Now {
    Incarnation incarnation;
    Millis time;
  };
  struct FoldLimits {
    Millis horizon;  // everything committed before is in a backup
    Millis replica_ms;  // a replica that was not heard of for so long holds nothing back
    std::uint32_t unfolded_max{};
  };

  // Handles one event; `again`: a dead letter that somebody retries.
  sync::Outcome take(const DeviceId& device, const EditEvent& edit, bool again, const Now& now);

  struct Expired {};  // 410
  struct Stranger {};  // 404
  struct Changes {
    SpaceCursor cursor;
    bool more{};
    std::vector<DocumentChange> rows;
  };
  using Page = std::variant<Changes, Expired, Stranger>;
  [[nodiscard]] Page changes_after(const DeviceId& device, const std::string& space, const SpaceCursor& from,
                                   const Incarnation& incarnation, std::size_t rows_max) const;
  struct Snapshot {
    SpaceCursor cursor;
    std::uint64_t shared{};  // with the history of the replica that asks
    std::vector<std::pair<std::string, DocumentRecord>> records;
    std::optional<std::string> next;
  };
  // Records behind `after`; nothing for a stranger.
  [[nodiscard]] std::optional<Snapshot> snapshot(const DeviceId& device, const std::string& space,
                                                 const std::string& after, const std::optional<SpaceCursor>& before,
                                                 const Incarnation& incarnation, std::size_t rows_max) const;
  struct Repair {
    bool whole = true;  // all that was offered is here now, as far as it may be
    bool taken = false;  // some of it was not here before
    bool expired = false;  // it was compared with a snapshot of another history
    std::string wrong;  // what the judge has to say
  };
  struct Comparison {
    SpaceCursor before;  // where the replica stands
    SpaceCursor snapshot;  // what it has compared its states with
  };
  // Each document by itself.
  Repair repair(const DeviceId& device, const std::string& space, const Comparison& compared,
                const std::vector<Offer>& offers, const Now& now);
  void note(const DeviceId& device, const std::string& space, std::uint64_t n, Millis time);
  void fold(const Now& now, const FoldLimits& limits);

  // The JSON text of the schema that the document's record is shown by.
  [[nodiscard]] std::string schema_for(const DocumentName& name) const;

  std::map<std::string, Space> spaces;
  EditNumbers rejected;
  Books* books = nullptr;  // outlives every copy of the rows

 private:
  sync::Outcome refuse(Space& space, const EditEvent& edit, ErrorCode code, const Now& now);
  Repair mend(Space& space, const DeviceId& device, const DocumentName& name, std::uint64_t compared,
              const Offer& offer, const Now& now);
  // Which of the offered edits a change of the order has brought; in `wrong`, why that cannot be.
  EditNumbers brought(const EditNumbers& held, const Offer& offer, ByteView change, std::string& wrong) const;
  void append(Space& space, const std::string& key, Bytes body, EditNumbers numbers, const Now& now);
  void keep(const DocumentName& name, DocumentRecord& record, const merge::Document& document);
  void fold_record(Space& space, const DocumentName& name, std::uint64_t cut, const Now& now);
  void trim(Space& space, const Now& now, const FoldLimits& limits);
};

}  // namespace oas::sim
