// Merges of JSON documents and stored states: equal bytes in every build.
#include <array>
#include <string>

#include "../unit/merge/samples.h"
#include "kind.h"
#include "merge/document.h"
#include "merge/three_way.h"

namespace oas::golden {
namespace {

using namespace merge;

constexpr std::string_view kSchemas[] = {"{}", R"({"":"merge:manual"})",
                                         R"({"/a":"counter","/b":"set","/c":"list:key=id","/d":"max edit-wins"})"};

void write_document(wire::Writer& out, const MaybeValue& value) { out.text(value ? to_json(*value) : ""); }

Result<MaybeValue> read_document(wire::Reader& in) {
  OAS_TRY(const std::string_view text, in.text(1'000'000));
  if (text.empty()) return MaybeValue();
  OAS_TRY(Value value, parse_json(text));
  return MaybeValue(std::move(value));
}

// merge: schema, base, ours, theirs → merged document, records, state.
std::vector<Bytes> merge_inputs() {
  Prng prng(0x6D65726765ULL);
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < 300; ++i) {
    Bytes bytes;
    wire::Writer writer(bytes);
    const Value base = samples::value(prng);
    writer.text(kSchemas[i % std::size(kSchemas)]);
    write_document(writer, prng.chance(1, 12) ? MaybeValue() : MaybeValue(base));
    for (int side = 0; side < 2; ++side)
      write_document(writer, prng.chance(1, 12) ? MaybeValue() : MaybeValue(samples::edited(base, prng)));
    out.push_back(std::move(bytes));
  }
  return out;
}

Bytes run_merge(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const MaybeValue schema, read_document(in));
    OAS_TRY(const MaybeValue base, read_document(in));
    OAS_TRY(const MaybeValue ours, read_document(in));
    OAS_TRY(const MaybeValue theirs, read_document(in));
    ThreeWayOptions options;
    OAS_TRY(options.rules, Rules::parse(*schema));
    OAS_TRY(const ThreeWay merged, merge_three_way(base, ours, theirs, options));
    write_document(out, merged.shown.value);
    for (const Record& record : merged.shown.records) out.text(record_json(record));
    out.raw(merged.state);
    return {};
  });
}

// merge-state: state → the same state, and what it shows; half of the inputs are damaged.
std::vector<Bytes> state_inputs() {
  Prng prng(0x7374617465ULL);
  std::vector<Bytes> out;
  for (const Bytes& input : merge_inputs()) {
    wire::Reader in(input);
    (void)in.text(1'000'000);
    const auto base = read_document(in), ours = read_document(in), theirs = read_document(in);
    auto merged = merge_three_way(*base, *ours, *theirs, {});
    Bytes state = std::move(merged->state);
    if (prng.chance(1, 2))
      state[prng.below(static_cast<std::uint32_t>(state.size()))] = static_cast<std::uint8_t>(prng.next());
    out.push_back(std::move(state));
  }
  return out;
}

Bytes run_state(ByteView input) {
  return answer(input, [input](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const Document document, Document::open(input));
    out.u64(document.digest());
    const Shown shown = document.view({});
    write_document(out, shown.value);
    out.varint(shown.records.size());
    return {};
  });
}

// merge-held: state with operations on hold → the same state, what it shows, and the records of what waits; some are damaged.
std::vector<Bytes> held_inputs() {
  Prng prng(0x68656C64ULL);
  std::vector<Bytes> out;
  while (out.size() < 120) {
    const Value base = samples::value(prng);
    Document document(base);
    Delta delta = put(document.view({}), samples::edited(base, prng), {}, {{7}, 1, hlc_at({1'000})});
    if (delta.ops.empty()) continue;
    for (const PlacedOp& placed : delta.ops)
      if (prng.chance(1, 2)) delta.holds.push_back({placed.op.dot, "R28 rule " + std::to_string(out.size())});
    if (delta.holds.empty()) delta.holds.push_back({delta.ops.front().op.dot, "R33"});
    if (!document.apply(std::move(delta))) continue;
    Bytes state = document.bytes();
    if (prng.chance(1, 4))
      state[prng.below(static_cast<std::uint32_t>(state.size()))] = static_cast<std::uint8_t>(prng.next());
    out.push_back(std::move(state));
  }
  return out;
}

Bytes run_held(ByteView input) {
  return answer(input, [input](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const Document document, Document::open(input));
    out.u64(document.digest());
    const Shown shown = document.view({});
    write_document(out, shown.value);
    for (const Record& record : shown.records) out.text(record_json(record));
    return {};
  });
}

constexpr std::array<Kind, 3> kKinds{{{"merge", merge_inputs, run_merge},
                                      {"merge-state", state_inputs, run_state},
                                      {"merge-held", held_inputs, run_held}}};

}  // namespace

std::span<const Kind> merge_kinds() { return kKinds; }

}  // namespace oas::golden
