// Random but valid events for tests: owned strings, views on demand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "wire/event.h"

namespace oas::wire {

struct SampleEvent {
  Hlc hlc;
  std::string type;
  std::string module;
  std::string entity;
  std::string dedupe_key;
  std::optional<EventId> replaces;
  std::string json;

  [[nodiscard]] EventView view() const {
    return {.hlc = hlc,
            .type = type,
            .module = module,
            .entity = entity,
            .dedupe_key = dedupe_key,
            .replaces = replaces,
            .json = as_bytes(json)};
  }
};

// A JSON string literal of about `bytes` bytes; `noise` makes it incompressible.
inline std::string sample_string(Prng& prng, std::uint32_t bytes, bool noise) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = "\"";
  while (out.size() < bytes) {
    if (noise)
      out += kAlphabet[prng.below(64)];
    else
      out += prng.chance(1, 9) ? "Grüße " : "plain text ";
  }
  return out + '"';
}

inline SampleEvent sample_event(Prng& prng, std::uint32_t json_bytes_max = 300, bool noise = false) {
  const auto word = [&](const char* stem, std::uint32_t kinds) { return stem + std::to_string(prng.below(kinds)); };
  SampleEvent event{.hlc = {prng.next() >> 8}, .type = word("type-", 5)};
  if (prng.chance(2, 3)) event.module = word("module ", 3);
  if (prng.chance(1, 2)) event.entity = word("entität/", 20);
  if (prng.chance(1, 5)) event.dedupe_key = word("key ", 9);
  if (prng.chance(1, 10))
    event.replaces =
        EventId{{{prng.next()}, static_cast<Lane>(prng.below(kLaneCount))}, {prng.next() >> prng.below(60)}};
  event.json = sample_string(prng, prng.below(json_bytes_max), noise);
  return event;
}

inline bool same(const EventView& a, const EventView& b) {
  return a.hlc == b.hlc && a.type == b.type && a.module == b.module && a.entity == b.entity &&
         a.dedupe_key == b.dedupe_key && a.replaces == b.replaces && as_text(a.json) == as_text(b.json);
}

}  // namespace oas::wire
