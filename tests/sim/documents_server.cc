#include "sim/documents_server.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "sim/faults.h"
#include "sim/ledger.h"

namespace oas::sim {
namespace {

using merge::Document;

std::uint64_t sum_with(std::uint64_t before, std::uint64_t n, const std::string& key, ByteView body) {
  return before + hash64(body, hash64(as_bytes(key), n));
}

Role role_of(const Space& space, const DeviceId& device) {
  const auto at = space.members.find(device);
  return at == space.members.end() ? Role::kNone : at->second;
}

Document open_state(ByteView body) {
  if (body.empty()) return {};
  return *Document::open(body);
}

// Of the operations in a change of the order.
Books::Dots dots_in(ByteView change) {
  Books::Dots dots;
  if (change.empty()) return dots;
  const merge::Delta delta = *merge::decode_delta(change.subspan(1));
  for (const merge::PlacedOp& placed : delta.ops) dots.insert(placed.op.dot);
  return dots;
}

// Whether the space's history goes on from what the cursor has seen.
bool continues(const Space& space, const SpaceCursor& from) {
  if (from.n > space.head || (from.n == 0 && from.sum != 0)) return false;
  if (from.n == space.head) return from.sum == space.sum;
  const auto row = space.changes.find(std::max<std::uint64_t>(from.n, 1));
  return row != space.changes.end() && (from.n == 0 || row->second.sum == from.sum);
}

std::uint64_t least_cursor(const Space& space, Millis now, Millis replica_ms) {
  std::uint64_t least = space.head;
  for (const auto& [device, seen] : space.cursors)
    if (seen.at.value >= now.value - replica_ms.value) least = std::min(least, seen.n);
  return least;
}

// The last change before the first that came after `time`.
std::uint64_t last_before(const Space& space, std::int64_t time) {
  for (const auto& [n, change] : space.changes)
    if (change.received_at.value > time) return n - 1;
  return space.head;
}

}  // namespace

std::uint64_t Space::shared_with(const Incarnation& older) const {
  std::uint64_t shared = head;
  for (const auto& [incarnation, from] : began)
    if (older.minted_at < incarnation.minted_at) shared = std::min(shared, from);
  return shared;
}

std::string DocumentServer::schema_for(const DocumentName& name) const {
  const std::optional<DocumentName> schema = schema_of(name);
  if (!schema) return "";
  const Space& space = spaces.at(name.space);
  const auto record = space.records.find(schema->key);
  if (record == space.records.end()) return "";
  const merge::Shown shown = open_state(record->second.body).view({});
  return shown.value ? merge::to_json(*shown.value) : "";
}

sync::Outcome DocumentServer::take(const DeviceId& device, const EditEvent& edit, bool again, const Now& now) {
  const auto at = spaces.find(edit.name.space);
  const Role role = at == spaces.end() ? Role::kNone : role_of(at->second, device);
  if (role != Role::kWriter) {
    rejected.insert(edit.number);
    const ErrorCode code = role == Role::kNone ? ErrorCode::kNotAMember : ErrorCode::kReadOnly;
    return {sync::VerdictKind::kRejected, static_cast<std::uint16_t>(code)};
  }
  Space& space = at->second;
  if (is_poison(edit.number) && !again) return refuse(space, edit, ErrorCode::kInvalidDocument, now);
  DocumentRecord& record = space.records[edit.name.key];
  const merge::Stamp stamp{now.incarnation, space.head + 1, now.time};
  Document document = open_state(record.body);
  auto judgement = documents::judge(document, edit.delta, stamp);
  if (!judgement && judgement.error().code == ErrorCode::kStaleEdit && !again) {
    // The edit does not say itself that its writer had seen what is folded; the device may have said so. What it says now
    // tells nothing of an edit that lay in a dead letter.
    const auto seen = space.cursors.find(device);
    document = open_state(record.body);
    judgement = documents::judge(document, edit.delta, stamp, seen == space.cursors.end() ? 0 : seen->second.n);
  }
  if (!judgement) return refuse(space, edit, judgement.error().code, now);
  rejected.erase(edit.number);
  if (judgement->changed) {
    if (tracing) {
      const merge::MaybeValue before = open_state(record.body).view(rules_from(schema_for(edit.name))).value;
      const merge::MaybeValue after = document.view(rules_from(schema_for(edit.name))).value;
      std::printf("      change %llu of %s: edit %u makes %s\n      of %s\n",
                  static_cast<unsigned long long>(space.head + 1), entity_of(edit.name).c_str(), edit.number,
                  after ? merge::to_json(*after).c_str() : "nothing",
                  before ? merge::to_json(*before).c_str() : "nothing");
    }
    books->taken_as[edit.number].insert(dots_in(judgement->change));
    append(space, edit.name.key, judgement->change, {edit.number}, now);
    ++record.edits;
    record.holds.insert(edit.number);
    keep(edit.name, record, document);
  }
  return {sync::VerdictKind::kApplied, 0};
}

// What is refused is said in the change order, too: its numbers are void, and replicas stop waiting for them.
sync::Outcome DocumentServer::refuse(Space& space, const EditEvent& edit, ErrorCode code, const Now& now) {
  rejected.insert(edit.number);
  books->refused.insert(edit.number);
  DocumentRecord& record = space.records[edit.name.key];
  Document document = open_state(record.body);
  const auto voided = documents::void_change(document, edit.delta);
  if (voided && !voided->empty()) {
    (void)documents::apply_change(document, *voided, rules_from(schema_for(edit.name)));
    append(space, edit.name.key, *voided, {}, now);
    ++record.edits;
    keep(edit.name, record, document);
  }
  return {sync::VerdictKind::kRejected, static_cast<std::uint16_t>(code)};
}

DocumentServer::Repair DocumentServer::repair(const DeviceId& device, const std::string& name,
                                              const Comparison& compared, const std::vector<Offer>& offers,
                                              const Now& now) {
  // Restored once more since: there is another snapshot to compare with.
  if (compared.snapshot.incarnation != now.incarnation) return {.whole = false, .expired = true, .wrong = {}};
  // Of a history that goes on nothing can be lost: what is not there was taken away on purpose.
  if (!(compared.before.incarnation.minted_at < now.incarnation.minted_at)) return {};
  const auto at = spaces.find(name);
  if (at == spaces.end() || role_of(at->second, device) != Role::kWriter) return {.whole = false, .wrong = {}};
  Repair all;
  for (const Offer& offer : offers) {
    const std::uint64_t known = std::min(compared.snapshot.n, at->second.shared_with(compared.before.incarnation));
    Repair one = mend(at->second, device, {name, offer.key}, known, offer, now);
    all.whole &= one.whole;
    all.taken |= one.taken;
    if (all.wrong.empty()) all.wrong = std::move(one.wrong);
  }
  return all;
}

DocumentServer::Repair DocumentServer::mend(Space& space, const DeviceId& device, const DocumentName& name,
                                            std::uint64_t compared, const Offer& offer, const Now& now) {
  const auto known = space.records.find(name.key);
  const DocumentRecord before = known == space.records.end() ? DocumentRecord{} : known->second;
  const merge::Stamp stamp{now.incarnation, space.head + 1, now.time};
  Document document = open_state(before.body);
  auto judgement = documents::mend(document, offer.delta, stamp);
  if (!judgement && judgement.error().code == ErrorCode::kStaleEdit) {
    const auto seen = space.cursors.find(device);
    document = open_state(before.body);
    // What was folded since the snapshot was read may be what is offered: by then its dots are forgotten.
    judgement = documents::mend(document, offer.delta, stamp,
                                seen == space.cursors.end() ? 0 : std::min(seen->second.n, compared));
  }
  if (tracing)
    std::printf("      repair of %s, compared up to %llu: %s\n", entity_of(name).c_str(),
                static_cast<unsigned long long>(compared),
                judgement ? (judgement->changed ? "taken" : "known") : error_info(judgement.error().code).name.data());
  Repair out;
  if (!judgement) {
    out.whole = false;
    if (judgement.error().code != ErrorCode::kStaleEdit)
      out.wrong = "is refused: " + std::string(error_info(judgement.error().code).name);
  } else {
    out.taken = judgement->changed;
    EditNumbers numbers = brought(before.holds, offer, judgement->change, out.wrong);
    if (judgement->changed) {
      DocumentRecord& record = space.records[name.key];
      record.holds.insert(numbers.begin(), numbers.end());
      ++record.edits;
      append(space, name.key, judgement->change, std::move(numbers), now);
      keep(name, record, document);
    }
  }
  if (!out.wrong.empty()) out.wrong = "documents: what a replica gives back of " + entity_of(name) + " " + out.wrong;
  return out;
}

// By what the replica should have had and the record has, whatever the merge core makes of it.
EditNumbers DocumentServer::brought(const EditNumbers& held, const Offer& offer, ByteView change,
                                    std::string& wrong) const {
  const auto& taken_as = books->taken_as;
  Books::Dots dots = dots_in(change);
  EditNumbers numbers;
  for (const std::uint32_t number : offer.numbers) {
    const std::set<Books::Dots>& forms = taken_as.at(number);
    const auto form = std::find_if(forms.begin(), forms.end(), [&](const Books::Dots& one) {
      return std::includes(dots.begin(), dots.end(), one.begin(), one.end());
    });
    if (form != forms.end()) {
      if (held.contains(number)) wrong = "brings edit " + std::to_string(number) + " twice";
      numbers.insert(number);
      for (const merge::Dot& dot : *form) dots.erase(dot);
      continue;
    }
    // Others have seeded the same; a refusal in this history has made its dots void.
    const bool here = held.contains(number) || std::any_of(held.begin(), held.end(), [&](std::uint32_t other) {
                        return taken_as.at(other) == forms;
                      });
    if (!here && !rejected.contains(number)) wrong = "comes without edit " + std::to_string(number);
  }
  if (!dots.empty()) wrong = "brings what nobody has told of";
  return numbers;
}

void DocumentServer::append(Space& space, const std::string& key, Bytes body, EditNumbers numbers, const Now& now) {
  if (space.began.empty() || space.began.back().first != now.incarnation)
    space.began.emplace_back(now.incarnation, space.head);
  space.sum = sum_with(space.sum, ++space.head, key, body);
  space.changes[space.head] = {key, std::move(body), space.sum, now.time, std::move(numbers)};
}

void DocumentServer::keep(const DocumentName& name, DocumentRecord& record, const Document& document) {
  record.body = document.bytes();
  record.conflicts.clear();
  for (const merge::Record& one : document.view(rules_from(schema_for(name))).records) {
    record.conflicts[one.id] = merge::record_json(one);
    for (const merge::Sibling& sibling : one.siblings)
      if (sibling.value)
        books->seen_conflicts.insert({name, merge::pointer_of(one.path), merge::to_json(*sibling.value)});
  }
}

DocumentServer::Page DocumentServer::changes_after(const DeviceId& device, const std::string& name,
                                                   const SpaceCursor& from, const Incarnation& incarnation,
                                                   std::size_t rows_max) const {
  const auto at = spaces.find(name);
  if (at == spaces.end() || role_of(at->second, device) == Role::kNone) return Stranger{};
  const Space& space = at->second;
  if (from.incarnation != incarnation || !continues(space, from)) return Expired{};
  Changes page{.cursor = from, .more = false, .rows = {}};
  for (auto row = space.changes.upper_bound(from.n); row != space.changes.end() && page.rows.size() < rows_max; ++row) {
    page.rows.push_back(row->second);
    page.cursor.n = row->first;
    page.cursor.sum = row->second.sum;
  }
  page.more = page.cursor.n < space.head;
  return page;
}

std::optional<DocumentServer::Snapshot> DocumentServer::snapshot(const DeviceId& device, const std::string& name,
                                                                 const std::string& after,
                                                                 const std::optional<SpaceCursor>& before,
                                                                 const Incarnation& incarnation,
                                                                 std::size_t rows_max) const {
  const auto at = spaces.find(name);
  if (at == spaces.end() || role_of(at->second, device) == Role::kNone) return std::nullopt;
  const Space& space = at->second;
  Snapshot page{.cursor = {incarnation, space.head, space.sum},
                .shared = before ? space.shared_with(before->incarnation) : 0,
                .records = {},
                .next = std::nullopt};
  for (auto record = space.records.upper_bound(after); record != space.records.end(); ++record) {
    if (page.records.size() == rows_max) {
      page.next = page.records.back().first;
      break;
    }
    page.records.emplace_back(*record);
  }
  return page;
}

void DocumentServer::note(const DeviceId& device, const std::string& name, std::uint64_t n, Millis time) {
  const auto at = spaces.find(name);
  // A replica may have been rolled back: its cursor is what it says now.
  if (at != spaces.end() && at->second.head > 0) at->second.cursors[device] = {n, time};
}

void DocumentServer::fold(const Now& now, const FoldLimits& limits) {
  for (auto& [name, space] : spaces) {
    const std::uint64_t cut =
        std::min(least_cursor(space, now.time, limits.replica_ms), last_before(space, limits.horizon.value));
    for (auto& [key, record] : space.records)
      if (record.edits > limits.unfolded_max) fold_record(space, {name, key}, cut, now);
    trim(space, now, limits);
  }
}

void DocumentServer::fold_record(Space& space, const DocumentName& name, std::uint64_t cut, const Now& now) {
  DocumentRecord& record = space.records[name.key];
  if (record.body.empty()) return;
  Document document = open_state(record.body);
  const std::uint64_t reached = document.compact(cut, rules_from(schema_for(name)));
  if (reached == 0 || document.bytes() == record.body) return;
  if (tracing)
    std::printf("      change %llu of %s: fold to %llu\n", static_cast<unsigned long long>(space.head + 1),
                entity_of(name).c_str(), static_cast<unsigned long long>(reached));
  append(space, name.key, documents::encode_fold(cut), {}, now);
  record.edits = 0;
  keep(name, record, document);
}

// The row at the cut stays: a cursor is checked against it.
void DocumentServer::trim(Space& space, const Now& now, const FoldLimits& limits) {
  const std::uint64_t kept =
      std::min(last_before(space, std::min(now.time.value - limits.replica_ms.value, limits.horizon.value)),
               least_cursor(space, now.time, limits.replica_ms));
  space.changes.erase(space.changes.begin(), space.changes.lower_bound(kept));
}

}  // namespace oas::sim
