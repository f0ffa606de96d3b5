// merge_size: bytes of changes on the wire and of documents after compaction. Prints one JSON line.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/prng.h"
#include "merge/codec.h"
#include "merge/document.h"
#include "wire/lz4.h"

using namespace oas;
using namespace oas::merge;

namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;
constexpr std::uint32_t kChanges = 100;

Value form() {
  return *parse_json(
      R"({"name":"Ada Lovelace","email":"ada@example.org","phone":"+44 20 7946 0000","street":"12 St James's Square",)"
      R"("city":"London","zip":"SW1Y 4JH","country":"GB","newsletter":true,"age":36,"notes":"prefers mail","plan":"basic",)"
      R"("tags":["maths","poetry"],"seats":3})");
}

Value edited(const Value& from, Prng& prng) {
  std::vector<Member> members = from.members();
  Member& member = members[prng.below(static_cast<std::uint32_t>(members.size()))];
  if (member.value.is_string()) member.value = Value::string("text " + std::to_string(prng.below(1'000)));
  if (member.value.is_integer()) member.value = Value::integer(member.value.as_integer() + 1);
  if (member.value.kind() == Value::Kind::kBool) member.value = Value::boolean(!member.value.as_bool());
  if (member.value.is_array())
    member.value = Value::array({Value::string("tag " + std::to_string(prng.below(50))), Value::string("poetry")});
  return Value::object(std::move(members));
}

std::size_t packed(const Bytes& bytes) {
  Bytes out;
  (void)wire::compress(bytes, out);
  return std::min(out.size(), bytes.size());
}

struct Wire {
  std::size_t together = 0;  // one delta with all changes
  std::size_t apart = 0;     // one delta a change, compressed together
  std::size_t apart_plain = 0;
};

// A hundred changes of one field each, a few seconds apart, by one device.
Wire measure_wire(std::uint64_t seed) {
  Prng prng(seed);
  Document document(form());
  std::uint64_t n = 1;
  Delta all;
  Bytes apart;
  for (std::uint32_t i = 0; i < kChanges;) {
    Basis seen = document.view({});
    const Value next = edited(*seen.value, prng);
    const Delta delta = put(
        seen, next, {}, {{0x9E3779B97F4A7C15ULL}, n, hlc_at({kStart + std::int64_t{i} * 4'000 + prng.below(3'000)})});
    if (delta.ops.size() != 1) continue;
    n += delta.ops.size();
    ++i;
    if (!document.apply(delta)) std::abort();
    const Bytes bytes = encode_delta(delta);
    apart.insert(apart.end(), bytes.begin(), bytes.end());
    all.ops.insert(all.ops.end(), delta.ops.begin(), delta.ops.end());
  }
  return {encode_delta(all).size(), packed(apart), apart.size()};
}

struct Compacted {
  std::size_t json = 0;
  std::size_t state = 0;
  std::size_t value = 0;
  std::size_t before = 0;
  double view_us = 0;
};

// `epochs` writers, each after the other, and then the cut some changes behind the newest.
Compacted measure_compaction(std::uint64_t epochs, std::uint32_t behind, std::uint64_t seed) {
  Prng prng(seed);
  Document document(form());
  std::uint64_t change = 0;
  for (std::uint64_t epoch = 1; epoch <= epochs; ++epoch) {
    Basis seen = document.view({});
    seen.version = document.state().version_since(change);
    const Delta delta = put(seen, edited(*seen.value, prng), {},
                            {{epoch * 0x9E3779B97F4A7C15ULL}, 1, hlc_at({kStart + static_cast<std::int64_t>(epoch)})});
    if (delta.empty()) continue;
    if (!document.apply(delta)) std::abort();
    ++change;
    if (!document.apply(
            stamping({delta.ops.front().op.dot.epoch, 1, delta.ops.size()}, {{Millis{1}, 1}, change, Millis{kStart}})))
      std::abort();
    // Thousands of uncompacted changes are shown once each here; compacting now and then keeps the program short.
    if (change % 512 == 0) document.compact(change - behind, {});
  }
  Compacted out;
  out.before = document.bytes().size();
  document.compact(change - behind, {});
  const Shown shown = document.view({});
  out.json = to_json(*shown.value).size();
  out.value = encode_value(*shown.value).size();
  out.state = document.bytes().size();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i) (void)document.view({});
  out.view_us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / 1'000;
  return out;
}

void print(const char* name, const Compacted& c) {
  std::printf(",\"%s\":{\"json\":%zu,\"state\":%zu,\"value\":%zu,\"stateBeforeLastCut\":%zu,\"viewMicroseconds\":%.1f}",
              name, c.json, c.state, c.value, c.before, c.view_us);
}

}  // namespace

int main() {
  Wire sum;
  constexpr std::uint32_t kRuns = 20;
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    const Wire one = measure_wire(seed);
    sum.together += one.together;
    sum.apart += one.apart;
    sum.apart_plain += one.apart_plain;
  }
  const double changes = kRuns * kChanges;
  const auto mean = [&](std::size_t bytes) { return static_cast<double>(bytes) / changes; };
  std::printf("{\"together\":%.2f,\"apartCompressed\":%.2f,\"apartPlain\":%.2f", mean(sum.together), mean(sum.apart),
              mean(sum.apart_plain));
  print("threeWriters", measure_compaction(200, 0, 1));
  print("fiveChangesBehind", measure_compaction(200, 5, 2));
  print("tenThousandWriters", measure_compaction(10'000, 0, 3));
  std::printf("}\n");
  return 0;
}
