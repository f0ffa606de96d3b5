// Random JSON values and edits of them, small enough that sides often meet.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "merge/json.h"

namespace oas::merge::samples {

inline Value json(std::string_view text) { return *parse_json(text); }

// A place in something of `size` parts.
inline std::size_t place(Prng& prng, std::size_t size) { return prng.below(static_cast<std::uint32_t>(size)); }

inline Value scalar(Prng& prng) {
  switch (prng.below(7)) {
    case 0: return Value();
    case 1: return Value::boolean(prng.chance(1, 2));
    case 2: return Value::integer(static_cast<std::int64_t>(prng.next() >> prng.below(64)));
    case 3: return json(prng.chance(1, 2) ? "0.5" : "-1.25e-7");
    case 4: return Value::string("the quick brown fox");
    default: return Value::string(std::string(1, static_cast<char>('a' + prng.below(6))));
  }
}

inline Value value(Prng& prng, std::uint32_t depth);

inline Value object(Prng& prng, std::uint32_t depth) {
  std::vector<Member> members;
  for (char key = 'a'; key < 'f'; ++key) {
    if (prng.chance(1, 2)) members.push_back({std::string(1, key), value(prng, depth + 1)});
  }
  return Value::object(std::move(members));
}

inline Value array(Prng& prng, std::uint32_t depth) {
  std::vector<Value> items;
  const bool keyed = prng.chance(1, 3);
  const std::uint64_t count = prng.below(5);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (keyed)
      items.push_back(Value::object(
          {{"id", Value::integer(static_cast<std::int64_t>(i * 3 + prng.below(3)))}, {"v", scalar(prng)}}));
    else
      items.push_back(depth < 3 && prng.chance(1, 4) ? value(prng, depth + 1) : scalar(prng));
  }
  return Value::array(std::move(items));
}

inline Value value(Prng& prng, std::uint32_t depth = 0) {
  const std::uint64_t kind = depth == 0 ? prng.below(8) : prng.below(10);
  if (depth > 3 || kind >= 8) return scalar(prng);
  return kind < 5 ? object(prng, depth) : array(prng, depth);
}

// The value with a few things changed, added, removed or moved.
inline Value edited(const Value& from, Prng& prng, std::uint32_t depth = 0) {
  if (prng.chance(1, 12)) return value(prng, depth);
  if (from.is_object()) {
    std::vector<Member> members;
    for (const Member& member : from.members()) {
      if (prng.chance(1, 10)) continue;
      members.push_back({member.key, prng.chance(1, 3) ? edited(member.value, prng, depth + 1) : member.value});
    }
    if (prng.chance(1, 5)) {
      const std::string key(1, static_cast<char>('a' + prng.below(7)));
      const auto at = std::find_if(members.begin(), members.end(), [&](const Member& one) { return one.key >= key; });
      if (at == members.end() || at->key != key) members.insert(at, {key, value(prng, depth + 1)});
    }
    return Value::object(std::move(members));
  }
  if (from.is_array()) {
    std::vector<Value> items;
    for (const Value& item : from.items()) {
      if (prng.chance(1, 8)) continue;
      items.push_back(prng.chance(1, 4) ? edited(item, prng, depth + 1) : item);
    }
    if (prng.chance(1, 4))
      items.insert(items.begin() + static_cast<std::ptrdiff_t>(place(prng, items.size() + 1)), value(prng, depth + 1));
    if (items.size() > 1 && prng.chance(1, 6)) std::swap(items[0], items[place(prng, items.size())]);
    return Value::array(std::move(items));
  }
  return prng.chance(1, 2) ? scalar(prng) : from;
}

}  // namespace oas::merge::samples
