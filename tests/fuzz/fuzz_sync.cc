// The server's session against a hostile device, and both messages against arbitrary bytes. Watermarks never go back, no number
// is planned twice, and every answer can be read. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "fuzz/feed.h"
#include "sync/server_session.h"
#include "wire/frame.h"
#include "wire/segment.h"

namespace {

using namespace oas;
using namespace oas::sync;
using fuzz::Feed;
using fuzz::require;

constexpr std::uint64_t kNonce = 0x4F4153;

Bytes framed(wire::FrameKind kind, ByteView payload) {
  Bytes out;
  wire::begin_frame(out, kind, kNonce);
  wire::Writer(out).raw(payload);
  wire::finish_frame(out);
  return out;
}

void fuzz_request(ByteView bytes) {
  const Result<OpenedRequest> opened = read_request(bytes);
  if (!opened) return;
  Bytes again;
  write_request(again, opened->nonce, opened->request);
  require(as_text(again) == as_text(bytes));
}

void fuzz_reply(ByteView bytes) {
  const Result<SyncReply> reply = read_reply(bytes, kNonce);
  if (!reply) return;
  Bytes again;
  write_reply(again, kNonce, *reply);
  require(as_text(again) == as_text(bytes));
}

StreamId stream_of(Feed& feed) { return {{1ULL + feed.below(3)}, static_cast<Lane>(feed.below(kLaneCount))}; }

// Rows as a database could hold them: the stream's own chain, somebody else's, or next to nothing.
Rows rows_for(Feed& feed, const ServerSession& session, const SyncRequest& request) {
  Rows rows{.incarnation = {{feed.below(2)}, 0}};
  for (const StreamNeed& need : session.needs()) {
    StreamRow row{.stream = need.stream};
    const std::uint8_t how = feed.u8();
    if (how % 4 == 1) row.mark = {{feed.magnitude() >> 8}, {feed.u64()}};
    for (const StreamState& state : request.streams)
      if (state.stream == need.stream && how % 4 >= 2) row.mark = how % 4 == 2 ? state.stored : state.last;
    for (const Sequence seq : need.hashes_at)
      if (seq <= row.mark.seq && feed.below(2) == 0) row.hashes.push_back({seq, {feed.u64()}});
    for (Sequence seq = need.stored; seq < row.mark.seq && row.verdicts.size() < feed.below(8);) {
      seq.value += std::min(row.mark.seq.value - seq.value, 1 + feed.magnitude());
      row.verdicts.push_back({seq, static_cast<VerdictKind>(feed.below(5)), feed.u8()});
    }
    if (feed.below(3) == 0 && row.mark.seq.value > 0) {
      const std::uint64_t from = 1 + feed.magnitude() % row.mark.seq.value;
      row.voids.push_back({{from},
                           {std::min(row.mark.seq.value, from + feed.below(9))},
                           static_cast<VoidReason>(feed.below(5)),
                           feed.below(2) == 0});
    }
    rows.streams.push_back(std::move(row));
  }
  for (std::uint32_t n = feed.below(4); n > 0; --n)
    rows.deferred.push_back(
        {{stream_of(feed), {feed.magnitude()}}, feed.below(3), {{stream_of(feed), {feed.magnitude()}}}});
  for (std::uint32_t n = feed.below(3); n > 0; --n)
    rows.late.push_back({session.late_seen() + n, {stream_of(feed), {feed.magnitude()}}, VerdictKind::kApplied, 0});
  return rows;
}

void fuzz_session(Feed& feed, ByteView bytes) {
  Result<ServerSession> session = ServerSession::open(bytes);
  if (!session) return;
  const Result<OpenedRequest> opened = read_request(bytes);
  require(opened.has_value());
  const bool take_blocks = feed.below(2) == 1;
  session->plan(rows_for(feed, *session, opened->request), take_blocks);
  if (session->probe()) session->plan(rows_for(feed, *session, opened->request), take_blocks);
  std::set<EventId> seen;
  for (std::uint32_t i = 0; i < session->planned().size(); ++i) {
    require(seen.insert(session->planned()[i].id).second);
    if (session->still_runs(i)) session->outcome(i, {static_cast<VerdictKind>(feed.below(5)), feed.u8()});
  }
  for (const PlannedBlock& block : session->blocks()) {
    require(take_blocks && block.stream.lane == Lane::kAnalytics);
    std::uint64_t events = 0;
    for (const PlannedBlock::Segment& segment : block.segments)
      for (Sequence seq = segment.first; seq <= segment.last; ++seq.value, ++events)
        require(seen.insert({block.stream, seq}).second);
    std::uint64_t counted = 0;
    for (const PlannedBlock::Group& group : block.groups) counted += group.count;
    require(events == block.hashes.size() && events == counted);
  }
  for (const StreamWrite& write : session->writes().streams) require(write.before.seq < write.after.seq);
  const Bytes reply = session->reply({.incarnation = {{1}, 1}, .credit = feed.u16()});
  const Result<SyncReply> read = read_reply(reply, opened->nonce);
  require(read.has_value());
  for (const StreamAnswer& answer : read->streams)
    for (const Verdict& verdict : answer.verdicts) require(verdict.seq <= answer.mark.seq);
}

// A device that knows the format: chains of true segments and voids, then bent behind right checksums.
void fuzz_device(Feed feed) {
  SyncRequest request;
  request.known = {{feed.below(2)}, 0};
  std::vector<Bytes> kept;
  kept.reserve(32);
  for (std::uint32_t n = 1 + feed.below(4); n > 0; --n) {
    const StreamId stream = stream_of(feed);
    if (!request.streams.empty() && stream <= request.streams.back().stream) continue;
    StreamState state{stream, {{feed.below(4)}, {feed.below(2)}}, {}};
    Watermark at = state.stored;
    for (std::uint32_t items = feed.below(4); items > 0; --items) {
      if (feed.below(4) == 0) {
        const Sequence to{at.seq.value + 1 + (feed.magnitude() >> 12)};
        request.items.push_back({.segment = {},
                                 .hole = {stream,
                                          {at.seq.value + 1},
                                          to,
                                          static_cast<VoidReason>(feed.below(5)),
                                          at.hash,
                                          void_hash(at.hash, {at.seq.value + 1}, to)}});
        at = {to, request.items.back().hole.hash_after};
        continue;
      }
      wire::SegmentBuilder builder(stream, {at.seq.value + 1}, at.hash);
      for (std::uint32_t events = 1 + feed.below(4); events > 0; --events) {
        static constexpr std::string_view kEntities[] = {"", "a", "b"};
        wire::EventView event{.hlc = {feed.u8()},
                              .type = "t",
                              .module = {},
                              .entity = kEntities[feed.below(3)],
                              .dedupe_key = {},
                              .replaces = {},
                              .json = as_bytes(feed.below(5) == 0 ? "{" : "{}")};
        if (feed.below(4) == 0) event.replaces = EventId{stream_of(feed), {feed.below(8)}};
        builder.add(event);
      }
      at = {{at.seq.value + builder.count()}, builder.hash()};
      for (wire::SealedSegment& one : builder.seal()) {
        if (feed.below(6) == 0) fuzz::bend(feed, one.bytes);
        kept.push_back(std::move(one.bytes));
        request.items.push_back({.segment = kept.back(), .hole = {}});
      }
    }
    state.last = at;
    request.streams.push_back(state);
  }
  const auto items = static_cast<std::uint32_t>(request.items.size());
  for (std::uint32_t n = items == 0 ? 0 : feed.below(5); n > 0; --n)
    request.deps.push_back({feed.below(items),
                            feed.below(2) == 0 ? entity_hash(as_bytes("a")) : feed.below(3),
                            stream_of(feed),
                            {feed.below(9)}});
  Bytes bytes;
  write_request(bytes, kNonce, request);
  if (feed.below(4) == 0) fuzz::bend(feed, bytes);
  fuzz_request(bytes);
  fuzz_session(feed, bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Feed feed(ByteView(data, size));
  switch (feed.below(5)) {
    case 0: fuzz_request(feed.rest()); break;
    case 1: fuzz_request(framed(wire::FrameKind::kSyncRequest, feed.rest())); break;
    case 2: fuzz_reply(framed(wire::FrameKind::kSyncReply, feed.rest())); break;
    default: fuzz_device(feed); break;
  }
  return 0;
}
