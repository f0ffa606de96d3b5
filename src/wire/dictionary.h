// Values that earlier events had, by column: what lets a short segment refer instead of repeat.
//
//   'D' u8 | version u8 | columns varint, each: path u32, values varint | every value, in that order, each closed by U+0000
//
// The column of path kTailPath holds text that is worth quoting from but not referring to: values seen once.
// A dictionary is named by the hash of its bytes, so a segment that uses one can be opened by whoever holds the same
// bytes, and by nobody else. Its bytes are the lz4 prefix of the segment's text as well.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/event.h"
#include "wire/lz4.h"

namespace oas::wire {

inline constexpr std::uint32_t kDictionaryBytesMax = 48'000;
static_assert(kDictionaryBytesMax <= kPrefixBytesMax);
inline constexpr std::uint32_t kDictionaryValuesMax = 16'384;
inline constexpr std::uint32_t kTailPath = 0xFFFFFFFF;

class Dictionary {
 public:
  // Keeps a copy. Errors: kTruncated, kMalformed, kUnknownVersion, kLimit.
  static Result<Dictionary> load(ByteView bytes);

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] ByteView bytes() const { return prefix_.text; }
  [[nodiscard]] const TextPrefix& prefix() const { return prefix_; }
  // The values of a column, most frequent first; none for a path it does not know. O(log columns).
  [[nodiscard]] std::span<const std::string_view> values(std::uint32_t path) const;

 private:
  struct Column {
    std::uint32_t path{};
    std::uint32_t first{};
    std::uint32_t count{};
  };
  std::uint64_t id_{};
  TextPrefix prefix_;  // moving a vector keeps its buffer, so the views below stay good
  std::vector<Column> columns_;  // by path, ascending
  std::vector<std::string_view> values_;
};

// As it is sent: size varint | one lz4 block of so many bytes.
[[nodiscard]] Bytes pack_dictionary(ByteView bytes);
// Errors: those of Dictionary::load; kUndecodable.
Result<Dictionary> unpack_dictionary(ByteView packed);

// Where decoders find dictionaries. Not owned; few, so a list is enough.
using Dictionaries = std::span<const Dictionary* const>;
[[nodiscard]] const Dictionary* find_dictionary(Dictionaries dictionaries, std::uint64_t id);

// Learns from events what is worth remembering.
class DictionaryBuilder {
 public:
  void add(const EventView& event);
  // At most `bytes_max` bytes (itself at most kDictionaryBytesMax): the values that would save most, then at most
  // `tail_max` bytes of the newest text that was seen once. Deterministic.
  [[nodiscard]] Bytes build(std::uint32_t bytes_max, std::uint32_t tail_max = kDictionaryBytesMax) const;

 private:
  struct Seen {
    std::uint32_t times{};
    std::uint32_t last{};  // number of the event
  };
  struct Candidate {
    std::uint32_t path{};
    std::uint32_t times{};
    std::string_view text;
    std::uint64_t worth{};
  };
  [[nodiscard]] std::vector<Candidate> repeated() const;
  void add_tail(std::uint64_t bytes_max, std::vector<Candidate>& kept) const;

  // Ordered, so that what is built depends on nothing but the events.
  std::map<std::pair<std::uint32_t, std::string>, Seen> seen_;
  std::uint32_t events_ = 0;
};

}  // namespace oas::wire
