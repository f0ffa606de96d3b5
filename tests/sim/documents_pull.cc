// What js-glue/documents/puller.ts does: pages of changes from the stored cursor on, a snapshot where that is not known.
//
// A page is applied in memory, then states, settled edits and cursor are stored in one transaction that expects the cursor
// it began from. Any tab of a device may pull at any time.
#include <utility>

#include "base/sim_points.h"
#include "sim/documents_world.h"

namespace oas::sim {
namespace {

constexpr std::size_t kChangesMax = 20;  // of one page: 500 elsewhere
constexpr std::size_t kRecordsMax = 2;

}  // namespace

void DocumentWorld::pull(std::size_t context, Tab& tab, const std::string& space) {
  const auto [running, fresh] = tab.pulling.try_emplace(space);
  if (!fresh) {
    running->second.again = true;
    return;
  }
  ask(context, tab, space);
}

// Everything the server had is here. What had left the queue before the request began was judged by then: it has come, in
// whatever form, or never will. Nobody else may be left to remove its record: the tab is dead, a snapshot has brought it, two
// tabs have made the same.
void DocumentWorld::pulled_all(std::size_t context, Tab& tab, const std::string& space) {
  Pull& pull = tab.pulling[space];
  for (const WaitingEdit& edit : std::exchange(pull.judged, {})) leave(context, edit);
  if (OAS_MUTANT(kDocLeftoversStay) || std::exchange(pull.looked, true)) return pull_ended(tab, context, space);
  pull.judged = tab.docs->judged(space);
  if (pull.judged.empty()) return pull_ended(tab, context, space);
  if (!OAS_MUTANT(kDocLeavesBeforePull)) return ask(context, tab, space);
  for (const WaitingEdit& edit : pull.judged) leave(context, edit);
  pull_ended(tab, context, space);
}

void DocumentWorld::pull_ended(Tab& tab, std::size_t context, const std::string& space) {
  const bool again = tab.pulling[space].again;
  tab.pulling.erase(space);
  if (again) later(context, 1, [this, context, space](Tab& one) { pull(context, one, space); });
}

// One request: it may be lost, its answer may be lost, and what is done with the answer is said by what served it.
void DocumentWorld::exchange(std::size_t context, const std::string& space, Exchange serve) {
  const World::Device& device = *world_.devices_[world_.contexts_[context]->device];
  const std::int64_t delay = prng_.between(5, 60);
  const auto broken = [this, context, space, life = tabs_.at(context).life](std::int64_t wait) {
    world_.at(world_.now_ + wait, [this, context, space, life] {
      run(context, life, [this, context, space](Tab& tab) { pull_ended(tab, context, space); });
    });
  };
  Faults& faults = world_.faults_;
  if (world_.now_ < device.offline_until || world_.now_ < device.unauthorized_until ||
      faults.hit(Fault::kRequestLost, 1, 12) || faults.hit(Fault::kServerError, 1, 30))
    return broken(delay);
  world_.at(world_.now_ + delay, [this, context, broken, serve = std::move(serve)] {
    if (!tabs_.contains(context) || world_.now_ < world_.server_down_until_) return broken(5);
    Server& server = world_.server_;
    const Answered answer = serve(server.documents(), server.documents_now({world_.wall(World::Device{})}));
    if (world_.faults_.hit(Fault::kReplyLost, 1, 12)) return broken(1'000);
    later(context, prng_.between(5, world_.faults_.hit(Fault::kReplyLate, 1, 20) ? 10'000 : 60),
          [answer](Tab&) { answer(); });
  });
}

void DocumentWorld::ask(std::size_t context, Tab& tab, const std::string& space) {
  const std::optional<SpaceCursor> before = tab.docs->stored_cursor(space);
  if (!before) return snapshot(context, space, before, nullptr);
  // What all have acknowledged may be folded. An edit made before may not have seen it, so a device with such edits keeps
  // what it has said before.
  const bool acknowledges =
      (!tab.docs->waits(space) && resent(context, tab, before->incarnation)) || OAS_MUTANT(kDocAcknowledgesWithEdits);
  const std::uint64_t life = tab.life;
  const DeviceId device = world_.devices_[world_.contexts_[context]->device]->id;
  exchange(context, space, [=, this](DocumentServer& server, const DocumentServer::Now& now) -> Answered {
    const DocumentServer::Page page = server.changes_after(device, space, *before, now.incarnation, kChangesMax);
    if (const auto* changes = std::get_if<DocumentServer::Changes>(&page)) {
      if (acknowledges) server.note(device, space, before->n, now.time);
      return [this, context, life, space, before, changes = *changes] {
        if (Tab* const one = this->tab(context, life)) take(context, *one, space, *before, changes);
      };
    }
    const bool expired = std::holds_alternative<DocumentServer::Expired>(page);
    return [this, context, life, space, before, expired] {
      Tab* const one = this->tab(context, life);
      if (one == nullptr) return;
      if (expired) return snapshot(context, space, before, nullptr);
      pull_ended(*one, context, space);
    };
  });
}

// A restored server is sent edits again that wait no longer. Found once for each server, and kept.
bool DocumentWorld::resent(std::size_t context, const Tab& tab, const Incarnation& server) {
  Disk& disk = world_.devices_[world_.contexts_[context]->device]->disk;
  const Bytes key = resent_key();
  const Bytes value = encode_cursor({server, 0, 0});
  if (const auto kept = disk.records.find(key); kept != disk.records.end() && kept->second == value) return true;
  if (!tab.docs->has_resent(server)) return OAS_MUTANT(kDocAcknowledgesBeforeResent);
  engine::Persist persist;
  persist.puts.push_back({key, value});
  return disk.commit(persist, false);
}

void DocumentWorld::take(std::size_t context, Tab& tab, const std::string& space, const SpaceCursor& before,
                         const DocumentServer::Changes& page) {
  if (tracing)
    std::printf("%lld: context %zu takes %zu changes of %s up to %llu\n", static_cast<long long>(world_.now_), context,
                page.rows.size(), space.c_str(), static_cast<unsigned long long>(page.cursor.n));
  exclusive(tab, space, [this, context, life = tab.life, space, before, page] {
    Tab& reader = *this->tab(context, life);
    if (page.rows.empty() && page.cursor == before) {
      reader.docs->catch_up(space, before);
      turn_ended(reader, space);
      return pulled_all(context, reader, space);
    }
    engine::Persist persist = reader.docs->accept(space, before, page);
    commit(context, std::move(persist), true, [this, context, space, before, page](Tab& one, Commit end) {
      if (end == Commit::kDone) {
        one.docs->stands_at(space, page.cursor);
        tell_changes(context, space, before, page);
      } else {
        one.docs->refresh(space);  // memory is ahead of what is stored
      }
      turn_ended(one, space);
      // Another context was first: its states are the ones to go on from.
      if (end == Commit::kConflict || (end == Commit::kDone && page.more)) return ask(context, one, space);
      if (end == Commit::kDone) return pulled_all(context, one, space);
      pull_ended(one, context, space);
    });
  });
}

void DocumentWorld::tell_changes(std::size_t context, const std::string& space, const SpaceCursor& before,
                                 const DocumentServer::Changes& page) {
  for (const std::size_t other : world_.devices_[world_.contexts_[context]->device]->contexts) {
    if (other == context) continue;
    later(other, 1, [this, other, space, before, page](Tab& tab) {
      exclusive(tab, space, [this, other, life = tab.life, space, before, page] {
        Tab& one = *this->tab(other, life);
        one.docs->follow(space, before, page);
        turn_ended(one, space);
      });
    });
  }
}

// Page by page, with changes in between; what comes after the first page's cursor is read as changes.
void DocumentWorld::snapshot(std::size_t context, const std::string& space, std::optional<SpaceCursor> before,
                             std::shared_ptr<DocumentServer::Snapshot> so_far) {
  const auto at = tabs_.find(context);
  if (at == tabs_.end()) return;
  const std::uint64_t life = at->second.life;
  const DeviceId device = world_.devices_[world_.contexts_[context]->device]->id;
  const std::string after = so_far ? *so_far->next : "";
  exchange(context, space, [=, this](DocumentServer& server, const DocumentServer::Now& now) -> Answered {
    const auto page = server.snapshot(device, space, after, before, now.incarnation, kRecordsMax);
    return [this, context, life, space, before, so_far, page] {
      Tab* const one = this->tab(context, life);
      if (one == nullptr) return;
      if (!page) return pull_ended(*one, context, space);
      auto all = so_far ? so_far : std::make_shared<DocumentServer::Snapshot>();
      if (!so_far) all->cursor = page->cursor;
      if (!so_far) all->shared = page->shared;
      all->records.insert(all->records.end(), page->records.begin(), page->records.end());
      all->next = page->next;
      if (all->next) return snapshot(context, space, before, all);
      repair(context, *one, space, before, *all);
    };
  });
}

// What a restored server has lost and this device still has goes to the server before the snapshot takes its place here.
void DocumentWorld::repair(std::size_t context, Tab& tab, const std::string& space,
                           const std::optional<SpaceCursor>& before, const DocumentServer::Snapshot& all) {
  const World::Device& owner = *world_.devices_[world_.contexts_[context]->device];
  const std::vector<Offer> offers = before ? lost_by(owner.disk, space, all) : std::vector<Offer>{};
  const EditNumbers due = held_by(owner.disk, space);
  if (offers.empty() || OAS_MUTANT(kDocRepairLeftOut)) return store(context, tab, space, before, all, due);
  if (tracing)
    for (const Offer& offer : offers) {
      std::printf("%lld: context %zu gives back of %s/%s, with edits", static_cast<long long>(world_.now_), context,
                  space.c_str(), offer.key.c_str());
      for (const std::uint32_t number : offer.numbers) std::printf(" %u", number);
      std::printf("\n");
    }
  const std::uint64_t life = tab.life;
  const DeviceId device = owner.id;
  if (OAS_MUTANT(kDocRepairUnheard)) store(context, tab, space, before, all, due);
  exchange(context, space, [=, this](DocumentServer& server, const DocumentServer::Now& now) -> Answered {
    const auto serve = [this, device, space, compared = DocumentServer::Comparison{*before, all.cursor}, offers](
                           DocumentServer& one, const DocumentServer::Now& then) {
      const DocumentServer::Repair done = one.repair(device, space, compared, offers, then);
      if (!done.wrong.empty()) fail(done.wrong);
      return done;
    };
    // Long after, perhaps: the server may have been restored once more.
    if (world_.faults_.hit(Fault::kRequestDoubled, 1, 4))
      world_.at(world_.now_ + prng_.between(1, 20'000), [this, serve] {
        (void)serve(world_.server_.documents(), world_.server_.documents_now({world_.wall(World::Device{})}));
      });
    const DocumentServer::Repair done = serve(server, now);
    if (OAS_MUTANT(kDocRepairUnheard)) return [] {};
    return [this, context, life, space, before, all, due = done.whole ? due : EditNumbers{}, taken = done.taken,
            expired = done.expired] {
      Tab* const one = this->tab(context, life);
      if (one == nullptr) return;
      if (expired) return pull_ended(*one, context, space);
      // What was taken is in the next snapshot. Were this one stored, and the server restored once more, nobody would have it.
      if (taken) return snapshot(context, space, before, nullptr);
      store(context, *one, space, before, all, due);
    };
  });
}

// `due`: what this device had, and the server, too, from now on.
void DocumentWorld::store(std::size_t context, Tab& tab, const std::string& space,
                          const std::optional<SpaceCursor>& before, const DocumentServer::Snapshot& all,
                          const EditNumbers& due) {
  exclusive(tab, space, [this, context, space, before, all, due] {
    const Incarnation server = all.cursor.incarnation;
    commit(context, store_snapshot(space, before, all), true,
           [this, context, space, server, due](Tab& one, Commit end) {
             if (end == Commit::kDone) {
               // Restored once more in between, it has lost that again.
               if (server == world_.server_.documents_now({}).incarnation) due_.insert(due.begin(), due.end());
               one.docs->refresh(space);
               tell_reload(context, space);
             }
             turn_ended(one, space);
             if (end != Commit::kFailed) return ask(context, one, space);
             pull_ended(one, context, space);
           });
  });
}

void DocumentWorld::tell_reload(std::size_t context, const std::string& space) {
  for (const std::size_t other : world_.devices_[world_.contexts_[context]->device]->contexts) {
    if (other == context) continue;
    later(other, 1, [this, other, space](Tab& tab) {
      exclusive(tab, space, [this, other, life = tab.life, space] {
        Tab& one = *this->tab(other, life);
        one.docs->refresh(space);
        turn_ended(one, space);
      });
    });
  }
}

// Nobody else in this tab touches what the server has accepted of the space until the turn has ended.
void DocumentWorld::exclusive(Tab& tab, const std::string& space, std::function<void()> work) {
  auto& turns = tab.turns[space];
  turns.push_back(std::move(work));
  if (turns.size() > 1) return;
  const auto first = turns.front();  // it may end its own turn
  first();
}

void DocumentWorld::turn_ended(Tab& tab, const std::string& space) {
  auto& turns = tab.turns[space];
  turns.pop_front();
  if (turns.empty()) return;
  const auto next = turns.front();
  next();
}

// The tab may be killed or the power cut while the transaction is on its way.
void DocumentWorld::commit(std::size_t context, engine::Persist persist, bool strict,
                           std::function<void(Tab&, Commit)> ended) {
  const std::size_t index = world_.contexts_[context]->device;
  const std::uint64_t life = tabs_.at(context).life;
  world_.at(world_.now_ + prng_.between(1, 4),
            [this, context, index, life, strict, powers = world_.devices_[index]->powers, persist = std::move(persist),
             ended = std::move(ended)] {
              World::Device& device = *world_.devices_[index];
              const bool alive = tab(context, life) != nullptr;
              if (device.powers != powers || (!alive && prng_.chance(1, 2))) return;
              Commit end = Commit::kDone;
              if (world_.now_ < device.quota_until && !persist.puts.empty()) {
                end = Commit::kFailed;
              } else if (world_.faults_.hit(Fault::kConnectionLost, 1, 20)) {
                end = Commit::kFailed;
                if (prng_.chance(1, 2)) (void)device.disk.commit(persist, strict);
              } else if (!device.disk.commit(persist, strict)) {
                end = Commit::kConflict;
              }
              if (tracing)
                std::printf("%lld: context %zu stores documents: %d\n", static_cast<long long>(world_.now_), context,
                            static_cast<int>(end));
              if (alive) run(context, life, [ended, end](Tab& one) { ended(one, end); });
            });
}

}  // namespace oas::sim
