// What must be true of documents once all is quiet, and some of it at any time. Edits are judged by what they meant and by
// what their writers had seen, as the hosts were told it; the merge core is not asked.
#include <algorithm>
#include <utility>

#include "sim/documents_world.h"

namespace oas::sim {
namespace {

const merge::Value* find(const merge::MaybeValue& shown, const std::string& pointer) {
  const merge::Value* at = shown.get();
  for (std::size_t from = 1; at != nullptr && from <= pointer.size();) {
    const std::size_t to = std::min(pointer.find('/', from), pointer.size());
    const std::string step = pointer.substr(from, to - from);
    from = to + 1;
    if (at->is_object()) {
      at = at->find(step);
      continue;
    }
    if (!at->is_array()) return nullptr;
    const auto one = std::find_if(at->items().begin(), at->items().end(), [&step](const merge::Value& item) {
      const merge::Value* const id = item.is_object() ? item.find("id") : nullptr;
      return id != nullptr && id->is_string() && id->text() == step;
    });
    at = one == at->items().end() ? nullptr : &*one;
  }
  return at;
}

std::size_t times_in(const merge::MaybeValue& shown, const std::string& list, const std::string& json) {
  const merge::Value* const all = find(shown, list);
  if (all == nullptr || !all->is_array()) return 0;
  return static_cast<std::size_t>(std::count_if(all->items().begin(), all->items().end(),
                                                [&](const merge::Value& one) { return merge::to_json(one) == json; }));
}

std::size_t times_id(const merge::MaybeValue& shown, const std::string& id) {
  const merge::Value* const all = find(shown, "/items");
  if (all == nullptr || !all->is_array()) return 0;
  return static_cast<std::size_t>(std::count_if(all->items().begin(), all->items().end(), [&](const merge::Value& one) {
    const merge::Value* const own = one.is_object() ? one.find("id") : nullptr;
    return own != nullptr && own->is_string() && own->text() == id;
  }));
}

bool may_go(const DocumentName& name) { return name.key.back() == 'x'; }

std::string told(std::uint32_t number, const MadeEdit& edit) {
  return "edit " + std::to_string(number) + " of " + entity_of(edit.name) + edit.place;
}

}  // namespace

void DocumentWorld::fail(std::string what) const { world_.ledger_.fail(std::move(what)); }

// An edit is shown from its making until it is refused, with nothing in between.
void DocumentWorld::check_flicker(const Tab& tab) const {
  if (world_.faults_.uses(Fault::kRestore)) return;  // a restored server takes edits back until they are sent again
  const EditNumbers& rejected = world_.server_.documents().rejected;
  std::map<DocumentName, EditNumbers> held;
  for (const auto& [name, doc] : tab.docs->documents()) held[name] = doc.holds();
  for (const std::uint32_t number : tab.own) {
    const MadeEdit& edit = edits_.at(number);
    const Fate& fate = world_.ledger_.fates[number];
    if (rejected.contains(number) || fate.excused || fate.corrected) continue;
    if (!held[edit.name].contains(number)) return fail("documents: " + told(number, edit) + " is shown no more");
  }
}

// Of an edit that waits no longer a tab shows what has taken its place, as soon as that is stored here.
void DocumentWorld::check_dropped(std::size_t context, const Tab& tab, const WaitingEdit& edit) const {
  const Disk& disk = world_.devices_[world_.contexts_[context]->device]->disk;
  const auto number = numbers_.find({edit.name, edit.first});
  const auto stored = disk.records.find(holds_key(edit.name));
  const auto open = tab.docs->documents().find(edit.name);
  if (number == numbers_.end() || stored == disk.records.end() || open == tab.docs->documents().end()) return;
  if (decode_numbers(stored->second).contains(number->second) && !open->second.holds().contains(number->second))
    fail("documents: " + told(number->second, edits_.at(number->second)) + " is stored, and shown no more");
}

// Who is no member any more never hears what became of his last edits.
std::vector<std::string> DocumentWorld::spaces_of(const DeviceId& device) const {
  std::vector<std::string> names;
  for (const auto& [name, space] : world_.server_.documents().spaces)
    if (const auto at = space.members.find(device); at != space.members.end() && at->second != Role::kNone)
      names.push_back(name);
  return names;
}

bool DocumentWorld::drained() const {
  for (const auto& device : world_.devices_)
    for (const std::string& space : spaces_of(device->id))
      if (!device->disk.scan(waiting_range(space), 1).empty()) return false;
  for (const auto& [context, tab] : tabs_) {
    if (!awake(context)) continue;
    for (const std::string& name : spaces_of(world_.devices_[world_.contexts_[context]->device]->id)) {
      const Space& space = world_.server_.documents().spaces.at(name);
      const std::optional<SpaceCursor> cursor = tab.docs->stored_cursor(name);
      if (!cursor || cursor->n != space.head || cursor->sum != space.sum) return false;
    }
  }
  return true;
}

std::string DocumentWorld::left() const {
  const DocumentServer& server = world_.server_.documents();
  for (std::size_t i = 0; i < world_.devices_.size(); ++i)
    for (const engine::Put& record : world_.devices_[i]->disk.scan(waiting_range(), 100))
      for (const auto& [number, edit] : edits_) {
        const std::vector<std::string> spaces = spaces_of(world_.devices_[i]->id);
        if (edit_key(edit.name, edit.first) != record.key || std::ranges::find(spaces, edit.name.space) == spaces.end())
          continue;
        const auto& records = server.spaces.at(edit.name.space).records;
        const auto at = records.find(edit.name.key);
        return " " + told(number, edit) + " waits on device " + std::to_string(i) +
               (server.rejected.contains(number) ? ", refused" : "") +
               (at != records.end() && at->second.holds.contains(number) ? ", taken" : "");
      }
  return "";
}

void DocumentWorld::check() {
  const DocumentServer& server = world_.server_.documents();
  for (const auto& [context, tab] : tabs_) {
    if (!awake(context)) continue;
    const World::Device& device = *world_.devices_[world_.contexts_[context]->device];
    check_flicker(tab);
    for (const std::string& space : spaces_of(device.id))
      check_replica(device.disk, *tab.docs, space, "context " + std::to_string(context));
  }
  check_edits();
  for (const auto& [name, space] : server.spaces)
    for (const auto& [key, record] : space.records) check_document({name, key}, record);
}

// Byte-equal states, shown documents and conflict records, on disk and in memory.
void DocumentWorld::check_replica(const Disk& disk, const DocumentTab& docs, const std::string& space,
                                  const std::string& who) const {
  const DocumentServer& server = world_.server_.documents();
  const auto& records = server.spaces.at(space).records;
  for (const auto& [key, record] : records) {
    const DocumentName name{space, key};
    const auto stored = disk.records.find(state_key(name));
    if ((stored == disk.records.end() ? Bytes{} : stored->second) != record.body)
      return fail("documents: " + who + " has stored another " + entity_of(name));
  }
  for (const auto& [name, doc] : docs.documents()) {
    if (name.space != space) continue;
    if (doc.replica.pending() != 0) {
      std::string which;
      for (const auto& [first, number] : doc.pending) which += " " + std::to_string(number);
      return fail("documents: an edit of " + entity_of(name) + " waits for ever in " + who + ", numbers" + which);
    }
    const auto record = records.find(name.key);
    const Bytes body =
        record == records.end() || record->second.body.empty() ? merge::Document().bytes() : record->second.body;
    if (doc.replica.accepted().bytes() != body) return fail("documents: " + who + " holds another " + entity_of(name));
    const merge::Rules& rules = rules_from(server.schema_for(name));
    const merge::Shown here = doc.replica.view(rules);
    const merge::Shown there = merge::Document::open(body)->view(rules);
    std::map<std::string, std::string> conflicts;
    for (const merge::Record& one : here.records) conflicts[one.id] = merge::record_json(one);
    if (here.value != there.value || (record != records.end() && conflicts != record->second.conflicts))
      return fail("documents: " + who + " shows another " + entity_of(name));
  }
}

EditNumbers DocumentWorld::held_by(const Disk& disk, const std::string& space) const {
  EditNumbers held;
  for (const engine::Put& record : disk.scan(below(space_prefix('h', space)), 1'000))
    held.merge(decode_numbers(record.value));
  return held;
}

// Whatever was promised was taken or refused. What some device gave back to a restored server is there whatever has become of
// its writer's; only a refusal that came first may have made it void.
void DocumentWorld::check_edits() const {
  const DocumentServer& server = world_.server_.documents();
  for (const auto& [number, edit] : edits_) {
    if (edit.intent == Intent::kSeed) continue;
    const Fate& fate = world_.ledger_.fates[number];
    const bool due = due_.contains(number);
    if (!due && (!fate.accepted || fate.excused)) continue;
    const Space& space = server.spaces.at(edit.name.space);
    const auto record = space.records.find(edit.name.key);
    const bool taken = record != space.records.end() && record->second.holds.contains(number);
    if (due && !taken && !server.rejected.contains(number))
      return fail("documents: " + told(number, edit) + " was on a device when the server was restored, and is lost");
    if (!taken && !server.rejected.contains(number))
      return fail("documents: " + told(number, edit) + " was stored, and is lost");
  }
}

// Whether it was ever taken under other dots than those it was made with.
bool DocumentWorld::renamed(std::uint32_t number) const {
  const auto forms = books_.taken_as.find(number);
  return forms != books_.taken_as.end() &&
         std::any_of(forms->second.begin(), forms->second.end(),
                     [&](const auto& form) { return !form.contains(edits_.at(number).first); });
}

// Whether somebody wrote the place again who had seen this edit.
bool DocumentWorld::seen_since(std::uint32_t number, const MadeEdit& edit, const EditNumbers& applied) const {
  return std::any_of(applied.begin(), applied.end(), [&](std::uint32_t other) {
    const MadeEdit& later = edits_.at(other);
    return later.place == edit.place && later.intent == edit.intent && later.seen.contains(number);
  });
}

void DocumentWorld::check_document(const DocumentName& name, const DocumentRecord& record) const {
  if (!schema_of(name) || record.body.empty()) return;
  const merge::MaybeValue shown =
      merge::Document::open(record.body)->view(rules_from(world_.server_.documents().schema_for(name))).value;
  // An edit may stand on something that was refused: then there is nothing where it could be seen.
  bool made = false;
  std::int64_t count = 0;
  std::map<std::string, std::int64_t> quantities;
  for (const std::uint32_t number : record.holds) {
    const MadeEdit& edit = edits_.at(number);
    made |= edit.intent == Intent::kSeed;
    if (edit.intent == Intent::kCount) count += edit.by;
    if (edit.intent == Intent::kItem) quantities[edit.place] = 1;
  }
  if (!made) return;
  for (const std::uint32_t number : record.holds) {
    const MadeEdit& edit = edits_.at(number);
    const auto item = quantities.find(edit.place.substr(0, edit.place.find('/', std::string_view("/items/").size())));
    if (edit.place.starts_with("/items/") && item == quantities.end()) continue;
    check_edit(edit, number, shown, record.holds);
    if (edit.intent == Intent::kQuantity) item->second += edit.by;
  }
  if (may_go(name)) return;
  const merge::Value* const counter = find(shown, "/count");
  if (counter == nullptr || !counter->is_integer() || counter->as_integer() != count)
    return fail("documents: " + entity_of(name) + " counts " +
                (counter == nullptr ? "nothing" : merge::to_json(*counter)) + ", increments make " +
                std::to_string(count));
  for (const auto& [place, sum] : quantities) {
    const merge::Value* const quantity = find(shown, place + "/qty");
    if (quantity == nullptr || !quantity->is_integer() || quantity->as_integer() != sum)
      return fail("documents: " + entity_of(name) + place + " is " +
                  (quantity == nullptr ? "gone" : merge::to_json(*quantity)) + ", increments make " +
                  std::to_string(sum));
  }
}

void DocumentWorld::check_edit(const MadeEdit& edit, std::uint32_t number, const merge::MaybeValue& shown,
                               const EditNumbers& applied) const {
  const merge::Value* const here = find(shown, edit.place);
  const std::string id = edit.place.starts_with("/items/") ? edit.place.substr(7, edit.place.find('/', 7) - 7) : "";
  switch (edit.intent) {
    case Intent::kItem:
      if (times_id(shown, id) > 1) return fail("documents: " + told(number, edit) + " is there twice");
      break;
    case Intent::kTag:
      if (times_in(shown, "/tags", edit.value) > 1) return fail("documents: " + told(number, edit) + " is there twice");
      break;
    case Intent::kRemove:
    case Intent::kRemoveItem: {
      // Nothing comes back below a deletion but what somebody wrote who had not seen it, or made anew: a refused edit that is
      // sent again after the deletion was made is such a one. So is one that was sent again before, if a profile that went
      // back had shown it as it was at first.
      if (here == nullptr) return;
      const bool reason = std::any_of(applied.begin(), applied.end(), [&](std::uint32_t other) {
        const MadeEdit& one = edits_.at(other);
        const bool there =
            one.place == edit.place || one.place.starts_with(edit.place + "/") || one.intent == Intent::kMake;
        const Fate& fate = world_.ledger_.fates[other];
        const bool sent_again =
            fate.corrected_at > number || (fate.corrected && edit.seen_waiting.contains(other) && renamed(other));
        return other != number && there && one.intent != edit.intent && (!edit.seen.contains(other) || sent_again);
      });
      if (!reason) return fail("documents: what " + told(number, edit) + " removed is back");
      return;
    }
    default: break;
  }
  // Refused in one history its numbers are void there, and whoever writes next covers them; in another it was taken.
  if (may_go(edit.name) || books_.refused.contains(number)) return;
  const bool lost = [&] {
    switch (edit.intent) {
      case Intent::kItem: return times_id(shown, id) != 1;
      case Intent::kTag: return times_in(shown, "/tags", edit.value) != 1;
      case Intent::kMost:
        return (here == nullptr || here->as_integer() < edit.by) && !seen_since(number, edit, applied);
      case Intent::kLeast:
        return (here == nullptr || here->as_integer() > edit.by) && !seen_since(number, edit, applied);
      case Intent::kField:
        return !(here != nullptr && merge::to_json(*here) == edit.value) &&
               !books_.seen_conflicts.contains({edit.name, edit.place, edit.value}) &&
               !seen_since(number, edit, applied);
      default: return false;
    }
  }();
  if (lost) fail("documents: nothing explains where " + told(number, edit) + " has gone");
}

}  // namespace oas::sim
