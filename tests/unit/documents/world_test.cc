// Devices and a server that exchange edits and changes in any order, again, or never: whatever happens, once all is
// delivered every replica holds the same bytes, no increment is lost or counted twice, and nothing stays pending.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "documents/authority.h"
#include "documents/replica.h"

namespace oas::documents {
namespace {

const merge::Rules& rules() {
  static const merge::Rules made =
      *merge::Rules::parse(*merge::parse_json(R"({"/count":"counter","/items":"list:key=id","/title":"lww"})"));
  return made;
}

struct Sent {
  Bytes delta;
};

struct Device {
  Replica replica;
  Epoch epoch;
  std::uint64_t next_n = 1;
  std::uint64_t cursor = 0;
  std::map<merge::Dot, Bytes> stored;  // what the host keeps of pending edits
  std::deque<Sent> outbox;
};

class World {
 public:
  explicit World(std::uint64_t seed) : prng_(seed), has_rules_(seed % 3 == 0), devices_(2 + prng_.below(3)) {
    for (Device& device : devices_) device.epoch = {prng_.next() | 1};
    Device& first = devices_.front();
    const auto made = first.replica.put(*merge::parse_json(R"({"count":0})"), rules(), {first.epoch, 1, now_});
    first.next_n += made->count;
    first.outbox.push_back({made->delta});
    deliver(first, false);
    for (Device& device : devices_) pull(device, 1);
  }

  void run(std::uint32_t steps) {
    for (std::uint32_t i = 0; i < steps; ++i) act(devices_[prng_.below(static_cast<std::uint32_t>(devices_.size()))]);
    for (int round = 0; round < 2; ++round)
      for (Device& device : devices_) {
        while (!device.outbox.empty()) deliver(device, false);
        pull(device, ~std::uint64_t{0});
      }
    for (Device& device : devices_) pull(device, ~std::uint64_t{0});
  }

  void check() {
    const merge::Shown truth = server_.view(rules());
    for (Device& device : devices_) {
      BOOST_TEST(device.replica.pending() == 0U);
      BOOST_TEST(device.stored.empty());
      BOOST_TEST((device.replica.accepted().bytes() == server_.bytes()));
      const merge::Shown shown = device.replica.view(rules());
      BOOST_TEST((shown.value == truth.value));
    }
    if (!truth.value) return;
    const merge::Value* count = truth.value->find("count");
    BOOST_TEST((count == nullptr ? 0 : count->as_integer()) == counted_);
  }

