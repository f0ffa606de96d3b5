// A dictionary on the way between device and server: learned, used, lost.
#include <boost/test/unit_test.hpp>
#include <numeric>

#include "harness.h"
#include "queue/keys.h"
#include "sync/packer.h"
#include "wire/segment.h"

namespace oas::test {
namespace {

using Op = engine::Command::Op;

constexpr std::uint32_t kLearnEvents = sync::Packer::kLearnEvents;

std::string page(int i) {
  return R"({"page":"/shop/shelf/)" + std::to_string(i % 7) +
         R"(","referrer":"https://example.org/start?from=mail","agent":)"
         R"("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","n":)" +
         std::to_string(i) + "}";
}

// One event a request, as a device that is online sends them.
void send(Device& device, int count, Lane lane = Lane::kNormal) {
  for (int i = 0; i < count; ++i) {
    device.enqueue(lane, "page.view", page(i));
    device.run(1'000);
  }
}

void ask(Device& device, Bytes packed = {}) {
  device.feed(engine::Command{++device.commands, Op::kDictionary, std::move(packed)});
}

Bytes learned(Device& device) {
  ask(device);
  send(device, static_cast<int>(kLearnEvents));
  BOOST_REQUIRE(device.results.size() == 1U);
  Bytes packed = std::move(device.results[0].bytes);
  device.results.clear();
  return packed;
}

std::size_t sum(const std::vector<std::size_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
}

BOOST_AUTO_TEST_SUITE(dictionary_of_a_device)

BOOST_AUTO_TEST_CASE(is_learned_when_asked_for_and_enough_was_sent) {
  Server server;
  Device device(server, 11);
  send(device, 150);
  ask(device);
  send(device, static_cast<int>(kLearnEvents) - 1);
  BOOST_TEST(device.results.empty());
  send(device, 1);
  BOOST_REQUIRE(device.results.size() == 1U);
  const auto dictionary = wire::unpack_dictionary(device.results[0].bytes);
  BOOST_REQUIRE(dictionary.has_value());
  BOOST_TEST(dictionary->bytes().size() <= sync::Packer::kLearnedBytesMax);
  BOOST_TEST(device.results[0].bytes.size() < 2'000U);
}

BOOST_AUTO_TEST_CASE(is_not_learned_from_one_event_that_is_sent_again_and_again) {
  Server server;
  Device device(server, 11);
  ask(device);
  device.lose_replies = true;
  send(device, 1);
  device.run(24 * 3'600'000);
  BOOST_TEST(server.requests > kLearnEvents);
  BOOST_TEST(device.results.empty());
}

BOOST_AUTO_TEST_CASE(makes_what_is_sent_smaller_and_changes_nothing_else) {
  Server server;
  Device device(server, 11);
  const Bytes packed = learned(device);
  server.request_bytes.clear();
  send(device, 50);
  const std::size_t before = sum(server.request_bytes);
  server.dictionaries.push_back(*wire::unpack_dictionary(packed));
  ask(device, packed);
  server.request_bytes.clear();
  send(device, 50);
  BOOST_TEST(sum(server.request_bytes) * 3 < before * 2);
  BOOST_TEST(server.unreadable == 0U);
  BOOST_REQUIRE(server.effects.size() == kLearnEvents + 100);
  BOOST_TEST(server.effects.back() == "page.view/" + page(49));
  BOOST_TEST(device.status.applied == kLearnEvents + 100);
  BOOST_TEST(device.failed.empty());
}

BOOST_AUTO_TEST_CASE(is_not_needed_for_what_is_stored) {
  Server server;
  Device device(server, 11);
  const Bytes packed = learned(device);
  server.dictionaries.push_back(*wire::unpack_dictionary(packed));
  ask(device, packed);
  device.go(false);
  send(device, 20);
  std::size_t segments = 0;
  for (const auto& [key, value] : device.store) {
    const auto segment = wire::open_segment(value);
    if (!segment) continue;
    ++segments;
    Bytes rows;
    BOOST_TEST(wire::decode_rows(*segment, rows).has_value());
  }
  BOOST_TEST(segments >= 20U);
}

BOOST_AUTO_TEST_CASE(that_the_server_has_lost_parks_nothing_and_comes_back) {
  Server server;
  Device device(server, 11);
  const Bytes packed = learned(device);
  ask(device, packed);  // the server never got it, or was restored
  send(device, 5);
  BOOST_TEST(server.unreadable == 1U);
  BOOST_TEST(server.effects.size() == kLearnEvents + 5);
  BOOST_TEST(device.status.applied == kLearnEvents + 5);
  BOOST_TEST((device.status.phase == engine::Phase::kIdle));
  BOOST_REQUIRE(device.results.size() == 1U);
  BOOST_TEST((device.results[0].bytes == packed));
  server.dictionaries.push_back(*wire::unpack_dictionary(packed));
  ask(device, packed);
  send(device, 5);
  BOOST_TEST(server.unreadable == 1U);
  BOOST_TEST(server.effects.size() == kLearnEvents + 10);
}

BOOST_AUTO_TEST_CASE(leaves_long_segments_as_they_are) {
  Server server;
  Device device(server, 11);
  const Bytes packed = learned(device);
  ask(device, packed);
  device.go(false);
  std::vector<engine::Input> calls;
  std::string text;
  for (int i = 0; i < 400; ++i) {
    text += std::string("22") + '\0';
    for (const std::string& field : {std::string("page.view"), std::string("m"), std::string(), std::string(), page(i)})
      text += field + '\0';
  }
  device.feed(engine::Enqueue{device.commands + 1, 400, to_bytes(as_bytes(text))});
  device.commands += 400;
  device.go(true);
  device.run(60'000);
  BOOST_TEST(server.unreadable == 0U);
  BOOST_TEST(server.effects.size() == kLearnEvents + 400);
}

BOOST_AUTO_TEST_CASE(is_refused_when_it_is_none_or_one_is_awaited) {
  Server server;
  Device device(server, 11);
  ask(device, {1, 2, 3});
  BOOST_REQUIRE(device.failed.size() == 1U);
  ask(device);
  BOOST_TEST(device.failed.size() == 1U);
  ask(device);
  BOOST_REQUIRE(device.failed.size() == 2U);
  BOOST_TEST(device.failed[1].code == static_cast<std::uint16_t>(ErrorCode::kQueueFull));
}

BOOST_AUTO_TEST_CASE(is_not_needed_for_blocks_at_the_server) {
  Server server;
  Device device(server, 11);
  const Bytes packed = learned(device);
  const auto dictionary = wire::unpack_dictionary(packed);
  BOOST_REQUIRE(dictionary.has_value());

  wire::SegmentBuilder builder({{5}, Lane::kAnalytics}, {1}, {});
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.push_back(page(i));
  for (int i = 0; i < 50; ++i)
    builder.add({.hlc = {static_cast<std::uint64_t>(i) + 1},
                 .type = "page.view",
                 .module = "m",
                 .json = as_bytes(texts[static_cast<std::size_t>(i)])});
  const std::vector<wire::SealedSegment> sealed = builder.seal(&*dictionary);
  BOOST_REQUIRE(sealed.size() == 1U);
  BOOST_TEST((wire::open_segment(sealed[0].bytes)->head.codec >= wire::Codec::kRowsLz4Dictionary));

  sync::SyncRequest request;
  request.streams.push_back({{{5}, Lane::kAnalytics}, {}, {{50}, builder.hash()}});
  request.items.push_back({.segment = sealed[0].bytes, .hole = {}});
  Bytes frame;
  sync::write_request(frame, 1, request);
  const auto plan = [&frame](wire::Dictionaries held) {
    Result<sync::ServerSession> session = sync::ServerSession::open(frame, held);
    BOOST_REQUIRE(session.has_value());
    sync::Rows rows;
    rows.streams.push_back({.stream = {{5}, Lane::kAnalytics}});
    session->plan(std::move(rows), true);
    return std::move(*session);
  };
  const sync::ServerSession without = plan({});
  BOOST_TEST(without.missing_dictionary() == dictionary->id());
  BOOST_TEST(without.blocks().empty());

  const std::vector<const wire::Dictionary*> held{&*dictionary};
  const sync::ServerSession session = plan(held);
  BOOST_TEST(session.missing_dictionary() == 0U);
  BOOST_REQUIRE(session.blocks().size() == 1U);
  BOOST_REQUIRE(session.blocks()[0].segments.size() == 1U);
  const auto kept = wire::open_segment(session.blocks()[0].segments[0].bytes);
  BOOST_REQUIRE(kept.has_value());
  Bytes rows;
  BOOST_TEST(wire::decode_rows(*kept, rows).has_value());
  BOOST_TEST((kept->head.hash_after == builder.hash()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::test
