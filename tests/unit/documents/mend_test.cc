// A restored server gets back from its replicas what it has lost, in any order, again, from several of them, and from the
// writers themselves: nothing is counted twice, nothing that was void comes back.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.h"
#include "documents/authority.h"
#include "documents/replica.h"

namespace oas::documents {
namespace {

const merge::Rules& rules() {
  static const merge::Rules made =
      *merge::Rules::parse(*merge::parse_json(R"({"/count":"counter","/title":"manual"})"));
  return made;
}

constexpr Incarnation kFirst{{1}, 1};
constexpr Incarnation kRestored{{2}, 2};
constexpr Millis kNow{1'000'000};

// A server's half of one document, with its change order.
struct Server {
  merge::Document document;
  Incarnation incarnation = kFirst;
  std::vector<Bytes> changes;

  merge::Stamp stamp() const { return {incarnation, changes.size() + 1, kNow}; }
  Result<bool> took(Result<Judgement> judgement) {
    if (!judgement) return std::unexpected(judgement.error());
    if (judgement->changed) changes.push_back(judgement->change);
    return judgement->changed;
  }
  Result<bool> push(ByteView delta, std::span<const SetAside> aside = {}) {
    return took(judge(document, delta, stamp(), 0, aside));
  }
  Result<bool> offer(ByteView lost, std::uint64_t acknowledged = 0, std::span<const SetAside> aside = {}) {
    return took(mend(document, lost, stamp(), acknowledged, aside));
  }
  void fold(std::uint64_t cut) {
    document.compact(cut, rules());
    changes.push_back(encode_fold(cut));
  }
};

struct Writer {
  explicit Writer(std::uint64_t number) : epoch{number} {}

  Bytes patch(std::string_view edits) {
    return made(replica.patch(merge::parse_json(edits).value(), rules(), {epoch, next, kNow}));
  }
  Bytes put(std::string_view json) {
    return made(replica.put(merge::parse_json(json).value(), rules(), {epoch, next, kNow}));
  }
  void pull(const Server& server) {
    for (; cursor < server.changes.size(); ++cursor)
      BOOST_TEST_REQUIRE(replica.accept(server.changes[cursor], rules()).has_value());
  }
  // As a device does: the snapshot is in the place of all it had.
  void restart(const Server& server) {
    replica = *Replica::open(server.document.bytes());
    cursor = server.changes.size();
  }

  Epoch epoch;
  Replica replica;
  std::uint64_t next = 1;
  std::size_t cursor = 0;

 private:
  Bytes made(const Result<Edit>& edit) {
    next += edit.value().count;
    return edit.value().delta;
  }
};

merge::Document copy(const merge::Document& document) { return *merge::Document::open(document.bytes()); }

std::int64_t count_of(const merge::Document& document) {
  const merge::Shown shown = document.view(rules());
  const merge::Value* const count = shown.value ? shown.value->find("count") : nullptr;
  return count == nullptr ? 0 : count->as_integer();
}

struct Lost {
  Lost() {
    BOOST_TEST_REQUIRE(*server.push(ann.put(R"({"count":0,"title":"a"})")));
    ann.pull(server);
    bob.pull(server);
    backup = {copy(server.document), kRestored, server.changes};
    shared = server.changes.size();
  }
  Bytes write(Writer& writer, std::string_view edits, std::span<const SetAside> aside = {}) {
    Bytes delta = writer.patch(edits);
    BOOST_TEST_REQUIRE(*server.push(delta, aside));
    ann.pull(server);
    bob.pull(server);
    return delta;
  }
  // What `writer` has of it, against the restored server.
  Bytes lost(const Writer& writer) const { return lost_by(writer.replica.accepted(), backup.document, shared); }

