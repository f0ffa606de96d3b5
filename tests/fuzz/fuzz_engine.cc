// The client engine against a hostile world: bytes as a block of inputs, and a host whose storage is damaged, whose
// transactions end in every way, whose server answers nonsense and whose neighbours tell lies. What a host must do for the
// engine (engine.h, storage.h) is kept: Start comes first and once, records come from the range asked for, in order. Within
// that it must never trap, answer every command at most once, and keep to the order of outputs. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "engine/io_codec.h"
#include "fuzz/feed.h"
#include "queue/keys.h"
#include "queue/records.h"
#include "sync/acknowledge.h"
#include "unit/engine/harness.h"
#include "wire/frame.h"
#include "wire/segment.h"

namespace {

using namespace oas;
using namespace oas::engine;
using fuzz::Feed;
using fuzz::require;

constexpr std::uint32_t kTurnsMax = 300;

void fuzz_blocks(Feed feed) {
  const ByteView bytes = feed.rest();
  if (const auto inputs = read_inputs(bytes)) {
    Bytes again;
    write_inputs(*inputs, again);
    require(again == to_bytes(bytes));
  }
  if (const auto outputs = read_outputs(bytes)) {
    Bytes again;
    write_outputs(*outputs, again);
    require(again == to_bytes(bytes));
  }
}

class World {
 public:
  explicit World(Feed& feed) : feed_(feed) {
    for (std::uint32_t n = feed.below(6); n > 0; --n) damage();
    Start start{.epoch = {1ULL + feed.below(3)}};
    start.drains = feed.below(8) != 0;
    start.durability = static_cast<Durability>(feed.below(3));
    for (std::uint64_t& next : start.next) next = 1 + (feed.below(4) == 0 ? feed.below(5) : 0);
    turn({start});
  }

  void run() {
    for (std::uint32_t n = 0; n < kTurnsMax && !feed_.done(); ++n) {
      std::vector<Input> inputs;
      // Often one input a turn; several in one are another path.
      for (std::uint32_t more = feed_.below(4) == 0 ? 3 : 1; more > 0; --more) add(inputs);
      turn(std::move(inputs));
    }
  }

 private:
  void turn(std::vector<Input> inputs) {
    // Across the border and back, as the host hands them in.
    Bytes block;
    write_inputs(inputs, block);
    auto read = read_inputs(block);
    require(read.has_value());
    clock_ += feed_.below(3) == 0 ? feed_.u16() : 1;
    const Now now{{clock_}, {1'700'000'000'000 + (feed_.below(16) == 0 ? -clock_ : clock_)}};
    const auto outputs = engine_.step(now, *read);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      require(!std::holds_alternative<Wake>(outputs[i]) || i + 1 == outputs.size());
      std::visit([this](const auto& output) { take(output); }, outputs[i]);
    }
  }

  void take(const Persist& persist) {
    require(!persist_ || persist_->tx == persist.tx);  // one in flight; the same one may be tried again
    persist_ = persist;
  }
  void take(const Load& load) { loads_.push_back(load); }
  void take(const Send& send) { sends_.push_back(send); }
  void take(const Deliver& deliver) {
    if (const auto* one = std::get_if<Accepted>(&deliver.notice))
      for (std::uint32_t i = 0; i < one->count; ++i) answered(one->first + i);
    if (const auto* one = std::get_if<Failed>(&deliver.notice)) answered(one->command);
    if (const auto* one = std::get_if<CommandResult>(&deliver.notice)) answered(one->command);
  }
  void take(const Wake& wake) { wake_ = wake.at.value; }
  void take(const Follow& follow) { follows_ = follow.owner; }
  void take(const Tell& tell) { told_ = tell.bytes; }
  void take(const auto&) {}
  void answered(std::uint32_t command) {
    require(command < command_ && command > 0);
    require(answered_.insert(command).second);
  }

