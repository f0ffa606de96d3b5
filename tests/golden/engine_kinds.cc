// What crosses the WASM border: blocks of inputs and outputs, read, then written again.
#include <array>

#include "engine/io_codec.h"
#include "kind.h"

namespace oas::golden {
namespace {

using namespace oas::engine;

std::uint32_t word(Prng& prng) { return static_cast<std::uint32_t>(prng.next() >> prng.below(64)); }
std::uint16_t half(Prng& prng) { return static_cast<std::uint16_t>(prng.next()); }
Bytes blob(Prng& prng) { return random_bytes(prng, prng.below(20)); }
Millis millis(Prng& prng) { return {static_cast<std::int64_t>(prng.next() >> 20)}; }
StreamId stream(Prng& prng) { return {{prng.next()}, static_cast<Lane>(prng.below(kLaneCount))}; }

Input input_of(Prng& prng, std::uint32_t kind) {
  switch (kind) {
    case 0: {
      Start start{
          .epoch = {prng.next()}, .durability = static_cast<Durability>(prng.below(4)), .drains = prng.chance(1, 2)};
      for (std::uint8_t& byte : start.device.value) byte = static_cast<std::uint8_t>(prng.next());
      for (std::uint8_t& byte : start.seed) byte = static_cast<std::uint8_t>(prng.next());
      for (std::uint64_t& next : start.next) next = random_number(prng);
      return start;
    }
    case 1: return Enqueue{word(prng), word(prng), blob(prng)};
    case 2: {
      Loaded loaded{.load = word(prng)};
      for (std::uint32_t n = prng.below(3); n > 0; --n) loaded.records.push_back({blob(prng), blob(prng)});
      return loaded;
    }
    case 3: return LoadFailed{word(prng)};
    case 4: return Persisted{word(prng)};
    case 5: return PersistFailed{word(prng), static_cast<PersistFailed::Kind>(prng.below(3)), half(prng)};
    case 6: return Response{word(prng), half(prng), word(prng), blob(prng)};
    case 7: return SendFailed{word(prng)};
    case 8: return Woke{};
    case 9: return Connectivity{prng.chance(1, 2), prng.chance(1, 2)};
    case 10: return Peer{blob(prng)};
    case 11: return Command{word(prng), static_cast<Command::Op>(prng.below(8)), blob(prng)};
    default: return Gone{{prng.next()}};
  }
}

Notice notice_of(Prng& prng) {
  switch (prng.below(6)) {
    case 0: return Accepted{word(prng), word(prng), {stream(prng), {prng.next()}}};
    case 1: return Failed{word(prng), half(prng), prng.next()};
    case 2: return CommandResult{word(prng), blob(prng)};
    case 3: {
      Settled settled{stream(prng), {random_number(prng)}, {random_number(prng)}, prng.chance(1, 2), {}};
      for (std::uint32_t n = prng.below(3); n > 0; --n)
        settled.exceptions.push_back({{random_number(prng)}, static_cast<std::uint8_t>(prng.below(5)), half(prng)});
      return settled;
    }
    case 4: {
      Status status{.phase = static_cast<Phase>(prng.below(6)), .reason = half(prng), .attempts = word(prng)};
      for (std::uint64_t& pending : status.pending) pending = random_number(prng);
      status.created = random_number(prng);
      status.next_attempt = millis(prng);
      return status;
    }
    default: return NeedToken{};
  }
}

Output output_of(Prng& prng, std::uint32_t kind) {
  switch (kind) {
    case 0: {
      Persist persist{
          .tx = word(prng), .durability = static_cast<Durability>(prng.below(4)), .guard = {blob(prng), blob(prng)}};
      for (std::uint32_t n = prng.below(3); n > 0; --n)
        persist.expects.push_back({static_cast<Expect::Kind>(prng.below(3)), blob(prng), blob(prng)});
      for (std::uint32_t n = prng.below(3); n > 0; --n) persist.puts.push_back({blob(prng), blob(prng)});
      for (std::uint32_t n = prng.below(3); n > 0; --n) persist.deletes.push_back({blob(prng), blob(prng)});
      for (std::uint32_t n = prng.below(3); n > 0; --n)
        persist.covers.push_back(
            {word(prng), half(prng), {{{prng.next()}, static_cast<Lane>(prng.below(kLaneCount))}, {prng.next()}}});
      return persist;
    }
    case 1: return Load{word(prng), {blob(prng), blob(prng)}, word(prng)};
    case 2: return Send{word(prng), prng.chance(1, 2), word(prng), blob(prng)};
    case 3: return Abort{word(prng)};
    case 4: return Tell{blob(prng)};
    case 5: return Deliver{notice_of(prng)};
    case 6: return Log{static_cast<Severity>(prng.below(4)), half(prng), prng.next()};
    case 7: return Wake{millis(prng)};
    default: return Follow{{prng.next()}};
  }
}

void damage_some(Prng& prng, Bytes& block) {
  const auto size = static_cast<std::uint32_t>(block.size());
  if (size > 0 && prng.chance(1, 3)) block[prng.below(size)] = static_cast<std::uint8_t>(prng.next());
  if (size > 0 && prng.chance(1, 8)) block.resize(prng.below(size));
}

std::vector<Bytes> inputs_inputs() {
  Prng prng(501);
  std::vector<Bytes> out;
  // Those of a kind that came later are at the end: vectors are added, never changed.
  for (std::uint32_t i = 0; i < 168; ++i) {
    std::vector<Input> inputs{input_of(prng, i < 160 ? i % 12 : 12)};
    if (prng.chance(1, 3)) inputs.push_back(input_of(prng, prng.below(12)));
    Bytes block;
    write_inputs(inputs, block);
    damage_some(prng, block);
    out.push_back(std::move(block));
  }
  return out;
}
Bytes run_inputs(ByteView input) {
  return answer(input, [&](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::vector<Input> inputs, read_inputs(input));
    Bytes again;
    write_inputs(inputs, again);
    out.raw(again);
    return {};
  });
}

std::vector<Bytes> outputs_inputs() {
  Prng prng(502);
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < 208; ++i) {
    std::vector<Output> outputs{output_of(prng, i < 200 ? i % 8 : 8)};
    if (prng.chance(1, 3)) outputs.push_back(output_of(prng, prng.below(8)));
    Bytes block;
    write_outputs(outputs, block);
    damage_some(prng, block);
    out.push_back(std::move(block));
  }
  return out;
}
Bytes run_outputs(ByteView input) {
  return answer(input, [&](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::vector<Output> outputs, read_outputs(input));
    Bytes again;
    write_outputs(outputs, again);
    out.raw(again);
    return {};
  });
}

constexpr std::array kKinds{
    Kind{"inputs", inputs_inputs, run_inputs},
    Kind{"outputs", outputs_inputs, run_outputs},
};

}  // namespace

std::span<const Kind> engine_kinds() { return kKinds; }

}  // namespace oas::golden