  Server server;
  Server backup;
  std::uint64_t shared{};
  Writer ann{11};
  Writer bob{22};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(documents_mend)

BOOST_AUTO_TEST_CASE(what_one_replica_has_comes_back_once) {
  Lost world;
  const Bytes first = world.write(world.bob, R"([{"op":"inc","path":"/count","by":5}])");
  const Bytes second = world.write(world.bob, R"([{"op":"inc","path":"/count","by":2}])");
  const Bytes offered = world.lost(world.ann);
  BOOST_TEST(*world.backup.offer(offered));
  BOOST_TEST(count_of(world.backup.document) == 7);
  // Again, by another replica, and by the writer himself.
  BOOST_TEST(!*world.backup.offer(offered));
  BOOST_TEST(!*world.backup.offer(world.lost(world.bob).empty() ? offered : world.lost(world.bob)));
  BOOST_TEST(!*world.backup.push(first));
  BOOST_TEST(!*world.backup.push(second));
  BOOST_TEST(count_of(world.backup.document) == 7);
  BOOST_TEST(world.lost(world.ann).empty());
}

BOOST_AUTO_TEST_CASE(what_the_writer_has_sent_again_is_left_out) {
  Lost world;
  const Bytes first = world.write(world.bob, R"([{"op":"inc","path":"/count","by":5}])");
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":2}])");
  const Bytes offered = world.lost(world.ann);
  BOOST_TEST(*world.backup.push(first));
  BOOST_TEST(*world.backup.offer(offered));
  BOOST_TEST(count_of(world.backup.document) == 7);
}

BOOST_AUTO_TEST_CASE(a_server_that_lost_nothing_is_offered_nothing) {
  Lost world;
  BOOST_TEST(world.lost(world.ann).empty());
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":5}])");
  BOOST_TEST(lost_by(world.ann.replica.accepted(), world.server.document, world.server.changes.size()).empty());
  // Nor one that has folded what this replica still has by its numbers.
  world.server.fold(2);
  BOOST_TEST(lost_by(world.ann.replica.accepted(), world.server.document, world.server.changes.size()).empty());
}

// Numbers of two histories are not the same changes: a fold that has passed them says nothing of what only one of them has.
BOOST_AUTO_TEST_CASE(what_a_fold_of_the_new_history_has_passed_by_number_is_offered_all_the_same) {
  Lost world;
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":5}])");
  Writer carl(33);
  carl.restart(world.backup);
  for (int i = 0; i < 3; ++i)
    BOOST_TEST_REQUIRE(*world.backup.push(carl.patch(R"([{"op":"inc","path":"/count","by":1}])")));
  world.backup.fold(world.backup.changes.size());
  const Bytes offered = world.lost(world.ann);
  BOOST_TEST_REQUIRE(!offered.empty());
  // Whoever has not seen what is folded is told so.
  const auto refused = world.backup.offer(offered, world.shared);
  BOOST_TEST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == ErrorCode::kStaleEdit));
}

// A request that comes twice, long after: what it offers is folded by then, and its numbers are forgotten.
BOOST_AUTO_TEST_CASE(an_offer_that_is_folded_already_does_not_count_again) {
  Lost world;
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":5}])");
  const Bytes offered = world.lost(world.ann);
  const std::uint64_t compared = world.backup.changes.size();
  BOOST_TEST(*world.backup.offer(offered, compared));
  world.backup.fold(world.backup.changes.size());
  const auto again = world.backup.offer(offered, compared);
  BOOST_TEST_REQUIRE(!again.has_value());
  BOOST_TEST((again.error().code == ErrorCode::kStaleEdit));
  BOOST_TEST(count_of(world.backup.document) == 5);
}

BOOST_AUTO_TEST_CASE(void_numbers_do_not_come_back) {
  Lost world;
  const Bytes refused = world.bob.patch(R"([{"op":"inc","path":"/count","by":9}])");
  world.server.changes.push_back(*void_change(world.server.document, refused));
  BOOST_TEST_REQUIRE(apply_change(world.server.document, world.server.changes.back(), rules()).has_value());
  world.ann.pull(world.server);
  BOOST_TEST(world.lost(world.ann).empty());
}

BOOST_AUTO_TEST_CASE(what_was_on_hold_stays_on_hold) {
  Lost world;
  const std::vector<SetAside> aside{{0, "R28 a rule"}};
  world.write(world.bob, R"([{"op":"set","path":"/title","value":"b"}])", aside);
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":2}])");
  BOOST_TEST(*world.backup.offer(world.lost(world.ann)));
  BOOST_TEST((world.backup.document.state().holds() == world.server.document.state().holds()));
  BOOST_TEST((world.backup.document.view(rules()).value == world.server.document.view(rules()).value));
}

BOOST_AUTO_TEST_CASE(any_of_several_writers_operations_can_be_put_on_hold) {
  Lost world;
  world.write(world.ann, R"([{"op":"inc","path":"/count","by":1}])");
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":2},{"op":"inc","path":"/count","by":4}])");
  const std::vector<SetAside> aside{{0, "R28 x"}, {2, "R28 y"}};  // by dot: ann's, then bob's second
  BOOST_TEST(*world.backup.offer(world.lost(world.ann), 0, aside));
  BOOST_TEST(count_of(world.backup.document) == 2);
  Lost other;
  other.write(other.ann, R"([{"op":"inc","path":"/count","by":1}])");
  const std::vector<SetAside> beyond{{1, "R28 x"}};
  BOOST_TEST((other.backup.offer(other.lost(other.ann), 0, beyond).error().code == ErrorCode::kInvalidArgument));
}