  void add(std::vector<Input>& inputs) {
    switch (feed_.below(13)) {
      case 0: inputs.emplace_back(enqueue()); break;
      case 1:
      case 2: answer_load(inputs); break;
      case 3:
      case 4: end_transaction(inputs); break;
      case 5:
      case 6: answer_request(inputs); break;
      case 7:
        if (wake_ > clock_ && feed_.below(2) == 0) clock_ = wake_;
        inputs.emplace_back(Woke{});
        break;
      case 8: inputs.emplace_back(Connectivity{feed_.below(2) == 0, feed_.below(2) == 0}); break;
      case 9: inputs.emplace_back(Peer{peer()}); break;
      case 10: inputs.emplace_back(command()); break;
      case 11: inputs.emplace_back(Gone{follows_}); break;
      default: damage(); break;
    }
  }

  Enqueue enqueue() {
    const std::uint32_t count = 1 + feed_.below(3);
    const std::uint32_t first = command_;
    command_ += count;
    if (feed_.below(8) == 0) return {first, count, to_bytes(feed_.bytes(feed_.u8()))};
    Bytes text;
    for (std::uint32_t i = 0; i < count; ++i) {
      for (const char one : {static_cast<char>('0' + feed_.below(kLaneCount)), static_cast<char>('0' + feed_.below(3)),
                             '\0', 't', '\0', '\0'})
        text.push_back(static_cast<std::uint8_t>(one));
      if (feed_.below(2) == 0) text.push_back(static_cast<std::uint8_t>('a' + feed_.below(2)));
      for (const char one : {'\0', '\0', '1', '\0'}) text.push_back(static_cast<std::uint8_t>(one));
    }
    return {first, count, std::move(text)};
  }

  void answer_load(std::vector<Input>& inputs) {
    if (loads_.empty()) return;
    const Load load = loads_.front();
    loads_.pop_front();
    if (feed_.below(16) == 0) {
      inputs.emplace_back(LoadFailed{load.load});
      return;
    }
    Loaded loaded{load.load, {}};
    for (auto at = store_.lower_bound(load.range.from);
         at != store_.end() && at->first < load.range.to && loaded.records.size() < load.records_max; ++at)
      loaded.records.push_back({at->first, at->second});
    inputs.emplace_back(std::move(loaded));
  }

  void end_transaction(std::vector<Input>& inputs) {
    if (!persist_) return;
    const std::uint32_t tx = persist_->tx;
    const std::uint32_t how = feed_.below(12);
    using Kind = PersistFailed::Kind;
    if (how == 0) {
      if (feed_.below(2) == 0) (void)test::commit(store_, *persist_);
      inputs.emplace_back(PersistFailed{tx, Kind::kUnknown, 0});
      persist_.reset();
      return;
    }
    const bool aborts = how == 1;
    const bool holds = !aborts && test::commit(store_, *persist_);
    if (holds)
      inputs.emplace_back(Persisted{tx});
    else
      inputs.emplace_back(PersistFailed{tx, aborts ? Kind::kAborted : Kind::kConflict, feed_.u16()});
    persist_.reset();
  }

  void answer_request(std::vector<Input>& inputs) {
    if (sends_.empty()) return;
    const Send send = sends_.front();
    sends_.pop_front();
    const std::uint32_t how = feed_.below(8);
    if (how == 0) {
      inputs.emplace_back(SendFailed{send.request});
      return;
    }
    if (how == 1) {
      static constexpr std::uint16_t kStatuses[] = {200, 401, 403, 404, 413, 426, 429, 500, 503, 0};
      inputs.emplace_back(
          Response{send.request, kStatuses[feed_.below(10)], feed_.u16(), to_bytes(feed_.bytes(feed_.u8()))});
      return;
    }
    if (feed_.below(16) == 0) server_.incarnation.random += 1 + feed_.u8();
    if (feed_.below(8) == 0) server_ = {};  // set up again, or restored
    server_.horizon = {feed_.u16()};
    server_.handler = [this](const sync::PlannedEvent&) {
      const std::uint32_t kind = feed_.below(8);
      return kind < 5 ? sync::Outcome{static_cast<sync::VerdictKind>(kind), feed_.u8()} : sync::Outcome{};
    };
    Bytes body = server_.serve(send.body, {clock_});
    if (how == 2) fuzz::bend(feed_, body);
    if (how == 3) lie(send.body, body);
    inputs.emplace_back(Response{send.request, 200, 0, std::move(body)});
  }

