// What the engine keeps between steps, and the names of what it does. For engine*.cc only.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "queue/outbox.h"
#include "sync/client_session.h"
#include "wire/writer.h"

namespace oas::engine {

inline constexpr std::int64_t kUnknownRetryMs = 1'000;
inline constexpr std::size_t kLetterKeyBytes = 18;  // queue/keys.h: 'x' epoch lane seq

enum class PeerKind : std::uint8_t { kWork = 1, kDrained = 2 };

// What a transaction in flight belongs to.
enum class Owner : std::uint8_t { kNone, kOutbox, kSession, kCommand, kJournal, kGiveUp };

struct Engine::Impl {
  // --- identity
  bool started = false;
  Start options;
  std::optional<Prng> prng;
  std::optional<queue::Outbox> outbox;
  std::optional<sync::ClientSession> session;

  // --- one step
  Now now;
  std::vector<Output> out;

  // --- storage: one transaction in flight
  std::uint32_t next_tx = 1;
  Owner owner = Owner::kNone;
  Persist in_flight;
  Millis replay_at;      // monotonic; when an unknown outcome is tried again
  bool unknown = false;  // an earlier attempt at it may have been written
  bool outbox_turn = true;
  std::optional<queue::Transaction> session_write;
  std::optional<queue::Transaction> give_up_write;

  // --- reads
  enum class Reader : std::uint8_t { kSession, kTotals, kJournal, kMeta, kPage, kLetter, kGiveUp, kOwnLetters };
  struct OpenLoad {
    Reader reader{};
    Command command;
  };
  std::uint32_t next_load = 1;
  std::map<std::uint32_t, OpenLoad> loads;

  // --- the request in flight
  std::uint32_t next_request = 1;
  std::uint32_t request = 0;

  // --- start: totals and journal of this epoch come before the first number
  bool ready = false;
  queue::EpochTotals own_totals;
  std::vector<Put> own_journal;

  // --- commands
  std::vector<Command> drains;
  std::vector<Millis> drain_deadlines;
  std::optional<Command> closing;
  struct CommandWrite {
    Command command;
    queue::Transaction transaction;
    Bytes result;
  };
  // Events of one lane given up page by page; the first of them is at work.
  struct GivingUp {
    Command command;
    Lane lane{};
    sync::VoidReason reason{};
    Bytes from;  // the next page's first key
    Bytes behind;  // the same, once the open page is written
    std::uint32_t in_page{};
    std::uint64_t events{};
    bool begun{};
    bool open{};  // a read or a write of it is under way
  };
  std::deque<GivingUp> giving_up;
  std::optional<std::uint32_t> learning;  // the command that waits for a dictionary
  std::deque<CommandWrite> command_writes;
  std::map<std::uint32_t, Bytes> retries;  // command of a re-issued dead letter: the key to delete with it

  bool work = false;       // something was stored that has not been offered to the session yet
  bool status_due = true;
  bool look_due = true;
  bool looking = false;
  bool told_before = false;
  // Settled before this context had its core, with rejected events whose numbers are still being read.
  struct Unnamed {
    Settled settled;
    std::uint64_t rejected{};
  };
  std::vector<Unnamed> unnamed;
  sync::Remembered seen;
  Status last_status;
  bool reported_once = false;

  sync::Clocks clocks() const { return {now.mono, now.wall}; }
  template <class N>
  void deliver(N notice) {
    out.emplace_back(Deliver{Notice{std::move(notice)}});
  }
  void refuse(std::uint32_t command, Error error) {
    deliver(Failed{command, static_cast<std::uint16_t>(error.code), error.detail});
  }
  void refuse_all(const std::vector<queue::Refusal>& refused) {
    for (const queue::Refusal& one : refused) refuse(one.command, one.error);
  }

  // inputs (engine.cc)
  void load(Reader reader, KeyRange range, std::uint32_t records_max, Command command = {});
  void tell(PeerKind kind);
  void take(Start& start);
  void take(Enqueue& enqueue);
  void take(Loaded& loaded);
  void take(LoadFailed& failed);
  void take(Persisted& persisted);
  void take(PersistFailed& failed);
  void take(Response& response);
  void take(SendFailed& failed);
  void take(Woke&);
  void take(Connectivity& change);
  void take(Gone& gone);
  void take(Peer& peer);
  void take(Command& command);
  // what is read before the first number is given (engine_start.cc)
  void load_totals(Bytes from);
  void look(Bytes from);
  void on_meta(const std::vector<Put>& records);
  void tell_settled_before();
  void load_own_letters(Bytes from);
  void on_own_letters(const std::vector<Put>& records);
  void on_totals(const std::vector<Put>& records);
  void on_journal(std::vector<Put> records);
  void take_over_own_journal();
  void become_ready();
  // commands (engine_commands.cc)
  void begin_drain(Command command);
  void finish_drains();
  void begin_page(Command command);
  void answer_page(const Command& command, const std::vector<Put>& records);
  static void write_page_value(wire::Writer& writer, Command::Op op, const Put& record);
  static EventId letter_id(ByteView key);
  void begin_letter(Command command);
  void on_letter(const Command& command, const std::vector<Put>& records);
  void retry_letter(const Command& command, const Put& record);
  void use_dictionary(const Command& command);
  // events that shall not be sent after all (engine_give_up.cc)
  void begin_give_up(Command command);
  void pump_give_up();
  void on_give_up(const std::vector<Put>& records);
  void gave_up();
  void fail_give_up(Error error);
  // outputs (engine_pump.cc)
  void persist(Owner whose, queue::Transaction transaction, Durability durability);
  [[nodiscard]] bool reading_past() const;
  void pump_storage();
  void pump_session();
  void take_wishes();
  void deliver_settled(const sync::SettledRun& run);
  void report_status();
  Phase phase_now() const;
  void finish_step();
};

}  // namespace oas::engine
