// Non-cryptographic 64-bit hashing: checksums, entity hashes, rolling hashes, derived epochs.
//
// Word at a time: h = (h ^ w) * odd, then h ^= h >> 32. Every step is a bijection of h for a fixed word, so two inputs
// that differ in one 8-byte word only never collide; bit flips and torn words are always noticed. Reads little-endian
// on every target. Not for secrets: anyone can make collisions.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/types.h"

namespace oas {

[[nodiscard]] std::uint64_t hash64(ByteView bytes, std::uint64_t seed = 0);

// Mixes one word into a running hash. The order of calls matters.
[[nodiscard]] constexpr std::uint64_t hash_mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 32);
}

// The low half of hash64 of the entity's bytes: what segment heads and dependencies carry.
[[nodiscard]] inline std::uint32_t entity_hash(ByteView entity) { return static_cast<std::uint32_t>(hash64(entity)); }

// The hash of a stream after one more event: chained over the event's canonical bytes (wire/event.h).
[[nodiscard]] inline RollingHash roll(RollingHash before, ByteView event) { return {hash64(event, before.value)}; }

}  // namespace oas