  // A well-formed answer to the very request that says what no honest server would.
  void lie(ByteView request, Bytes& body) {
    const auto opened = sync::read_request(request);
    if (!opened) return;
    sync::SyncReply reply{.incarnation = server_.incarnation, .credit = feed_.u16()};
    reply.server_time = {static_cast<std::int64_t>(feed_.magnitude() >> 1)};
    reply.horizon = {static_cast<std::int64_t>(feed_.magnitude() >> 1)};
    for (const sync::StreamState& state : opened->request.streams) {
      sync::StreamAnswer answer{.stream = state.stream, .status = static_cast<sync::StreamStatus>(feed_.below(7))};
      answer.mark = feed_.below(2) == 0 ? state.last : Watermark{{feed_.magnitude()}, {feed_.u64()}};
      std::uint64_t seq = state.stored.seq.value;
      for (std::uint32_t n = feed_.below(4); n > 0; --n) {
        seq += 1 + feed_.below(3);
        answer.verdicts.push_back({{seq}, static_cast<sync::VerdictKind>(feed_.below(5)), feed_.u8()});
      }
      reply.streams.push_back(std::move(answer));
    }
    for (std::uint32_t n = feed_.below(3); n > 0; --n)
      reply.late.push_back(
          {feed_.magnitude(),
           {{{1ULL + feed_.below(3)}, static_cast<Lane>(feed_.below(kLaneCount))}, {feed_.magnitude()}},
           static_cast<sync::VerdictKind>(feed_.below(5)),
           feed_.u8()});
    sync::write_reply(body, opened->nonce, reply);
  }

  Bytes peer() {
    if (feed_.below(2) == 0 && !told_.empty()) return told_;
    Bytes out;
    wire::begin_frame(out, wire::FrameKind::kPeer, 0);
    wire::Writer(out).raw(feed_.bytes(9));
    wire::finish_frame(out);
    return out;
  }

  Command command() {
    Command command{command_++, static_cast<Command::Op>(feed_.below(10)), {}};
    if (feed_.below(2) == 0) {
      command.args = to_bytes(feed_.bytes(feed_.below(40)));
      return command;
    }
    wire::Writer args(command.args);
    // A dead letter that is there, if there is one.
    const auto letter = store_.lower_bound({'x'});
    if (letter == store_.end() || letter->first.size() != 18) return command;
    std::uint64_t numbers[2]{};
    for (std::size_t i = 0; i < 8; ++i) {
      numbers[0] = numbers[0] << 8 | letter->first[1 + i];
      numbers[1] = numbers[1] << 8 | letter->first[10 + i];
    }
    args.u64(numbers[0]);
    args.u8(letter->first[9]);
    args.u64(numbers[1]);
    if (feed_.below(2) == 0) args.raw(feed_.bytes(feed_.below(9)));
    return command;
  }

  // What a disk or another version can do to a record: bytes changed, gone, or of another kind under a right key.
  void damage() {
    if (!store_.empty() && feed_.below(3) != 0) {
      auto at = store_.begin();
      std::advance(at, feed_.u8() % store_.size());
      switch (feed_.below(4)) {
        case 0: store_.erase(at); break;
        case 1: fuzz::bend(feed_, at->second); break;
        case 2: at->second = to_bytes(feed_.bytes(feed_.below(60))); break;
        default:
          if (!at->second.empty()) at->second[feed_.u16() % at->second.size()] = feed_.u8();
      }
      return;
    }
    const StreamId stream{{1ULL + feed_.below(3)}, static_cast<Lane>(feed_.below(kLaneCount))};
    const std::uint64_t first = 1 + feed_.magnitude() % (1ULL << 60);
    const queue::SegmentKey key{{feed_.magnitude()}, stream, {first}, {first + feed_.below(3)}};
    store_[key_of(key)] = record(key);
  }

