// What the server's session keeps while it decides. For server_*.cc only.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "sync/server_session.h"

namespace oas::sync {

// One pushed thing, opened.
struct OpenItem {
  StreamId stream;
  Sequence first;
  Sequence last;
  RollingHash before;
  RollingHash after;
  std::optional<VoidRange> hole;
  struct Row {
    RollingHash hash;
    wire::EventView event;
    std::uint16_t refused{};
  };
  std::vector<Row> rows;
  Bytes bytes;  // decoded rows; the events' views point here
  ByteView segment;  // as pushed; empty for a void
  bool alone{true};  // the segment is readable without a dictionary
  bool undecodable{};

  [[nodiscard]] RollingHash hash_at(Sequence seq) const {
    return seq.value + 1 == first.value ? before : rows[static_cast<std::size_t>(seq.value - first.value)].hash;
  }
};

// A stream while its items are decided.
struct Progress {
  StreamRow row;
  StreamState state;
  StreamStatus status{StreamStatus::kOk};
  Watermark mark;  // where the stream stands after what has been planned so far
  bool stopped{};
  std::vector<VoidRow> new_voids;
};

inline const Watermark* find_hash(const std::vector<Watermark>& hashes, Sequence seq) {
  const auto at = std::find_if(hashes.begin(), hashes.end(), [seq](const Watermark& mark) { return mark.seq == seq; });
  return at == hashes.end() ? nullptr : &*at;
}

struct ServerSession::Impl {
  Bytes bytes;
  std::uint64_t nonce = 0;
  SyncRequest request;
  std::vector<OpenItem> items;
  std::vector<StreamNeed> needs;
  std::uint64_t missing_dictionary = 0;
  std::map<std::uint32_t, std::map<std::uint32_t, std::vector<EventId>>> deps;  // item → entity → what comes first

  std::map<StreamId, Progress> progress;
  std::map<StreamId, Sequence> dep_marks;
  std::map<StreamId, Sequence> judged;  // the same before this push, and voids, which are final at once
  std::set<EventId> deferred;           // of earlier pushes
  std::vector<LateVerdict> late;
  // While planning: entities with deferred events, each with what its oldest one waits for.
  std::map<std::uint32_t, std::vector<EventId>> oldest_waiting;
  std::set<std::uint32_t> failed_entities;   // of events that were run and came back deferred
  std::uint32_t deferred_count = 0;
  bool take_blocks = false;
  std::vector<PlannedEvent> planned;
  std::vector<PlannedBlock> blocks;
  std::deque<Bytes> sealed_again;  // what the blocks' segments point to where the pushed ones need a dictionary
  std::vector<Outcome> outcomes;
  std::vector<VoidWrite> voids;
  std::vector<EventId> recovered;
  std::optional<HashProbe> probe;

  void list_needs();
  void start_stream(const StreamState& state, StreamRow row);
  void plan_item(std::uint32_t index);
  void plan_known(Progress& at, const OpenItem& item, std::uint32_t index);
  void plan_hole(Progress& at, const OpenItem& item);
  bool plan_event(Progress& at, const OpenItem& item, std::uint32_t index, Sequence seq, bool is_recovered);
  bool plan_block(const OpenItem& item);
  void keep_in(PlannedBlock& block, const OpenItem& item);
  void fork(Progress& at, const OpenItem& item);
  bool waits_for_stopped(std::uint32_t index) const;
  bool held_back(std::uint32_t entity, const EventId& event) const;
  std::vector<EventId> open_deps(std::uint32_t index, std::uint32_t entity) const;
  StreamAnswer answer(const StreamState& state) const;
  std::vector<Verdict> verdicts_of(const Progress& at) const;
  std::optional<RollingHash> known_hash(const Progress& at, Sequence seq) const;
};

}  // namespace oas::sync
