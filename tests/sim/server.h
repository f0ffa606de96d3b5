// The server: the shipped session over a database that can crash, be restored, and be slow to settle.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/documents_server.h"
#include "sim/faults.h"
#include "sim/ledger.h"
#include "sync/server_session.h"

namespace oas::sim {

class Server {
 public:
  Server(Prng& prng, Faults& faults, Ledger& ledger) : prng_(&prng), faults_(&faults), ledger_(&ledger) {}

  struct Answer {
    std::uint16_t status{};  // 0 = the connection broke
    std::uint32_t retry_after_ms{};
    Bytes body;
  };
  // One request, all the way to its commit.
  Answer serve(ByteView request, Millis time);
  // Runs deferred events whose time has come.
  void release(Millis time);
  void back_up(Millis time);
  // The database as of the newest backup, under a greater incarnation.
  void restore(Millis time);

  void tell_deferred() const;
  void keep_dictionary(const DeviceId& device, const Bytes& packed) { now_.devices[device].dictionary = packed; }
  // Whatever a device has brought may be gone again.
  void lose_dictionaries() {
    for (auto& [id, device] : now_.devices) device.dictionary.clear();
  }
  // True when nothing waits any more.
  [[nodiscard]] bool quiet() const;
  // Everything committed before is in a backup.
  [[nodiscard]] Millis horizon() const { return horizon_; }
  [[nodiscard]] DocumentServer& documents() { return now_.documents; }
  [[nodiscard]] const DocumentServer& documents() const { return now_.documents; }
  [[nodiscard]] DocumentServer::Now documents_now(Millis time) const { return {incarnation_, time}; }
  [[nodiscard]] const Effects& effects() const { return now_.effects; }
  enum class Standing : std::uint8_t { kUnknown, kApplied, kDuplicate, kRejected, kDeferred, kVoid };
  [[nodiscard]] Standing standing(const DeviceId& device, const EventId& event) const;

 private:
  struct Stream {
    Watermark mark;
    std::vector<RollingHash> hashes;  // by number, from 1; {0} under a void
    std::map<std::uint64_t, sync::Verdict> verdicts;
    std::vector<sync::VoidRow> voids;
  };
  struct Kept {
    sync::DeferredRow row;
    std::string json;
    std::string entity;
    std::optional<EventId> replaces;
    bool recovered{};  // its place in the order is past
    Millis since;
  };
  struct Device {
    std::map<StreamId, Stream> streams;
    std::vector<Kept> deferred;
    std::vector<sync::LateVerdict> late;
    std::set<EventId> letters;  // open dead letters
    Bytes dictionary;  // packed
  };
  struct State {
    std::map<DeviceId, Device> devices;
    Effects effects;
    DocumentServer documents;
    std::set<std::uint64_t> contents;  // for a mutant only
  };

  static void tell_troubled(ByteView request, ByteView reply);
  static void mark_recovered(std::vector<sync::VoidRow>& voids, Sequence seq);
  // An event of a block.
  struct Packed {
    RollingHash hash;
    std::string json;
  };
  std::vector<Packed> events_of(const sync::PlannedBlock& block);
  Result<sync::ServerSession> with_dictionary(ByteView request, const DeviceId& device);
  bool is_asked(const sync::ServerSession& session);
  void take_blocks(const sync::ServerSession& session, Device& device);
  void run(sync::ServerSession& session, Device& device, Millis time);
  sync::Outcome run_event(const DeviceId& id, Device& device, const Kept& event, Millis time);
  sync::Rows rows_of(const sync::ServerSession& session, const Device& device) const;
  static void add_hashes(sync::StreamRow& row, const Stream& stream);
  static void add_rows(sync::StreamRow& row, const Stream& stream, const sync::StreamNeed& need);

  Prng* prng_;
  Faults* faults_;
  Ledger* ledger_;
  State now_;
  State backup_;
  Millis horizon_{};
  Incarnation incarnation_{{1}, 1};
};

}  // namespace oas::sim
