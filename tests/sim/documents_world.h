// Documents in a simulated world: people who edit them, the pulls that bring the server's changes, and what must be true.
//
// Edits travel as ordinary events through the world's queues and server; records of edits are written in the transactions
// that store those events. What js-glue/documents does for one tab is done here with every step at its own time: a tab may
// die, freeze or be overtaken by another one between any two of them.
//
//   documents_world.cc  edits and notices      documents_pull.cc  pulls      documents_check.cc  the judge
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/documents_tab.h"
#include "sim/world.h"

namespace oas::sim {

// What an edit meant, so that its absence can be explained.
enum class Intent : std::uint8_t {
  kSeed,
  kField,
  kCount,
  kMost,
  kLeast,
  kTag,
  kItem,
  kQuantity,
  kRemoveItem,
  kRemove,
  kMake
};

struct MadeEdit {
  DocumentName name;
  merge::Dot first;
  Bytes delta;
  Intent intent{};
  std::string place;  // JSON pointer, elements by their id
  std::string value;  // JSON text
  std::int64_t by{};
  EditNumbers seen;
  EditNumbers seen_waiting;
};

class DocumentWorld {
 public:
  DocumentWorld(World& world, std::uint64_t seed, bool folds);

  // What the world tells: a tab lives and dies, a transaction is formed, calls and events get their verdicts.
  void born(std::size_t context);
  // Before its time: it reads its mail now.
  void woken(std::size_t context);
  void gone(std::size_t context) { tabs_.erase(context); }
  void accompany(std::size_t context, engine::Persist& persist) const;
  void stored(std::size_t context, std::uint32_t number, const std::optional<EventId>& event);
  void refused(std::size_t context, std::uint32_t number);
  void settled(std::size_t context, const engine::Settled& settled);
  void counted(std::size_t context, const engine::Status& status);
  // The server is back from a backup.
  void restored();

  void act(std::size_t device);
  void server_work();
  // Every tab that is awake pulls.
  void look();
  [[nodiscard]] bool drained() const;
  [[nodiscard]] std::string left() const;
  void check();

 private:
  struct Pull {
    bool again = false;  // somebody wants another one behind it
    bool looked = false;  // for edits that were judged
    std::vector<WaitingEdit> judged;  // before the request in hand began
  };
  struct Tab {
    std::unique_ptr<DocumentTab> docs;
    std::uint64_t life{};
    std::map<EventId, std::uint32_t> receipts;
    std::set<EventId>
        refused;  // before there was a receipt: another context was faster than the news that it is stored
    std::uint64_t letters{};  // as the status last said
    EditNumbers own;  // edits made here that were not refused
    std::map<std::string, std::deque<std::function<void()>>> turns;  // by space: one at a time
    std::map<std::string, Pull> pulling;  // by space
    std::deque<std::function<void(Tab&)>> mail;  // that came while it was frozen
  };
  using Answered = std::function<void()>;

  // edits (documents_world.cc)
  [[nodiscard]] bool awake(std::size_t context) const;
  [[nodiscard]] Tab* tab(std::size_t context, std::uint64_t life);
  void later(std::size_t context, std::int64_t delay, std::function<void(Tab&)> action);
  void run(std::size_t context, std::uint64_t life, const std::function<void(Tab&)>& action);
  void read_mail(std::size_t context, std::uint64_t life);
  void tell(std::size_t context, const std::function<void(DocumentTab&)>& message);
  void forget(std::size_t context, engine::KeyRange edit);
  void forget_refused(std::size_t context);
  void seed(std::size_t context, Tab& tab, const DocumentName& name, const std::string& json);
  void edit(std::size_t context, Tab& tab);
  void edit_as(std::size_t context, Tab& tab, const DocumentName& name, const MadeEdit& wanted,
               const Result<documents::Edit>& made);
  void queue(std::size_t context, Tab& tab, MadeEdit edit);
  void check_flicker(const Tab& tab) const;
  void check_dropped(std::size_t context, const Tab& tab, const WaitingEdit& edit) const;
  void not_taken(std::size_t context, std::uint32_t number);
  void leave(std::size_t context, const WaitingEdit& edit);
  void drop(std::size_t context, const WaitingEdit& edit);
  [[nodiscard]] documents::Replica::Writer place(std::size_t context, const Tab& tab, const DocumentName& name);

  // pulls (documents_pull.cc)
  using Exchange = std::function<Answered(DocumentServer&, const DocumentServer::Now&)>;
  void pull(std::size_t context, Tab& tab, const std::string& space);
  void ask(std::size_t context, Tab& tab, const std::string& space);
  void pulled_all(std::size_t context, Tab& tab, const std::string& space);
  void pull_ended(Tab& tab, std::size_t context, const std::string& space);
  void exchange(std::size_t context, const std::string& space, Exchange serve);
  bool resent(std::size_t context, const Tab& tab, const Incarnation& server);
  void take(std::size_t context, Tab& tab, const std::string& space, const SpaceCursor& before,
            const DocumentServer::Changes& page);
  void snapshot(std::size_t context, const std::string& space, std::optional<SpaceCursor> before,
                std::shared_ptr<DocumentServer::Snapshot> so_far);
  void repair(std::size_t context, Tab& tab, const std::string& space, const std::optional<SpaceCursor>& before,
              const DocumentServer::Snapshot& all);
  void store(std::size_t context, Tab& tab, const std::string& space, const std::optional<SpaceCursor>& before,
             const DocumentServer::Snapshot& all, const EditNumbers& due);
  void tell_changes(std::size_t context, const std::string& space, const SpaceCursor& before,
                    const DocumentServer::Changes& page);
  void tell_reload(std::size_t context, const std::string& space);
  void exclusive(Tab& tab, const std::string& space, std::function<void()> work);
  void turn_ended(Tab& tab, const std::string& space);
  enum class Commit : std::uint8_t { kDone, kConflict, kFailed };
  void commit(std::size_t context, engine::Persist persist, bool strict, std::function<void(Tab&, Commit)> ended);

  // the judge (documents_check.cc)
  [[nodiscard]] std::vector<std::string> spaces_of(const DeviceId& device) const;
  void check_replica(const Disk& disk, const DocumentTab& docs, const std::string& space, const std::string& who) const;
  [[nodiscard]] EditNumbers held_by(const Disk& disk, const std::string& space) const;
  void check_edits() const;
  void check_document(const DocumentName& name, const DocumentRecord& record) const;
  void check_edit(const MadeEdit& edit, std::uint32_t number, const merge::MaybeValue& shown,
                  const EditNumbers& applied) const;
  [[nodiscard]] bool renamed(std::uint32_t number) const;
  [[nodiscard]] bool seen_since(std::uint32_t number, const MadeEdit& edit, const EditNumbers& applied) const;
  void fail(std::string what) const;

  World& world_;
  bool folds_;
  mutable Prng prng_;
  std::map<std::size_t, Tab> tabs_;
  std::uint64_t lives_ = 0;
  std::map<std::uint32_t, MadeEdit> edits_;
  DotNumbers numbers_;
  Books books_;
  EditNumbers due_;  // what devices had, whoever made it, that have met the server since it was restored
  std::map<std::string, std::uint64_t> poked_;  // by space: the head everybody was told of
};

}  // namespace oas::sim
