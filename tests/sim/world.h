// One simulated world: devices with tabs, one server, a network, and time. A seed decides everything.
//
// Only I/O is simulated. Engine and server session are the shipped objects; a context does what the TypeScript host does:
// one transaction at a time, a lost instance is rebuilt under a new epoch after its transaction has ended, calls that it
// had not stored are given to the next one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "engine/engine.h"
#include "sim/disk.h"
#include "sim/faults.h"
#include "sim/ledger.h"
#include "sim/server.h"

namespace oas::sim {

class DocumentWorld;

enum class Mode : std::uint8_t {
  kSafety,  // faults for 150 s, then quiet: nothing lost, nothing doubled, nothing out of order, nothing left behind
  kLiveness,  // short storms; after each everything drains within the bound, whatever stays broken for ever
};

struct DocumentOptions {
  bool edited = false;  // people edit documents too; that is another world
  bool folds = false;  // documents are folded whatever else may happen
};

// What people and hosts do in some worlds only: these have numbers of their own, and the others are as they were.
struct Habits {
  bool withdraw = false;  // people withdraw their consent to analytics
  bool pack = false;  // pushes are packed with learned dictionaries, which the server may lose
};

struct Report {
  std::string violation;  // empty = none
  std::uint64_t events{};
  std::uint64_t digest{};
  std::int64_t slowest_drain_ms{};
};

class World {
 public:
  // Events are made in the first `lanes` lanes.
  World(std::uint64_t seed, Mode mode, FaultCounts& counts, const FaultSet& without, std::uint32_t lanes,
        const DocumentOptions& documents = {}, const Habits& habits = {});
  ~World();
  Report run();

 private:
  friend class Replay;  // replay.cc
  friend class DocumentWorld;
  using Reply = std::function<void(std::int64_t delay, engine::Input input)>;

  struct Call {
    std::uint32_t number{};  // 0 = anonymous
    Lane lane{};
    bool strict{};
    bool fixed{};
    std::string text;  // the six fields of the border; empty for a command
  };
  struct Context {
    std::size_t device{};
    std::uint32_t slot{};
    bool worker{};  // drains and dies
    std::unique_ptr<engine::Engine> engine;
    std::uint32_t life{};  // of the tab: a killed one gets no more mail
    std::uint32_t instance{};  // of the engine
    std::uint64_t alarm{};
    std::int64_t alarm_at{};
    std::int64_t frozen_until{};
    std::vector<engine::Input> backlog;  // of a frozen tab
    Epoch epoch;
    std::uint32_t next_command = 1;
    std::map<std::uint32_t, Call> calls;  // given, not answered
    std::uint32_t dictionary_command{};  // answered with a dictionary for the server
    std::uint32_t open_commits{};
    std::optional<engine::Persist> in_hand;  // on its way to the disk
    std::optional<engine::Persist> in_doubt;  // an outcome that the host could not find out
    bool nudged{};  // the user or a fresh credential asked for an attempt before its time
    std::vector<std::pair<std::int64_t, engine::Input>> log;  // for a copy of the running machine
    std::map<std::uint32_t, engine::Load> loads;
    // What the host has read before it was asked, by the range's first key.
    struct Ahead {
      Bytes to;
      std::uint32_t records_max{};
      std::vector<engine::Put> records;
    };
    std::map<Bytes, Ahead> ahead;
    bool opens{};  // a page or worker that has not begun to read
    std::optional<Ahead> opening;  // all of meta as it was then
    std::int64_t meta_read_at{};  // that of the round
    std::vector<std::uint32_t> sends;
    Epoch follows;  // whose lease it waits for
    engine::Status status;
    std::int64_t asked_to_wait_until{};  // by the server's last answer
  };
  struct Device {
    DeviceId id;
    Disk disk;
    Bytes dictionary;  // what the host has kept of it
    std::int64_t skew{};
    std::int64_t jumped_at = -1'000'000;
    std::int64_t offline_until{}, quota_until{}, unauthorized_until{};
    std::uint32_t powers{};  // power cuts
    std::uint32_t branch{};  // entity names of a copied profile are its own
    std::vector<std::size_t> contexts;
    std::vector<std::uint32_t> relaxed;  // accepted on a relaxed promise since the last strict commit
    std::uint64_t relaxed_clicks{};
    std::int64_t withdrawn_until{};  // consent to analytics is being withdrawn
    std::vector<std::uint32_t> accepted_since_image;
    std::vector<std::uint32_t> accepted_ever;
    std::uint64_t clicks_since_image{};
    Disk::Records image;  // of a moment when no tab was open
    bool imaged{};
    std::int64_t retry_at{};  // when the time of the next attempt was stored last, and by whom
    Epoch retry_by;
    std::uint64_t busy_answers{};
    Bytes old_reply;
    bool twin{};  // shares its id with another device
  };

