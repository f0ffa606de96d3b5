// What writer and reader of columns must agree on without a word: which value belongs to which column, and what each
// column is guessed from.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "wire/columns.h"
#include "wire/range_coder.h"
#include "wire/value_kind.h"

namespace oas::wire {

// Columns that are not in the JSON.
enum Path : std::uint32_t { kShapePath = 0, kTypePath = 1, kModulePath = 2, kEntityPath = 3, kDedupePath = 4 };

// A row's shape starts with its event's flags as a digit; then comes the JSON's shape.
inline constexpr std::uint8_t kShapeFlags = '0';
inline constexpr std::uint8_t kHasEntityBit = 1;
inline constexpr std::uint8_t kHasDedupeBit = 2;

inline constexpr std::uint32_t kNothing = 0xFFFFFFFFU;

// Columns in the order in which rows first need them.
class Layout {
 public:
  struct Column {
    std::uint32_t path{};
    bool single = true;  // no row has two values
    std::vector<std::uint16_t> rows;  // the row of each value
  };
  Layout() { slots_.fill(kNothing); }

  // Tells apart shapes by number; `text` is read once per shape. Errors: kLimit, kUndecodable for a shape without flags.
  Result<void> add_row(std::uint32_t shape, std::string_view text);

  [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }
  // The column of each value of a row of this shape, in order.
  [[nodiscard]] const std::vector<std::uint32_t>& of_shape(std::uint32_t shape) const { return shapes_[shape]; }

 private:
  Result<void> learn_shape(std::uint32_t shape, std::string_view text);
  Result<std::uint32_t> column_of(std::uint32_t path);

  std::vector<Column> columns_;
  std::vector<std::vector<std::uint32_t>> shapes_;
  std::array<std::uint32_t, kColumnsMax * 2> slots_;  // open addressing by path
  std::uint32_t values_ = 0;
  std::uint16_t row_ = 0;
};

// Two guesses at a column's next value: what it was last time in this context, and what last followed that.
class Guesser {
 public:
  Guesser(std::uint32_t contexts, std::uint32_t ids) : last_(contexts, kNothing), next_(ids, kNothing) {}
  [[nodiscard]] std::uint32_t last(std::uint32_t context) const { return last_[context]; }
  [[nodiscard]] std::uint32_t follower(std::uint32_t id) const { return id == kNothing ? kNothing : next_[id]; }
  void learn(std::uint32_t context, std::uint32_t id) {
    if (last_[context] != kNothing) next_[last_[context]] = id;
    last_[context] = id;
  }

 private:
  std::vector<std::uint32_t> last_;
  std::vector<std::uint32_t> next_;
};

enum class ColumnMode : std::uint8_t { kReferences = 0, kDeltas = 1, kFromClock = 2 };

// How one column is written. Context 0 = none, else the number of an earlier column with references, plus one.
struct ColumnPlan {
  ColumnMode mode{};
  ValueKind kind{};
  std::uint32_t context{};
  bool newest_first{};  // references count from the newest value
};

struct PlanModel {
  TreeModel<2> mode;
  TreeModel<3> kind;
  UintModel context;
  Prob newest;
};

struct ColumnModel {
  std::array<Prob, 16> last;
  std::array<Prob, 16> follower;
  std::array<Prob, 16> fresh;
  UintModel reference;
  UintModel number;
  ValueCoder values;
};

struct ClockModel {
  UintModel millis;
  UintModel counter;
};

// What happened to the last two values of a column: the circumstances under which its bits are learned.
enum Outcome : std::uint32_t { kWasLast = 0, kWasFollower = 1, kWasKnown = 2, kWasFresh = 3 };
[[nodiscard]] constexpr std::uint32_t after(std::uint32_t history, Outcome outcome) {
  return (history << 2 | outcome) & 15;
}

[[nodiscard]] constexpr std::int64_t millis_of(Hlc hlc) { return static_cast<std::int64_t>(hlc.value >> 16); }

}  // namespace oas::wire