// Refused, then sent again from its dead letter: it was taken under other dots. The restored server remembers neither, is offered
// those, and may judge the first sending otherwise.
BOOST_AUTO_TEST_CASE(what_was_taken_under_other_dots_is_known_when_its_first_sending_comes_again) {
  Lost world;
  const Bytes edit = world.bob.patch(R"([{"op":"inc","path":"/count","by":5}])");
  const Bytes refused = void_change(world.server.document, edit).value();
  BOOST_TEST_REQUIRE(apply_change(world.server.document, refused, rules()).has_value());
  world.server.changes.push_back(refused);
  BOOST_TEST_REQUIRE(*world.server.push(edit));
  world.ann.pull(world.server);
  BOOST_TEST(*world.backup.offer(world.lost(world.ann)));
  BOOST_TEST(!*world.backup.push(edit));
  BOOST_TEST(count_of(world.backup.document) == 5);
}

BOOST_AUTO_TEST_CASE(hostile_offers_are_refused) {
  Lost world;
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":2}])");
  merge::Delta stamped = *merge::decode_delta(world.lost(world.ann));
  stamped.stamps.push_back({{Epoch{22}, 1, 1}, world.backup.stamp()});
  BOOST_TEST((world.backup.offer(merge::encode_delta(stamped)).error().code == ErrorCode::kMalformed));
  BOOST_TEST((world.backup.offer(Bytes{1, 2, 3}).has_value() == false));
  // Whoever cannot have seen what is folded.
  world.backup.fold(1);
  world.backup.fold(1);
  BOOST_TEST((world.backup.offer(world.lost(world.ann)).error().code == ErrorCode::kStaleEdit));
  BOOST_TEST(*world.backup.offer(world.lost(world.ann), 1));
}

BOOST_AUTO_TEST_CASE(an_offer_of_too_many_writers_is_refused) {
  Lost world;
  world.write(world.bob, R"([{"op":"inc","path":"/count","by":2}])");
  const merge::Delta lost = *merge::decode_delta(world.lost(world.ann));
  merge::Delta many;
  for (std::uint64_t i = 0; i <= kMendRunsMax; ++i) {
    many.ops.push_back(lost.ops.front());
    many.ops.back().op.dot.epoch = {1'000'000 - i};
  }
  BOOST_TEST((world.backup.offer(merge::encode_delta(many)).error().code == ErrorCode::kLimit));
  many.ops.pop_back();
  BOOST_TEST(*world.backup.offer(merge::encode_delta(many)));
}

// Any number of writers, a backup in the middle, and whatever order they come back in.
BOOST_AUTO_TEST_CASE(worlds) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Prng prng(seed);
    Server server;
    std::vector<Writer> writers;
    for (std::uint64_t i = 0; i < 3; ++i) writers.emplace_back(100 * seed + i + 1);
    std::vector<Bytes> sent;  // all of it, for writers that send again what they kept
    std::int64_t total = 0;
    Server backup;
    std::uint64_t shared = 0;
    const std::uint32_t steps = 10 + prng.below(20);
    const std::uint32_t backup_at = prng.below(steps);
    for (std::uint32_t i = 0; i < steps; ++i) {
      if (i == backup_at) {
        backup = {copy(server.document), kRestored, server.changes};
        shared = server.changes.size();
      }
      Writer& writer = writers[prng.below(3)];
      if (prng.chance(1, 2)) writer.pull(server);
      const std::int64_t by = prng.between(1, 9);
      const bool fresh = !writer.replica.view(rules()).value.has_value();
      const std::string number = std::to_string(by);
      const Bytes delta = fresh ? writer.put(R"({"count":)" + number + "}")
                                : writer.patch(R"([{"op":"inc","path":"/count","by":)" + number + "}]");
      total += by;
      BOOST_TEST_REQUIRE(*server.push(delta));
      sent.push_back(delta);
    }
    // One of them has everything; it may come first or last, and the others offer less.
    writers[prng.below(3)].pull(server);
    for (std::uint32_t i = 0; i < 12; ++i) {
      if (prng.chance(1, 2)) {
        BOOST_TEST_REQUIRE(backup.push(sent[prng.below(static_cast<std::uint32_t>(sent.size()))]).has_value());
      } else {
        const Bytes offered = lost_by(writers[prng.below(3)].replica.accepted(), backup.document, shared);
        if (!offered.empty()) BOOST_TEST_REQUIRE(backup.offer(offered).has_value());
      }
    }
    for (const Writer& writer : writers) {
      const Bytes offered = lost_by(writer.replica.accepted(), backup.document, shared);
      if (!offered.empty()) BOOST_TEST_REQUIRE(backup.offer(offered).has_value());
    }
    BOOST_TEST_CONTEXT("seed " << seed) BOOST_TEST(count_of(backup.document) == total);
    for (Writer& writer : writers) {
      writer.restart(backup);
      BOOST_TEST((writer.replica.accepted().bytes() == backup.document.bytes()));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace oas::documents