 private:
  void act(Device& device) {
    now_.value += prng_.between(-50, 2'000);
    switch (prng_.below(8)) {
      case 0:
      case 1:
      case 2: edit(device); break;
      case 3: deliver(device, prng_.chance(1, 12)); break;
      case 4: pull(device, prng_.below(6)); break;
      case 5: restart(device); break;
      case 6:
        if (!device.outbox.empty()) device.outbox.push_back(repeated(device));
        break;
      default: fold();
    }
  }

  // A host that does not know whether an edit was queued queues it again, as another event.
  Sent repeated(Device& device) { return device.outbox[prng_.below(static_cast<std::uint32_t>(device.outbox.size()))]; }

  void edit(Device& device) {
    const Replica::Writer at{device.epoch, device.next_n, now_};
    std::int64_t added = 0;
    Result<Edit> made = fail(ErrorCode::kInternal);
    switch (prng_.below(4)) {
      case 0: {
        added = static_cast<std::int64_t>(prng_.below(9)) + 1;
        if (!exists(device)) return;
        made = device.replica.patch(
            *merge::parse_json(R"([{"op":"inc","path":"/count","by":)" + std::to_string(added) + "}]"), rules(), at);
        break;
      }
      case 1:
        made = device.replica.put(document(device, "title", std::to_string(prng_.below(100))), rules(), at);
        break;
      case 2: made = device.replica.put(with_item(device), rules(), at); break;
      default: made = device.replica.put(document(device, "note", "n" + std::to_string(prng_.below(9))), rules(), at);
    }
    BOOST_REQUIRE(made.has_value());
    if (made->count == 0) return;
    device.next_n += made->count;
    counted_ += added;
    device.stored[made->first] = made->delta;
    device.outbox.push_back({made->delta});
  }

  static bool exists(Device& device) { return device.replica.view(rules()).value.has_value(); }

  merge::Value document(Device& device, std::string_view key, const std::string& text) {
    std::vector<merge::Member> members;
    if (const merge::Shown shown = device.replica.show(rules()); shown.value)
      for (const merge::Member& member : shown.value->members())
        if (member.key != key) members.push_back(member);
    const auto place = std::find_if(members.begin(), members.end(), [key](const auto& one) { return one.key > key; });
    members.insert(place, {std::string(key), merge::Value::string(text)});
    return merge::Value::object(std::move(members));
  }

  merge::Value with_item(Device& device) {
    const merge::Value whole = document(device, "note", "x");
    std::vector<merge::Member> members = whole.members();
    std::vector<merge::Value> items;
    for (const merge::Member& member : members)
      if (member.key == "items") items = member.value.items();
    std::erase_if(members, [](const merge::Member& member) { return member.key == "items"; });
    const std::string id = "i" + std::to_string(prng_.below(20));
    const bool known = std::any_of(items.begin(), items.end(), [&id](const merge::Value& item) {
      return item.find("id") != nullptr && item.find("id")->text() == id;
    });
    if (!known) items.push_back(*merge::parse_json(R"({"id":")" + id + R"(","qty":1})"));
    const auto place = std::find_if(members.begin(), members.end(), [](const auto& one) { return one.key > "items"; });
    members.insert(place, {"items", merge::Value::array(std::move(items))});
    return merge::Value::object(std::move(members));
  }

  // The transport gives each event once; `rejected` is a validator's verdict.
  void deliver(Device& device, bool rejected) {
    if (device.outbox.empty()) return;
    const Sent sent = device.outbox.front();
    device.outbox.pop_front();
    if (rejected) {
      const Result<Bytes> change = void_change(server_, sent.delta);
      BOOST_REQUIRE(change.has_value());
      if (change->empty()) return;
      counted_ -= increment_in(sent.delta);
      append(*change);
      return;
    }
    const merge::Stamp stamp{{{1}, 1}, changes_.size() + 1, now_};
    const bool was_void = server_.state().voids().contains(merge::decode_delta(sent.delta)->ops.front().op.dot);
    const Result<Judgement> judgement = judge(server_, sent.delta, stamp, 0, broken_in(sent.delta));
    BOOST_REQUIRE(judgement.has_value());
    if (!judgement->changed) return;
    if (was_void) counted_ += increment_in(sent.delta);
    changes_.push_back(judgement->change);
  }

  // What a rule of the application would put on hold: anything but counting, and the document itself.
  std::vector<SetAside> broken_in(const Bytes& edit) {
    std::vector<SetAside> aside;
    const merge::Delta delta = *merge::decode_delta(edit);
    for (std::uint32_t i = 0; has_rules_ && i < delta.ops.size(); ++i) {
      const merge::PlacedOp& placed = delta.ops[i];
      if (placed.op.kind == merge::OpKind::kAdd || placed.path.empty() || !prng_.chance(1, 8)) continue;
      aside.push_back({i, "R28 rule"});
    }
    return aside;
  }

  static std::int64_t increment_in(const Bytes& delta) {
    std::int64_t sum = 0;
    const merge::Delta decoded = *merge::decode_delta(delta);
    for (const merge::PlacedOp& placed : decoded.ops)
      if (placed.op.kind == merge::OpKind::kAdd) sum += placed.op.value.as_integer();
    return sum;
  }

  void append(const Bytes& change) {
    BOOST_REQUIRE(apply_change(server_, change, rules()).has_value());
    changes_.push_back(change);
  }

  // Everybody has read up to the cut before it is announced.
  void fold() {
    std::uint64_t cut = changes_.size();
    for (const Device& device : devices_)
      for (const Sent& sent : device.outbox)
        if (merge::Delta delta = *merge::decode_delta(sent.delta); server_.version().contains(delta.ops.front().op.dot))
          return;  // a repetition is still on its way
    for (const Device& device : devices_) cut = std::min(cut, device.cursor);
    if (cut > 20 && prng_.chance(1, 4)) append(encode_fold(cut - 10));
  }

  void pull(Device& device, std::uint64_t count) {
    if (prng_.chance(1, 5) && device.cursor > 0) --device.cursor;  // an answer that was not stored comes again
    for (; count > 0 && device.cursor < changes_.size(); --count) {
      const auto settled = device.replica.accept(changes_[static_cast<std::size_t>(device.cursor++)], rules());
      BOOST_REQUIRE(settled.has_value());
      for (const merge::Dot& dot : *settled) device.stored.erase(dot);
    }
  }

  void restart(Device& device) {
    Result<Replica> replica = Replica::open(device.replica.accepted().bytes());
    BOOST_REQUIRE(replica.has_value());
    for (const auto& [first, delta] : device.stored) BOOST_REQUIRE(replica->keep(delta).has_value());
    BOOST_TEST((replica->view(rules()).value == device.replica.view(rules()).value));
    device.replica = std::move(*replica);
    device.epoch = {prng_.next() | 1};
    device.next_n = 1;
  }

  Prng prng_;
  bool has_rules_ = false;
  Millis now_{1'700'000'000'000};
  std::vector<Device> devices_;
  merge::Document server_;
  std::vector<Bytes> changes_;
  std::int64_t counted_ = 0;
};

BOOST_AUTO_TEST_CASE(an_edit_of_an_older_view_does_not_undo_what_came_since) {
  const auto value = [](const char* text) { return *merge::parse_json(text); };
  Replica here;
  Replica there;
  merge::Document server;
  const auto accept = [&](const Edit& edit, std::uint64_t change) {
    const auto judged = judge(server, edit.delta, {{{1}, 1}, change, {1'000}});
    BOOST_REQUIRE((judged && judged->changed));
    BOOST_REQUIRE(here.accept(judged->change, rules()).has_value());
    BOOST_REQUIRE(there.accept(judged->change, rules()).has_value());
  };
  accept(*here.put(value(R"({"a":1})"), rules(), {{7}, 1, {1'000}}), 1);
  here.show(rules());
  there.show(rules());
  accept(*there.put(value(R"({"a":1,"b":2})"), rules(), {{8}, 1, {1'001}}), 2);
  // The person here still looks at {"a":1}.
  accept(*here.put(value(R"({"a":3})"), rules(), {{7}, 2, {1'002}}), 3);
  BOOST_TEST((here.view(rules()).value == value(R"({"a":3,"b":2})")));
  BOOST_TEST((there.view(rules()).value == value(R"({"a":3,"b":2})")));
}

// A new device seeds what it does not know yet. The operations that it would stand beside are folded, so it would take their
// place.
BOOST_AUTO_TEST_CASE(a_folded_document_is_not_begun_anew) {
  const merge::Value start = *merge::parse_json(R"({"count":0})");
  Replica here;
  merge::Document server;
  const auto accept = [&](const Edit& edit, std::uint64_t change) {
    const auto judged = judge(server, edit.delta, {{{1}, 1}, change, {1'000}});
    BOOST_REQUIRE((judged && judged->changed));
    BOOST_REQUIRE(here.accept(judged->change, rules()).has_value());
  };
  accept(*here.put(start, rules(), {{7}, 1, {}}), 1);
  here.show(rules());
  accept(*here.patch(*merge::parse_json(R"([{"op":"inc","path":"/count","by":5}])"), rules(), {{8}, 1, {1'000}}), 2);
  BOOST_REQUIRE(server.compact(2, rules()) == 2U);
  Replica there;
  const Edit seed = *there.put(start, rules(), {{7}, 1, {}});
  for (const std::uint64_t acknowledged : {0U, 2U, 9U}) {
    merge::Document again = *merge::Document::open(server.bytes());
    const auto judged = judge(again, seed.delta, {{{1}, 1}, 3, {1'000}}, acknowledged);
    BOOST_REQUIRE(!judged);
    BOOST_TEST((judged.error().code == ErrorCode::kStaleEdit));
  }
}

BOOST_AUTO_TEST_CASE(replicas_agree_whatever_happens_on_the_way) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      World world(seed);
      world.run(150);
      world.check();
    }
  }
}

}  // namespace
}  // namespace oas::documents
