#include "sync/server_session.h"

#include <utility>

#include "base/limits.h"
#include "sync/server_state.h"
#include "wire/json_check.h"
#include "wire/segment.h"

namespace oas::sync {
namespace {

std::uint16_t refusal(const wire::EventView& event) {
  const Result<void> envelope = wire::check_envelope(event);
  if (!envelope) return static_cast<std::uint16_t>(envelope.error().code);
  const Result<void> json = wire::check_json(event.json);
  return json ? std::uint16_t{0} : static_cast<std::uint16_t>(json.error().code);
}

// Checksum, head, rows and JSON. A body that cannot be decoded concerns its stream only.
Result<OpenItem> open_item(const Item& item, wire::Dictionaries dictionaries, std::uint64_t& missing) {
  OpenItem open;
  if (item.segment.empty()) {
    const VoidRange& hole = item.hole;
    open.stream = hole.stream;
    open.first = hole.from;
    open.last = hole.to;
    open.before = hole.hash_before;
    open.after = hole.hash_after;
    open.hole = hole;
    return open;
  }
  OAS_TRY(const wire::SegmentView segment, wire::open_segment(item.segment));
  open.segment = item.segment;
  open.stream = segment.head.stream;
  open.first = segment.head.first;
  open.last = segment.head.last();
  open.before = segment.head.hash_before;
  open.after = segment.head.hash_after;
  open.alone = segment.head.codec < wire::Codec::kRowsLz4Dictionary;
  if (const Result<void> decoded = wire::decode_rows(segment, open.bytes, dictionaries); !decoded) {
    if (decoded.error().code == ErrorCode::kMissingDictionary) missing = decoded.error().detail;
    open.undecodable = true;
    return open;
  }
  wire::RowCursor cursor(segment.head, open.bytes);
  open.rows.reserve(segment.head.count);
  while (!cursor.done()) {
    const Result<wire::RowCursor::Row> row = cursor.next();
    if (!row) {
      open.undecodable = true;
      break;
    }
    open.rows.push_back({row->hash, row->event, refusal(row->event)});
  }
  return open;
}

}  // namespace

// --- opening ----------------------------------------------------------------------------------------------------------

Result<ServerSession> ServerSession::open(ByteView request, wire::Dictionaries dictionaries) {
  ServerSession session(new Impl);
  Impl& impl = *session.impl_;
  impl.bytes = to_bytes(request);
  OAS_TRY(OpenedRequest opened, read_request(impl.bytes));
  impl.nonce = opened.nonce;
  impl.request = std::move(opened.request);
  std::uint64_t decoded = 0;
  for (const Item& item : impl.request.items) {
    OAS_TRY(OpenItem open, open_item(item, dictionaries, impl.missing_dictionary));
    decoded += open.bytes.size();
    if (decoded > kPushDecodedBytesMax) return fail(ErrorCode::kLimit, kPushDecodedBytesMax);
    const auto named = std::find_if(impl.request.streams.begin(), impl.request.streams.end(),
                                    [&open](const StreamState& state) { return state.stream == open.stream; });
    if (named == impl.request.streams.end()) return fail(ErrorCode::kMalformed, 0);
    impl.items.push_back(std::move(open));
  }
  for (const Dep& dep : impl.request.deps) impl.deps[dep.item][dep.entity].push_back({dep.stream, dep.seq});
  impl.list_needs();
  return session;
}

void ServerSession::Impl::list_needs() {
  for (const StreamState& state : request.streams) {
    StreamNeed need{.stream = state.stream, .stored = state.stored.seq, .hashes_at = {}};
    if (state.stored.seq.value > 0) need.hashes_at.push_back(state.stored.seq);
    for (const OpenItem& item : items)
      if (item.stream == state.stream) need.hashes_at.push_back(item.last);
    std::sort(need.hashes_at.begin(), need.hashes_at.end());
    need.hashes_at.erase(std::unique(need.hashes_at.begin(), need.hashes_at.end()), need.hashes_at.end());
    needs.push_back(std::move(need));
  }
  std::set<StreamId> named;
  for (const StreamNeed& need : needs) named.insert(need.stream);
  const auto look_at = [&](StreamId stream) {
    if (named.insert(stream).second && needs.size() < 2 * kPushStreamsMax)
      needs.push_back({.stream = stream, .stored = {}, .hashes_at = {}, .mark_only = true});
  };
  for (const OpenItem& item : items)
    for (const OpenItem::Row& row : item.rows)
      if (row.event.replaces) look_at(row.event.replaces->stream);
  for (const Dep& dep : request.deps) look_at(dep.stream);
  // One lock order for every push of a device.
  std::sort(needs.begin(), needs.end(), [](const StreamNeed& a, const StreamNeed& b) { return a.stream < b.stream; });
}

ServerSession::ServerSession(Impl* impl) : impl_(impl) {}
ServerSession::ServerSession(ServerSession&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
ServerSession& ServerSession::operator=(ServerSession&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
ServerSession::~ServerSession() { delete impl_; }

DeviceId ServerSession::device() const { return impl_->request.device; }
std::uint64_t ServerSession::late_seen() const { return impl_->request.late_seen; }
const std::vector<StreamNeed>& ServerSession::needs() const { return impl_->needs; }
std::uint64_t ServerSession::missing_dictionary() const { return impl_->missing_dictionary; }
const std::vector<PlannedEvent>& ServerSession::planned() const { return impl_->planned; }
const std::vector<PlannedBlock>& ServerSession::blocks() const { return impl_->blocks; }
const std::optional<HashProbe>& ServerSession::probe() const { return impl_->probe; }

bool ServerSession::plain() const {
  const Impl& impl = *impl_;
  if (impl.probe || !impl.voids.empty() || !impl.recovered.empty() || impl.planned.size() + impl.blocks.size() == 0)
    return false;
  return std::all_of(impl.planned.begin(), impl.planned.end(), [](const PlannedEvent& one) {
    return one.run && one.refused == 0 && !one.recovered && one.event.dedupe_key.empty() && !one.event.replaces;
  });
}

// --- outcomes -------------------------------------------------------------------------------------------------------------

bool ServerSession::still_runs(std::uint32_t index) const {
  const PlannedEvent& event = impl_->planned[index];
  if (!event.run || event.refused != 0) return false;
  return event.entity == 0 || !impl_->failed_entities.contains(event.entity);
}

void ServerSession::outcome(std::uint32_t index, Outcome outcome) {
  const PlannedEvent& event = impl_->planned[index];
  if (outcome.kind == VerdictKind::kDeferred && event.entity != 0 && event.run)
    impl_->failed_entities.insert(event.entity);
  impl_->outcomes[index] = outcome;
}

Writes ServerSession::writes() const {
  Writes writes;
  for (const auto& [stream, at] : impl_->progress) {
    const bool moved = at.status != StreamStatus::kFork && at.mark != at.row.mark;
    if (moved) writes.streams.push_back({stream, at.row.mark, at.mark});
  }
  for (std::uint32_t i = 0; i < impl_->planned.size(); ++i) writes.events.push_back(i);
  writes.voids = impl_->voids;
  writes.recovered = impl_->recovered;
  return writes;
}

}  // namespace oas::sync
