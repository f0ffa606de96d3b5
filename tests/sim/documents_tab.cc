#include "sim/documents_tab.h"

#include <utility>

#include "base/sim_points.h"
#include "queue/keys.h"
#include "queue/records.h"
#include "sim/faults.h"
#include "wire/segment.h"

namespace oas::sim {
namespace {

constexpr std::size_t kSegmentsMax = 100'000;

// Relaxed: the server has it all, and cursor and states are lost together or not at all.
engine::Persist from_cursor(const std::string& space, const std::optional<SpaceCursor>& before,
                            const SpaceCursor& after) {
  engine::Persist persist;
  persist.durability = Durability::kDurable;
  if (before) {
    persist.expects.push_back({engine::Expect::Kind::kEquals, cursor_key(space), encode_cursor(*before)});
  } else {
    persist.expects.push_back({engine::Expect::Kind::kAbsent, cursor_key(space), {}});
  }
  persist.puts.push_back({cursor_key(space), encode_cursor(after)});
  return persist;
}

void put_state(engine::Persist& persist, const DocumentName& name, Bytes state, const EditNumbers& holds) {
  persist.puts.push_back({state_key(name), std::move(state)});
  persist.puts.push_back({holds_key(name), encode_numbers(holds)});
}

Bytes record_at(const Disk& disk, const Bytes& key) {
  const auto at = disk.records.find(key);
  return at == disk.records.end() ? Bytes{} : at->second;
}

// Edits on their way to the server.
std::set<WaitingEdit> queued_edits(const Disk& disk) {
  std::set<WaitingEdit> queued;
  for (const engine::Put& record : disk.scan(below({'s', 'p'}), kSegmentsMax)) {
    const auto segment = wire::open_segment(record.value);
    Bytes rows;
    if (!segment || !wire::decode_rows(*segment, rows)) continue;  // numbers given up hold no edit
    for (wire::RowCursor cursor(segment->head, rows); !cursor.done();) {
      const auto row = cursor.next();
      if (!row) break;
      const auto edit = read_edit_event(as_text(row->event.json));
      const auto delta = edit ? merge::decode_delta(edit->delta) : Result<merge::Delta>();
      if (edit && delta && !delta->ops.empty()) queued.insert({edit->name, delta->ops.front().op.dot});
    }
  }
  return queued;
}

}  // namespace

void DocumentTab::Doc::note_shown() {
  shown = holds();
  shown_waiting.clear();
  for (const auto& [first, number] : pending) shown_waiting.insert(number);
}

EditNumbers DocumentTab::Doc::holds() const {
  EditNumbers all = accepted;
  for (const auto& [first, number] : pending) all.insert(number);
  return all;
}

std::uint32_t DocumentTab::number_of(const DocumentName& name, const merge::Dot& first) const {
  const auto at = numbers_->find({name, first});
  return at == numbers_->end() ? 0 : at->second;
}

DocumentTab::Doc& DocumentTab::open(const DocumentName& name) {
  const auto [at, fresh] = open_.try_emplace(name);
  if (fresh) read(name, at->second);
  return at->second;
}

void DocumentTab::read(const DocumentName& name, Doc& doc) const {
  documents::Replica stored = *documents::Replica::open(record_at(*disk_, state_key(name)));
  doc.accepted = decode_numbers(record_at(*disk_, holds_key(name)));
  doc.pending.clear();
  const auto join = [&](const merge::Dot& first, ByteView delta) {
    const auto known = stored.keep(delta);
    if (known && *known) forget_(one_record(edit_key(name, first)));
    if (known && !*known) doc.pending[first] = number_of(name, first);
  };
  for (const engine::Put& edit : disk_->scan(edit_range(name), documents::kPendingMax))
    join(edit_of_key(edit.key), edit.value);
  if (!OAS_MUTANT(kDocUnstoredForgotten))
    for (const auto& [first, delta] : doc.unstored) join(first, delta);
  doc.replica.refresh(std::move(stored));
}

const merge::Rules& DocumentTab::rules(const DocumentName& name) {
  const std::optional<DocumentName> schema = schema_of(name);
  if (!schema) return rules_from("");
  const merge::Shown shown = open(*schema).replica.view({});
  return rules_from(shown.value ? merge::to_json(*shown.value) : "");
}

const merge::Rules& DocumentTab::accepted_rules(const DocumentName& name) {
  const std::optional<DocumentName> schema = schema_of(name);
  if (!schema) return rules_from("");
  const merge::Shown shown = open(*schema).replica.accepted().view({});
  return rules_from(shown.value ? merge::to_json(*shown.value) : "");
}

merge::Shown DocumentTab::show(const DocumentName& name) {
  Doc& doc = open(name);
  doc.note_shown();
  doc.last = doc.replica.show(rules(name));
  return *doc.last;
}

merge::Shown DocumentTab::shown_last(const DocumentName& name) {
  const Doc& doc = open(name);
  return doc.last ? *doc.last : show(name);
}

void DocumentTab::edited(const DocumentName& name) {
  Doc& doc = open(name);
  doc.note_shown();
  doc.last = doc.replica.view(rules(name));
}

void DocumentTab::keep(const DocumentName& name, ByteView delta) {
  const auto at = open_.find(name);
  if (at == open_.end()) return;
  Doc& doc = at->second;
  const auto decoded = merge::decode_delta(delta);
  if (!decoded || decoded->ops.empty()) return;
  const merge::Dot first = decoded->ops.front().op.dot;
  if (const auto known = doc.replica.keep(delta); known && !*known) doc.pending[first] = number_of(name, first);
}

void DocumentTab::stored(const DocumentName& name, const merge::Dot& first) {
  const auto at = open_.find(name);
  if (at == open_.end()) return;
  at->second.unstored.erase(first);
}

void DocumentTab::drop(const DocumentName& name, const merge::Dot& first) {
  const auto at = open_.find(name);
  if (at == open_.end()) return;
  at->second.unstored.erase(first);
  at->second.pending.erase(first);
  (void)at->second.replica.drop(first);
}

std::vector<engine::KeyRange> DocumentTab::apply(const DocumentName& name, const DocumentChange& change) {
  // By the rules in force at this place of the order, so that all replicas fold alike.
  const merge::Rules& by = accepted_rules(name);
  Doc& doc = open(name);
  if (tracing)
    std::printf("      change of %s: %zu edits from %u, kind %d\n", entity_of(name).c_str(), change.numbers.size(),
                change.numbers.empty() ? 0 : *change.numbers.begin(), change.body.front());
  std::vector<engine::KeyRange> settled;
  if (const auto dots = doc.replica.accept(change.body, by)) {
    for (const merge::Dot& first : *dots) {
      doc.pending.erase(first);
      settled.push_back(one_record(edit_key(name, first)));
    }
  }
  doc.accepted.insert(change.numbers.begin(), change.numbers.end());
  return settled;
}

void DocumentTab::catch_up(const std::string& space, const SpaceCursor& stored) {
  if (const auto at = at_.find(space); at == at_.end() || at->second != stored) refresh(space);
}

engine::Persist DocumentTab::accept(const std::string& space, const SpaceCursor& before,
                                    const DocumentServer::Changes& page) {
  catch_up(space, before);
  at_.erase(space);
  engine::Persist persist = from_cursor(space, before, page.cursor);
  std::set<DocumentName> touched;
  for (const DocumentChange& change : page.rows) {
    const DocumentName name{space, change.key};
    for (engine::KeyRange& edit : apply(name, change)) persist.deletes.push_back(std::move(edit));
    touched.insert(name);
  }
  for (const DocumentName& name : touched) {
    if (OAS_MUTANT(kDocCursorWithoutStates)) break;
    const Doc& doc = open(name);
    put_state(persist, name, doc.replica.accepted().bytes(), doc.accepted);
  }
  return persist;
}

void DocumentTab::follow(const std::string& space, const SpaceCursor& before, const DocumentServer::Changes& page) {
  if (const auto at = at_.find(space); at == at_.end() || at->second != before) return refresh(space);
  at_.erase(space);
  for (const DocumentChange& change : page.rows)
    if (const DocumentName name{space, change.key}; open_.contains(name)) (void)apply(name, change);
  stands_at(space, page.cursor);
}

std::vector<WaitingEdit> DocumentTab::judged(const std::string& space) const {
  std::vector<WaitingEdit> waiting;
  for (const engine::Put& record : disk_->scan(waiting_range(space), documents::kPendingMax))
    waiting.push_back({name_of_record(record.key), edit_of_key(record.key)});
  // Of a deferred event, or one in a journal that nobody has taken over, the list of the queue says nothing.
  if (waiting.empty() || !disk_->scan(below({'s', 'd'}), 1).empty() || !disk_->scan(below({'s', 'j'}), 1).empty())
    return {};
  if (OAS_MUTANT(kDocQueuedTakenForJudged)) return waiting;
  const std::set<WaitingEdit> queued = queued_edits(*disk_);
  std::erase_if(waiting, [&queued](const WaitingEdit& edit) { return queued.contains(edit); });
  return waiting;
}

void DocumentTab::refresh(const std::string& space) {
  const std::optional<SpaceCursor> cursor = stored_cursor(space);
  for (auto& [name, doc] : open_)
    if (name.space == space) read(name, doc);
  if (cursor) {
    at_[space] = *cursor;
  } else {
    at_.erase(space);
  }
}

std::optional<SpaceCursor> DocumentTab::stored_cursor(const std::string& space) const {
  const auto at = disk_->records.find(cursor_key(space));
  if (at == disk_->records.end()) return std::nullopt;
  return decode_cursor(at->second);
}

bool DocumentTab::waits(const std::string& space) const { return !disk_->scan(waiting_range(space), 1).empty(); }

// In this order: whatever is taken out of what is settled is in the queue by then.
bool DocumentTab::has_resent(const Incarnation& server) const {
  const auto known = queue::read_record<queue::ServerState>(record_at(*disk_, queue::server_key()));
  const bool compared = known && known->incarnation == server && !known->verify;
  if (!compared && !disk_->scan(below({'s', 't'}), 1).empty()) return false;
  return disk_->scan(below(queue::pending_lane_prefix(Lane::kNormal)), 1).empty() &&
         disk_->scan(below({'s', 'd'}), 1).empty();
}

std::vector<Offer> lost_by(const Disk& disk, const std::string& space, const DocumentServer::Snapshot& snapshot) {
  std::map<std::string, const DocumentRecord*> now;
  for (const auto& [key, record] : snapshot.records) now[key] = &record;
  std::vector<Offer> offers;
  for (const engine::Put& stored : disk.scan(below(space_prefix('a', space)), kSegmentsMax)) {
    const DocumentName name = name_of_record(stored.key);
    const auto at = now.find(name.key);
    const DocumentRecord record = at == now.end() ? DocumentRecord{} : *at->second;
    const merge::Document there = record.body.empty() ? merge::Document() : *merge::Document::open(record.body);
    Bytes delta = documents::lost_by(*merge::Document::open(stored.value), there, snapshot.shared);
    if (delta.empty()) continue;
    EditNumbers numbers = decode_numbers(record_at(disk, holds_key(name)));
    for (const std::uint32_t number : record.holds) numbers.erase(number);
    offers.push_back({name.key, std::move(delta), std::move(numbers)});
  }
  return offers;
}

engine::Persist store_snapshot(const std::string& space, const std::optional<SpaceCursor>& before,
                               const DocumentServer::Snapshot& snapshot) {
  engine::Persist persist = from_cursor(space, before, snapshot.cursor);
  // What a restored server does not know is gone, as long as nobody makes it again.
  if (!OAS_MUTANT(kDocSnapshotKeepsUnknown))
    persist.deletes = {below(space_prefix('a', space)), below(space_prefix('h', space))};
  for (const auto& [key, record] : snapshot.records) put_state(persist, {space, key}, record.body, record.holds);
  return persist;
}

}  // namespace oas::sim