  // time (world.cc)
  void at(std::int64_t time, std::function<void()> action);
  void run_until(std::int64_t time);
  [[nodiscard]] std::int64_t wall(const Device& device) const;
  void note(std::uint64_t word) { digest_ = hash_mix(digest_, word); }

  // host (host.cc)
  void boot(std::size_t context);
  void boot_with_journal(std::size_t context);
  void start(Context& context, const std::array<std::uint64_t, kLaneCount>& next);
  void kill(std::size_t context);
  // Hosts of half of the worlds can tell when a context is gone.
  void follow(std::size_t context, Epoch owner);
  void tell_followers(std::size_t gone);
  void trap(std::size_t context);
  void feed(std::size_t context, engine::Input input);
  void turn(std::size_t context, engine::Input input);
  void thaw_later(std::size_t context);
  void post(std::size_t context, std::int64_t delay, engine::Input input);
  void carry_out(std::size_t context, const engine::Output& output);
  void read(std::size_t context, const engine::Load& load);
  void persist(std::size_t context, engine::Persist persist);
  void commit(std::size_t context, std::uint32_t instance, const engine::Persist& persist);
  void end_transaction(std::size_t context, const engine::Persist& persist, bool written);
  // Hosts of half of the worlds read what an engine asks for before it does (host_ahead.cc).
  std::int64_t open_ahead(std::size_t context, const engine::Load& load);
  void read_ahead(std::size_t context, const engine::Load& load);
  static void forget(Context& context);
  static std::optional<std::vector<engine::Put>> known(const Context& context, const engine::Load& load);
  void begin_round(std::size_t context, bool opening = false);
  std::vector<engine::Put> answer(Context& context, const engine::Load& load);
  static bool takes_lease(const engine::Persist& persist);
  void send(std::size_t context, const engine::Send& send);
  void arrive(std::size_t context, const engine::Send& send, const Reply& reply);
  void deliver(std::size_t context, const engine::Notice& notice);
  void ask_dictionary(std::size_t context);
  void bring_dictionary(std::size_t context, const Bytes& packed);
  void accepted(std::size_t context, const engine::Accepted& notice);
  void promise(Device& device, const Call& call);
  void check_settled(const Device& device, const engine::Settled& settled);
  void check_patience(const Context& context, const Device& device);
  static std::string text_of(const Call& call, const std::string& entity, const std::string& json);

  // trouble and work (chaos.cc)
  void storm(std::int64_t until);
  void act(std::size_t device);
  void enqueue(std::size_t context);
  Call make_call(Context& context, Device& device);
  void retry_letter(Device& device);
  void withdraw(Device& device);
  void worker_drain(std::size_t device);
  void break_something(std::size_t device);
  void cut_power(Device& device);
  void close_browser(Device& device);
  void open_browser(Device& device);
  void roll_back(Device& device);
  void clone_profile(std::size_t device);
  void clone_machine(std::size_t device);
  void damage(Device& device);
  void excuse(const std::vector<std::uint32_t>& numbers);
  void server_trouble();

  // the end (check.cc)
  void calm();
  bool drained() const;
  void settle();
  void tell_left() const;
  [[nodiscard]] Server::Standing standing_of(const DeviceId& id, const Bytes& deferred_key, std::uint64_t seq) const;
  void check_end();
  void check_device(const Device& device);

  Prng prng_;
  Prng withdrawals_;
  Prng packing_;
  Habits habits_;
  bool tells_gone_;
  bool reads_ahead_;
  std::uint32_t lanes_;
  Mode mode_;
  Faults faults_;
  Ledger ledger_;
  Server server_;
  // Decides what becomes of each request, where a trace is replayed.
  std::function<void(std::size_t context, const engine::Send& send, const Reply& reply)> script_;
  std::unique_ptr<DocumentWorld> documents_;  // null: nobody edits any
  std::int64_t now_ = 1;
  std::uint64_t serial_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> agenda_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<Context>> contexts_;
  std::int64_t server_down_until_ = 0;
  std::uint64_t digest_ = 0;
  std::int64_t slowest_drain_ms_ = 0;
};

}  // namespace oas::sim
