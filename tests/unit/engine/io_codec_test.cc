// What crosses the border survives the trip, and bytes nobody vouches for are refused without harm.
#include <boost/test/unit_test.hpp>

#include "base/prng.h"
#include "engine/io_codec.h"

using namespace oas;
using namespace oas::engine;

namespace {

Bytes text(std::string_view value) { return to_bytes(as_bytes(value)); }

std::vector<Input> every_input() {
  Start start{.device = {}, .epoch = {0x0123456789ABCDEF}, .next = {1, 2, 3, 4, 5}, .seed = {}};
  start.device.value[15] = 7;
  start.seed[31] = 9;
  start.drains = false;
  return {start,
          Enqueue{4, 2, text("20")},
          Loaded{5, {{text("k"), text("v")}, {text("l"), {}}}},
          LoadFailed{6},
          Persisted{7},
          PersistFailed{8, PersistFailed::Kind::kUnknown, 302},
          Response{9, 429, 1'000, text("body")},
          SendFailed{10},
          Woke{},
          Connectivity{true, false},
          Peer{text("peer")},
          Command{11, Command::Op::kTrap, text("args")},
          Gone{{12}}};
}

std::vector<Output> every_output() {
  Status status{.phase = Phase::kParked, .reason = 306, .pending = {1, 2, 3, 4, 5}};
  status.created = 6;
  status.oldest_unsent = {-1};
  const StreamId stream{{77}, Lane::kLow};
  return {Persist{1,
                  Durability::kDurable,
                  {{queue::Expect::Kind::kEquals, text("m"), text("x")}},
                  {{text("s"), text("y")}},
                  {{text("a"), text("b")}},
                  {text("g"), text("h")},
                  {{3, 2, {stream, {4}}}}},
          Load{2, {text("a"), text("b")}, 256},
          Send{3, true, 30'000, text("body")},
          Abort{4},
          Tell{text("tell")},
          Deliver{Accepted{1, 2, {stream, {9}}}},
          Deliver{Failed{3, 104, 50'000}},
          Deliver{CommandResult{4, text("r")}},
          Deliver{Settled{stream, {1}, {5}, true, {{{2}, 1, 400}, {{3}, 2, 0}}}},
          Deliver{status},
          Deliver{NeedToken{}},
          Log{Severity::kError, 500, 1},
          Wake{{-5}},
          Follow{{13}}};
}

Bytes inputs_block() {
  Bytes block;
  write_inputs(every_input(), block);
  return block;
}

}  // namespace

BOOST_AUTO_TEST_CASE(inputs_and_outputs_come_back_byte_for_byte) {
  const Bytes in = inputs_block();
  const auto inputs = read_inputs(in);
  BOOST_REQUIRE(inputs.has_value());
  BOOST_TEST(inputs->size() == std::variant_size_v<Input>);
  Bytes again;
  write_inputs(*inputs, again);
  BOOST_TEST(again == in);
  BOOST_TEST((std::get<Command>((*inputs)[11]).op == Command::Op::kTrap));
  BOOST_TEST(std::get<Gone>(inputs->back()).owner.value == 12U);

  Bytes out;
  write_outputs(every_output(), out);
  const auto outputs = read_outputs(out);
  BOOST_REQUIRE(outputs.has_value());
  again.clear();
  write_outputs(*outputs, again);
  BOOST_TEST(again == out);
}

// The form JavaScript relies on: kind, size, fields of fixed width, little-endian.
BOOST_AUTO_TEST_CASE(a_response_has_the_documented_bytes) {
  Bytes block;
  write_inputs(std::vector<Input>{Response{0x01020304, 200, 5, {0xAA}}}, block);
  const Bytes expected{6, 15, 0, 0, 0, 4, 3, 2, 1, 200, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0xAA};
  BOOST_TEST(block == expected);
}

BOOST_AUTO_TEST_CASE(every_cut_is_refused) {
  const Bytes block = inputs_block();
  std::vector<std::size_t> ends{0};  // a block may end between two records
  for (std::size_t at = 0; at < block.size();) {
    const std::size_t size = block[at + 1] | static_cast<std::size_t>(block[at + 2]) << 8;
    ends.push_back(at += 5 + size);
  }
  for (std::size_t size = 0; size < block.size(); ++size) {
    const bool whole = std::find(ends.begin(), ends.end(), size) != ends.end();
    BOOST_TEST(read_inputs(ByteView(block).first(size)).has_value() == whole);
  }
}

BOOST_AUTO_TEST_CASE(hostile_counts_kinds_and_tails_are_refused) {
  BOOST_TEST(!read_inputs(Bytes{99, 0, 0, 0, 0}));                              // no such kind
  BOOST_TEST(!read_inputs(Bytes{8, 1, 0, 0, 0, 0}));                            // Woke has no fields
  BOOST_TEST(!read_inputs(Bytes{9, 2, 0, 0, 0, 2, 0}));                         // neither true nor false
  BOOST_TEST(!read_inputs(Bytes{2, 8, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255}));  // four billion records
  BOOST_TEST(!read_inputs(Bytes{2, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}));    // one record of one byte
  BOOST_TEST(!read_inputs(Bytes{8, 255, 255, 255, 255}));
}

BOOST_AUTO_TEST_CASE(a_wrong_byte_anywhere_never_harms) {
  const Bytes block = inputs_block();
  Prng prng{5};
  for (std::uint32_t round = 0; round < 20'000; ++round) {
    Bytes wrong = block;
    for (std::uint32_t n = prng.below(3) + 1; n > 0; --n)
      wrong[prng.below(static_cast<std::uint32_t>(wrong.size()))] = static_cast<std::uint8_t>(prng.next());
    const auto inputs = read_inputs(wrong);
    if (!inputs) continue;
    Bytes again;
    write_inputs(*inputs, again);
    BOOST_TEST(again == wrong);
  }
}
