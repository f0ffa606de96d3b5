#include "sim/documents_world.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/sim_points.h"
#include "queue/records.h"
#include "wire/event.h"
#include "wire/reader.h"

namespace oas::sim {
namespace {

using merge::Member;
using merge::Value;

constexpr std::int64_t kReplicaMs = 3'600'000;
constexpr std::uint32_t kUnfoldedMax = 4;  // 64 elsewhere

constexpr std::string_view kSchema =
    R"({"/best":"max","/count":"counter","/first":"server-wins","/items":"list:key=id","/items/*/qty":"counter",)"
    R"("/last":"local-wins","/low":"min","/state":"manual","/tags":"set","/title":"lww"})";
constexpr std::string_view kStart = R"({"count":0,"items":[],"tags":[]})";
constexpr std::string_view kFields[] = {"first", "last", "note", "state", "title"};

// Documents whose key ends in "x" may be deleted; the others, and what is in them, never are.
bool may_go(const DocumentName& name) { return name.key.back() == 'x'; }

Value with(const Value& object, std::string_view key, Value value) {
  std::vector<Member> members;
  for (const Member& member : object.members())
    if (member.key != key) members.push_back(member);
  const auto at = std::find_if(members.begin(), members.end(), [key](const Member& one) { return one.key > key; });
  members.insert(at, {std::string(key), std::move(value)});
  return Value::object(std::move(members));
}

std::vector<Value> items_of(const Value& object, std::string_view key) {
  const Value* const list = object.find(key);
  return list != nullptr && list->is_array() ? list->items() : std::vector<Value>{};
}

// The same elements but for one: documents keep their identities by key.
Value with_items(const Value& object, std::string_view key, std::vector<Value> items) {
  return with(object, key, Value::array(std::move(items)));
}

std::string id_of(const Value& item) {
  const Value* const id = item.is_object() ? item.find("id") : nullptr;
  return id != nullptr && id->is_string() ? std::string(id->text()) : "";
}

}  // namespace

DocumentWorld::DocumentWorld(World& world, std::uint64_t seed, bool folds)
    : world_(world), folds_(folds), prng_(hash_mix(seed, 0xD0C5)) {
  folds_ |= prng_.chance(1, 2);
  // A profile that has gone back to an older state inherits what its device has acknowledged since, and its edits pass for ones
  // that have seen what was folded. So do edits that a restored server gets again: no record says that they wait.
  if (folds_)
    for (const Fault fault : {Fault::kProfileRolledBack, Fault::kProfileCloned}) world_.faults_.forbid(fault);
  DocumentServer& server = world_.server_.documents();
  server.books = &books_;
  for (const auto& device : world_.devices_) {
    server.spaces["team"].members[device->id] = Role::kWriter;
    server.spaces["club"].members[device->id] = prng_.chance(2, 3) ? Role::kWriter : Role::kNone;
  }
  world_.server_.back_up({world_.wall(World::Device{})});
}

// --- tabs ------------------------------------------------------------------------------------------------------------

void DocumentWorld::born(std::size_t context) {
  const Disk& disk = world_.devices_[world_.contexts_[context]->device]->disk;
  Tab& tab = tabs_[context];
  tab = {};
  tab.life = ++lives_;
  tab.docs = std::make_unique<DocumentTab>(disk, Epoch{prng_.next()}, numbers_, [this, context](engine::KeyRange edit) {
    forget(context, std::move(edit));
  });
  forget_refused(context);
}

void DocumentWorld::forget(std::size_t context, engine::KeyRange edit) {
  engine::Persist persist;
  persist.deletes.push_back(std::move(edit));
  commit(context, std::move(persist), false, [](Tab&, Commit) {});
}

// Edits in dead letters are no longer part of their documents, whoever stored the letter.
void DocumentWorld::forget_refused(std::size_t context) {
  const Disk& disk = world_.devices_[world_.contexts_[context]->device]->disk;
  for (const engine::Put& record : disk.scan({{'x'}, {'y'}}, 1'000)) {
    const auto letter = queue::read_record<queue::DeadLetter>(record.value);
    if (!letter) continue;
    wire::Reader in(letter->event);
    const auto event = wire::read_event(in);
    const auto edit = event ? read_edit_event(as_text(event->json)) : std::nullopt;
    const auto delta = edit ? merge::decode_delta(edit->delta) : Result<merge::Delta>();
    if (!edit || !delta || delta->ops.empty()) continue;
    const WaitingEdit refused{edit->name, delta->ops.front().op.dot};
    if (disk.records.contains(edit_key(refused.name, refused.first))) leave(context, refused);
  }
}

void DocumentWorld::counted(std::size_t context, const engine::Status& status) {
  const auto at = tabs_.find(context);
  if (at != tabs_.end() && std::exchange(at->second.letters, status.dead) < status.dead) forget_refused(context);
}

bool DocumentWorld::awake(std::size_t context) const {
  const World::Context& one = *world_.contexts_[context];
  return tabs_.contains(context) && world_.now_ >= one.frozen_until && one.backlog.empty();
}

DocumentWorld::Tab* DocumentWorld::tab(std::size_t context, std::uint64_t life) {
  const auto at = tabs_.find(context);
  return at == tabs_.end() || at->second.life != life ? nullptr : &at->second;
}

// In this life of the tab, and not while it is frozen.
void DocumentWorld::later(std::size_t context, std::int64_t delay, std::function<void(Tab&)> action) {
  const auto at = tabs_.find(context);
  if (at == tabs_.end()) return;
  world_.at(world_.now_ + delay,
            [this, context, life = at->second.life, action = std::move(action)] { run(context, life, action); });
}

void DocumentWorld::run(std::size_t context, std::uint64_t life, const std::function<void(Tab&)>& action) {
  Tab* const one = tab(context, life);
  if (one == nullptr) return;
  const std::int64_t until = world_.contexts_[context]->frozen_until;
  if (world_.now_ >= until && one->mail.empty()) return action(*one);
  one->mail.push_back(action);
  if (one->mail.size() == 1)
    world_.at(std::max(world_.now_, until), [this, context, life] { read_mail(context, life); });
}

// In the old order, also where the tab was woken before its time.
void DocumentWorld::read_mail(std::size_t context, std::uint64_t life) {
  Tab* const one = tab(context, life);
  if (one == nullptr) return;
  const std::int64_t until = world_.contexts_[context]->frozen_until;
  if (world_.now_ < until) return world_.at(until, [this, context, life] { read_mail(context, life); });
  for (const auto& action : std::exchange(one->mail, {})) action(*one);
}

void DocumentWorld::woken(std::size_t context) {
  const auto at = tabs_.find(context);
  if (at == tabs_.end() || at->second.mail.empty()) return;
  world_.at(world_.now_ + 1, [this, context, life = at->second.life] { read_mail(context, life); });
}

// What a tab says reaches all others of its device.
void DocumentWorld::tell(std::size_t context, const std::function<void(DocumentTab&)>& message) {
  for (const std::size_t other : world_.devices_[world_.contexts_[context]->device]->contexts)
    if (other != context) later(other, 1, [message](Tab& tab) { message(*tab.docs); });
}

// --- what the engine says --------------------------------------------------------------------------------------------

// The edit's own record is written with its event.
void DocumentWorld::accompany(std::size_t context, engine::Persist& persist) const {
  const auto& calls = world_.contexts_[context]->calls;
  for (const engine::Accepted& run : persist.covers)
    for (std::uint32_t i = 0; i < run.count; ++i) {
      const auto call = calls.find(run.first + i);
      if (call == calls.end() || call->second.fixed) continue;
      const auto edit = edits_.find(call->second.number);
      if (edit == edits_.end()) continue;
      persist.puts.push_back({edit_key(edit->second.name, edit->second.first), edit->second.delta});
    }
}

void DocumentWorld::stored(std::size_t context, std::uint32_t number, const std::optional<EventId>& event) {
  const auto edit = edits_.find(number);
  const auto at = tabs_.find(context);
  if (edit == edits_.end() || at == tabs_.end()) return;
  at->second.docs->stored(edit->second.name, edit->second.first);
  tell(context, [one = edit->second](DocumentTab& docs) { docs.keep(one.name, one.delta); });
  if (event && at->second.refused.contains(*event)) return not_taken(context, number);
  if (event) at->second.receipts[*event] = number;
}

void DocumentWorld::refused(std::size_t context, std::uint32_t number) {
  const auto edit = edits_.find(number);
  const auto at = tabs_.find(context);
  if (edit == edits_.end() || at == tabs_.end()) return;
  at->second.own.erase(number);
  at->second.docs->drop(edit->second.name, edit->second.first);
}

void DocumentWorld::settled(std::size_t context, const engine::Settled& settled) {
  const auto at = tabs_.find(context);
  if (at == tabs_.end()) return;
  std::map<EventId, std::uint32_t>& receipts = at->second.receipts;
  std::map<std::uint64_t, sync::VerdictKind> verdicts;
  if (!settled.late)
    for (Sequence seq = settled.from; seq <= settled.upto; ++seq.value)
      verdicts[seq.value] = sync::VerdictKind::kApplied;
  for (const auto& one : settled.exceptions) verdicts[one.seq.value] = static_cast<sync::VerdictKind>(one.kind);
  for (const auto& [seq, verdict] : verdicts) {
    if (verdict == sync::VerdictKind::kDeferred) continue;
    const EventId event{settled.stream, {seq}};
    const bool taken = verdict == sync::VerdictKind::kApplied || verdict == sync::VerdictKind::kDuplicate;
    const auto receipt = receipts.find(event);
    if (receipt == receipts.end()) {
      if (!taken) at->second.refused.insert(event);
      continue;
    }
    const std::uint32_t number = receipt->second;
    receipts.erase(receipt);
    if (!taken) not_taken(context, number);
  }
}

// Rejected or passed over.
void DocumentWorld::not_taken(std::size_t context, std::uint32_t number) {
  const MadeEdit& edit = edits_.at(number);
  tabs_.at(context).own.erase(number);
  leave(context, {edit.name, edit.first});
}

// It waits no longer: it is in what the server has, or its dead letter keeps it. Said again when its record is gone: who has read
// storage in between has it once more.
void DocumentWorld::leave(std::size_t context, const WaitingEdit& edit) {
  drop(context, edit);
  engine::Persist persist;
  persist.deletes.push_back(one_record(edit_key(edit.name, edit.first)));
  commit(context, std::move(persist), false, [this, context, edit](Tab&, Commit) { drop(context, edit); });
}

// What takes its place may be stored, and nobody have told the others of that: they read first.
void DocumentWorld::drop(std::size_t context, const WaitingEdit& edit) {
  tabs_.at(context).docs->drop(edit.name, edit.first);
  for (const std::size_t other : world_.devices_[world_.contexts_[context]->device]->contexts) {
    if (other == context) continue;
    later(other, 1, [this, other, edit](Tab& tab) {
      const std::string& space = edit.name.space;
      exclusive(tab, space, [this, other, life = tab.life, space, edit] {
        Tab& one = *this->tab(other, life);
        const std::optional<SpaceCursor> stored = one.docs->stored_cursor(space);
        if (stored && !OAS_MUTANT(kDocDroppedUnread)) one.docs->catch_up(space, *stored);
        one.docs->drop(edit.name, edit.first);
        check_dropped(other, one, edit);
        turn_ended(one, space);
      });
    });
  }
}

// --- edits -----------------------------------------------------------------------------------------------------------

void DocumentWorld::act(std::size_t index) {
  const World::Device& device = *world_.devices_[index];
  const std::size_t context = device.contexts[prng_.below(static_cast<std::uint32_t>(device.contexts.size()))];
  if (!awake(context) || !world_.contexts_[context]->engine) return;
  Tab& tab = tabs_.at(context);
  check_flicker(tab);
  if (prng_.chance(1, 6)) return pull(context, tab, prng_.chance(2, 3) ? "team" : "club");
  edit(context, tab);
}

documents::Replica::Writer DocumentWorld::place(std::size_t context, const Tab& tab, const DocumentName& name) {
  const World::Device& device = *world_.devices_[world_.contexts_[context]->device];
  return {tab.docs->epoch, tab.docs->open(name).next_n, {world_.wall(device)}};
}

// Devices that seed the same value make one document.
void DocumentWorld::seed(std::size_t context, Tab& tab, const DocumentName& name, const std::string& json) {
  const merge::Shown shown = tab.docs->show(name);
  DocumentTab::Doc& doc = tab.docs->open(name);
  if (shown.value || doc.replica.pending() > 0 || doc.replica.accepted().digest() != merge::Document().digest()) return;
  const Epoch epoch{hash64(as_bytes(json), hash64(as_bytes(entity_of(name)))) | 1};
  edit_as(context, tab, name, {.intent = Intent::kSeed, .value = json},
          doc.replica.put(*merge::parse_json(json), tab.docs->rules(name), {epoch, 1, {}}));
}

void DocumentWorld::edit(std::size_t context, Tab& tab) {
  constexpr std::string_view kKeys[] = {"notes/a", "notes/b", "notes/x"};
  const DocumentName name{prng_.chance(2, 3) ? "team" : "club", std::string(kKeys[prng_.below(3)])};
  seed(context, tab, *schema_of(name), std::string(kSchema));
  seed(context, tab, name, std::string(kStart));
  DocumentTab::Doc& doc = tab.docs->open(name);
  const std::uint32_t deed = prng_.below(may_go(name) ? 12 : 10);
  // Now and then somebody edits what he was shown a while ago; conflicts are settled as they are.
  const bool looks = deed == 9 || prng_.chance(2, 3);
  const merge::Shown shown = looks ? tab.docs->show(name) : tab.docs->shown_last(name);
  const merge::Rules& rules = tab.docs->rules(name);
  const documents::Replica::Writer at = place(context, tab, name);
  const std::string mark = std::to_string(world_.ledger_.fates.size());
  if (!shown.value || !shown.value->is_object()) {
    if (!may_go(name)) return;
    return edit_as(context, tab, name, {.intent = Intent::kMake},
                   doc.replica.put(*merge::parse_json(kStart), rules, at));
  }
  const Value& now = *shown.value;
  std::vector<Value> items = items_of(now, "items");
  const std::size_t some = items.empty() ? 0 : prng_.below(static_cast<std::uint32_t>(items.size()));
  const auto put = [&](const MadeEdit& wanted, Value next) {
    edit_as(context, tab, name, wanted, doc.replica.put(std::move(next), rules, at));
  };
  switch (deed) {
    case 0:
    case 1: {
      const std::int64_t by = prng_.between(-3, 9);
      const std::string patch = R"([{"op":"inc","path":"/count","by":)" + std::to_string(by) + "}]";
      return edit_as(context, tab, name, {.intent = Intent::kCount, .place = "/count", .by = by},
                     doc.replica.patch(*merge::parse_json(patch), rules, at));
    }
    case 2:
    case 3: {
      const std::string_view field = kFields[prng_.below(std::size(kFields))];
      const Value value = Value::string("v" + mark);
      return put({.intent = Intent::kField, .place = "/" + std::string(field), .value = merge::to_json(value)},
                 with(now, field, value));
    }
    case 4: {
      const bool most = prng_.chance(1, 2);
      const std::string field = most ? "best" : "low";
      const std::int64_t score = prng_.between(-1'000, 1'000);
      return put({.intent = most ? Intent::kMost : Intent::kLeast, .place = "/" + field, .by = score},
                 with(now, field, Value::integer(score)));
    }
    case 5: {
      std::vector<Value> tags = items_of(now, "tags");
      tags.push_back(Value::string("t" + mark));
      return put({.intent = Intent::kTag, .place = "/tags", .value = "\"t" + mark + "\""},
                 with_items(now, "tags", std::move(tags)));
    }
    case 6: {
      const Value item = *merge::parse_json(R"({"id":"e)" + mark + R"(","qty":1,"text":"v)" + mark + "\"}");
      items.insert(items.begin() + prng_.below(static_cast<std::uint32_t>(items.size() + 1)), item);
      return put({.intent = Intent::kItem, .place = "/items/e" + mark}, with_items(now, "items", std::move(items)));
    }
    case 7: {
      if (items.empty()) return;
      const std::int64_t by = prng_.between(1, 5);
      const std::string patch =
          R"([{"op":"inc","path":"/items/)" + std::to_string(some) + R"(/qty","by":)" + std::to_string(by) + "}]";
      return edit_as(context, tab, name,
                     {.intent = Intent::kQuantity, .place = "/items/" + id_of(items[some]), .by = by},
                     doc.replica.patch(*merge::parse_json(patch), rules, at));
    }
    case 8: {
      if (items.empty()) return;
      const Value value = Value::string("v" + mark);
      const std::string place_of = "/items/" + id_of(items[some]) + "/text";
      items[some] = with(items[some], "text", value);
      return put({.intent = Intent::kField, .place = place_of, .value = merge::to_json(value)},
                 with_items(now, "items", std::move(items)));
    }
    case 9: {
      // Somebody settles a conflict of a field.
      for (const merge::Record& record : shown.records) {
        const std::string pointer = merge::pointer_of(record.path);
        if (record.path.size() != 1 || record.kind > merge::ConflictKind::kAddAdd) continue;
        if (std::find(std::begin(kFields), std::end(kFields), pointer.substr(1)) == std::end(kFields)) continue;
        const Value value = Value::string("v" + mark);
        return edit_as(context, tab, name, {.intent = Intent::kField, .place = pointer, .value = merge::to_json(value)},
                       doc.replica.resolve(record.id, value, rules, at));
      }
      return;
    }
    case 10: {
      if (items.empty()) return;
      const std::string place_of = "/items/" + id_of(items[some]);
      items.erase(items.begin() + static_cast<std::ptrdiff_t>(some));
      return put({.intent = Intent::kRemoveItem, .place = place_of}, with_items(now, "items", std::move(items)));
    }
    default:
      if (prng_.chance(2, 3)) return;
      return edit_as(context, tab, name, {.intent = Intent::kRemove}, doc.replica.put(merge::MaybeValue(), rules, at));
  }
}

void DocumentWorld::edit_as(std::size_t context, Tab& tab, const DocumentName& name, const MadeEdit& wanted,
                            const Result<documents::Edit>& made) {
  if (!made) return fail("an edit cannot be made: " + std::string(error_info(made.error().code).name));
  if (made->count == 0) return;
  DocumentTab::Doc& doc = tab.docs->open(name);
  MadeEdit edit = wanted;
  edit.name = name;
  edit.first = made->first;
  edit.delta = made->delta;
  edit.seen = doc.shown;
  edit.seen_waiting = doc.shown_waiting;
  if (made->first.epoch == tab.docs->epoch) doc.next_n += made->count;
  queue(context, tab, std::move(edit));
}

void DocumentWorld::queue(std::size_t context, Tab& tab, MadeEdit edit) {
  Ledger& ledger = world_.ledger_;
  std::uint32_t number = ledger.create();
  // What all devices make alike is refused for all or for none.
  while (edit.intent == Intent::kSeed && is_poison(number)) number = ledger.create();
  ledger.fates[number].document = true;
  World::Context& owner = *world_.contexts_[context];
  DocumentTab::Doc& doc = tab.docs->open(edit.name);
  numbers_.emplace(std::pair(edit.name, edit.first), number);
  doc.unstored[edit.first] = edit.delta;
  doc.pending[edit.first] = numbers_.at({edit.name, edit.first});
  tab.docs->edited(edit.name);
  if (edit.intent != Intent::kSeed) tab.own.insert(number);
  const std::string writer = std::to_string(owner.device) + "." + std::to_string(owner.slot) + "." +
                             std::to_string(world_.devices_[owner.device]->branch);
  World::Call call{.number = number, .lane = Lane::kNormal, .strict = prng_.chance(2, 3), .fixed = false, .text = {}};
  call.text = World::text_of(call, entity_of(edit.name), write_edit_event({number, edit.name, writer, edit.delta}));
  const std::uint32_t command = owner.next_command++;
  owner.calls[command] = call;
  edits_.emplace(number, std::move(edit));
  world_.feed(context, engine::Enqueue{command, 1, to_bytes(as_bytes(call.text))});
}

// --- restored servers ------------------------------------------------------------------------------------------------

// Now and then a writer is gone for good along with what the server has lost: then only other devices can give it back.
void DocumentWorld::restored() {
  due_.clear();
  World::Device& writer = *world_.devices_[prng_.below(static_cast<std::uint32_t>(world_.devices_.size()))];
  if (world_.faults_.hit(Fault::kProfileRolledBack, 1, 3)) world_.roll_back(writer);
}

// --- the server's own work -------------------------------------------------------------------------------------------

void DocumentWorld::server_work() {
  DocumentServer& server = world_.server_.documents();
  const DocumentServer::Now now = world_.server_.documents_now({world_.wall(World::Device{})});
  if (folds_ && prng_.chance(1, 3))
    server.fold(
        now,
        {.horizon = {world_.server_.horizon().value - 1}, .replica_ms = {kReplicaMs}, .unfolded_max = kUnfoldedMax});
  if (world_.faults_.active && prng_.chance(1, 20)) {
    const auto& device = world_.devices_[prng_.below(static_cast<std::uint32_t>(world_.devices_.size()))];
    server.spaces["club"].members[device->id] = static_cast<Role>(prng_.below(3));
  }
  // Pokes are hints: some are lost.
  for (const auto& [name, space] : server.spaces) {
    if (std::exchange(poked_[name], space.head) == space.head) continue;
    for (const auto& device : world_.devices_) {
      const auto leader = std::find_if(device->contexts.begin(), device->contexts.end(),
                                       [this](std::size_t one) { return tabs_.contains(one); });
      if (leader != device->contexts.end() && !prng_.chance(1, 4))
        later(*leader, prng_.between(5, 60),
              [this, context = *leader, which = name](Tab& tab) { pull(context, tab, which); });
    }
  }
}

void DocumentWorld::look() {
  for (auto& [context, tab] : tabs_)
    if (awake(context))
      for (const char* space : {"team", "club"}) pull(context, tab, space);
}

}  // namespace oas::sim