  Bytes key_of(const queue::SegmentKey& key) {
    switch (feed_.below(12)) {
      case 0: return queue::lease_key();
      case 1: return queue::retry_key();
      case 2: return queue::server_key();
      case 3: return queue::folded_key();
      case 4: return queue::epoch_key(key.stream.epoch);
      case 5: return queue::watermark_key(key.stream);
      case 6: return queue::entities_key(key);
      case 7: return queue::deferred_key(key);
      case 8: return queue::settling_key({feed_.u16()}, key);
      case 9: return queue::journal_key(key.stream.epoch, feed_.below(3));
      case 10: return queue::dead_letter_key({key.stream, key.first});
      default: return queue::pending_key(key);
    }
  }

  Bytes record(const queue::SegmentKey& key) {
    wire::SegmentBuilder builder(key.stream, key.first, {feed_.below(2)});
    for (std::uint64_t n = key.first.value; n <= key.last.value; ++n) builder.add(event(key.hlc));
    Bytes segment = builder.seal().front().bytes;
    switch (feed_.below(9)) {
      case 0:
        return write_record(
            queue::EpochTotals{.last = {feed_.magnitude(), feed_.magnitude()}, .hash = {}, .hlc = {feed_.u64()}});
      case 1:
        return write_record(queue::StreamMark{.mark = {{feed_.magnitude()}, {feed_.below(2)}},
                                              .rejected = feed_.magnitude(),
                                              .deferred = feed_.below(3),
                                              .rewind = static_cast<queue::Rewind>(feed_.below(3))});
      case 2: return write_record(queue::Lease{{1ULL + feed_.below(3)}, feed_.u64()});
      case 3: return write_record(queue::RetryState{feed_.u16(), {static_cast<std::int64_t>(feed_.magnitude())}});
      case 4:
        return write_record(
            queue::ServerState{.incarnation = {{static_cast<std::int64_t>(feed_.magnitude())}, feed_.u8()},
                               .late_seen = feed_.magnitude(),
                               .horizon = {static_cast<std::int64_t>(feed_.magnitude())}});
      case 5:
        return write_record(
            queue::HoleRecord{feed_.below(5) == 0 ? feed_.u8() : std::uint8_t{0}, {feed_.below(2)}, {1}});
      case 6: return sync::write_deferred({.open = {key.first.value}, .segment = segment});
      case 7: return write_record(queue::DeadLetter{feed_.u16(), {}, event_bytes()});
      default: return segment;
    }
  }

  Bytes event_bytes() {
    Bytes out;
    wire::Writer writer(out);
    wire::write_event(writer, event({feed_.u64()}));
    return out;
  }
  static wire::EventView event(Hlc hlc) {
    return {
        .hlc = hlc, .type = "t", .module = {}, .entity = {}, .dedupe_key = {}, .replaces = {}, .json = as_bytes("1")};
  }

  Feed& feed_;
  Engine engine_;
  test::Server server_;
  test::Store store_;
  std::int64_t clock_ = 1'000;
  std::int64_t wake_ = 0;
  Epoch follows_;
  std::uint32_t command_ = 1;
  std::set<std::uint32_t> answered_;
  std::optional<Persist> persist_;
  std::deque<Load> loads_;
  std::deque<Send> sends_;
  Bytes told_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Feed feed(ByteView(data, size));
  if (feed.below(8) == 0)
    fuzz_blocks(feed);
  else
    World(feed).run();
  return 0;
}
