// The writing side of columns.h: interns values, tries contexts, codes.
#include <bit>
#include <cstring>

#include "base/hash.h"
#include "base/limits.h"
#include "wire/column_layout.h"
#include "wire/lz4.h"
#include "wire/shape.h"

namespace oas::wire {
namespace {

// Contexts tried for one column: its nearest neighbours on the left. More would cost time and seldom help.
constexpr std::uint32_t kContextsTried = 12;

// Texts of one column, numbered in order of appearance after those of the dictionary. Open addressing.
class Interner {
 public:
  void start(std::span<const std::string_view> known, std::size_t more) {
    const std::size_t size = std::bit_ceil((known.size() + more) * 2 + 2);
    slots_.assign(size, Slot{});
    texts_.clear();
    // A dictionary of ours names no value twice; another's may, and each still takes a number.
    for (const std::string_view text : known)
      if (const std::uint32_t next = count(); number(text) != next) texts_.push_back(text);
  }
  std::uint32_t number(std::string_view text) {
    const std::uint64_t hash = hash64(as_bytes(text));
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    for (; slots_[at].number != kNothing; at = (at + 1) & mask)
      if (slots_[at].tag == static_cast<std::uint32_t>(hash >> 32) && texts_[slots_[at].number] == text)
        return slots_[at].number;
    slots_[at] = {static_cast<std::uint32_t>(hash >> 32), count()};
    texts_.push_back(text);
    return slots_[at].number;
  }
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(texts_.size()); }
  [[nodiscard]] std::string_view text(std::uint32_t id) const { return texts_[id]; }

 private:
  struct Slot {
    std::uint32_t tag{};
    std::uint32_t number = kNothing;
  };
  std::vector<Slot> slots_;
  std::vector<std::string_view> texts_;
};

struct Coded {
  std::vector<std::uint32_t> by_row;  // id + 1 of each row's value, 0 = none; empty = no context for others
  std::uint32_t ids{};
};

// Half bits, about.
std::uint64_t number_cost(std::int64_t value) { return 2 * std::bit_width(to_zigzag(value)) + 2; }

class ColumnWriter {
 public:
  ColumnWriter(const Dictionary* dictionary, Bytes& text, RangeEncoder& out)
      : dictionary_(dictionary), text_(text), out_(out) {}

  void clocks(std::span<const Hlc> hlcs, Hlc before) {
    hlcs_ = hlcs;
    ClockModel model;
    for (const Hlc hlc : hlcs) {
      const std::int64_t millis = millis_of(hlc) - millis_of(before);
      model.millis.write(out_, to_zigzag(millis));
      const std::int64_t expected = millis == 0 ? static_cast<std::int64_t>(before.value & 0xFFFF) + 1 : 0;
      model.counter.write(out_, to_zigzag(static_cast<std::int64_t>(hlc.value & 0xFFFF) - expected));
      before = hlc;
    }
  }

  // The values of one column and the rows they stand in.
  void column(std::uint32_t path, bool single, std::span<const std::string_view> values,
              std::span<const std::uint16_t> rows) {
    values_ = values;
    rows_ = rows;
    known_ = dictionary_ == nullptr ? 0 : static_cast<std::uint32_t>(dictionary_->values(path).size());
    interner_.start(dictionary_ == nullptr ? std::span<const std::string_view>{} : dictionary_->values(path),
                    values.size());
    ids_.clear();
    for (const std::string_view value : values) ids_.push_back(interner_.number(value));
    const ColumnPlan plan = choose();
    plans_.mode.write(out_, static_cast<std::uint32_t>(plan.mode));
    plans_.kind.write(out_, static_cast<std::uint32_t>(plan.kind));
    Coded coded;
    if (plan.mode == ColumnMode::kReferences) {
      plans_.context.write(out_, plan.context);
      out_.bit(plans_.newest, plan.newest_first ? 1 : 0);
      write_references(plan);
      coded.ids = interner_.count();
      if (single) {
        coded.by_row.assign(hlcs_.size(), 0);
        for (std::size_t i = 0; i < ids_.size(); ++i) coded.by_row[rows_[i]] = ids_[i] + 1;
      }
    } else {
      write_numbers(plan);
    }
    columns_.push_back(std::move(coded));
  }

  [[nodiscard]] std::uint32_t id(std::size_t value) const { return ids_[value]; }

 private:
  [[nodiscard]] std::uint32_t context_of(std::uint32_t context, std::size_t value) const {
    return context == 0 ? 0 : columns_[context - 1].by_row[rows_[value]];
  }
  [[nodiscard]] Guesser guesser(std::uint32_t context) const {
    return {context == 0 ? 1 : columns_[context - 1].ids + 1, interner_.count()};
  }

  struct Trial {
    std::uint64_t cost{};
    bool newest_first{};
  };
  // What the references would cost under a context, new values left out.
  [[nodiscard]] Trial try_context(std::uint32_t context) const {
    Guesser guesses = guesser(context);
    std::uint64_t oldest = 0;
    std::uint64_t newest = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint32_t next_new = known_;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      const std::uint32_t at = context_of(context, i);
      const std::uint32_t last = guesses.last(at);
      if (ids_[i] == last || ids_[i] == guesses.follower(last)) {
        ++hits;
      } else if (ids_[i] == next_new) {
        ++misses;
      } else {
        ++misses;
        oldest += 2 * std::bit_width(ids_[i]) + 1;
        newest += 2 * std::bit_width(next_new - 1 - ids_[i]) + 1;
      }
      if (ids_[i] == next_new) ++next_new;
      guesses.learn(at, ids_[i]);
    }
    // A bit says hit or miss; it costs what its surprise is worth, which is least when one of them is rare.
    const std::uint64_t surprise = 2 * std::min(hits, misses) + (hits + misses) / 8;
    return {surprise + std::min(oldest, newest), newest < oldest};
  }

  [[nodiscard]] ColumnPlan choose() const {
    ColumnPlan plan;
    std::uint32_t all_kinds = ~0U;
    std::uint32_t fresh_kinds = ~0U;
    std::uint64_t fresh_cost = 0;
    std::uint32_t next_new = known_;
    for (const std::uint32_t id : ids_) {
      if (id < known_) {
        if (all_kinds > 1) all_kinds &= kinds_of(interner_.text(id));
      } else if (id == next_new) {
        ++next_new;
        if (fresh_kinds <= 1) continue;
        const std::uint32_t kinds = kinds_of(interner_.text(id));
        fresh_kinds &= kinds;
        std::int64_t number = 0;
        if (read_integer(interner_.text(id), number)) fresh_cost += number_cost(number);
      }
    }
    all_kinds &= fresh_kinds;
    if (next_new > known_)
      for (std::uint32_t kind = kValueKinds - 1; kind > 0; --kind)
        if ((fresh_kinds >> kind & 1) != 0) plan.kind = static_cast<ValueKind>(kind);
    Trial best = try_context(0);
    const std::size_t columns = columns_.size();
    std::uint32_t tried = 0;
    // Constants tell nothing, and a column with one value needs no telling.
    for (std::size_t i = columns; i-- > 0 && tried < kContextsTried && interner_.count() > 1;) {
      if (columns_[i].by_row.empty() || columns_[i].ids < 2) continue;
      ++tried;
      const auto context = static_cast<std::uint32_t>(i + 1);
      const Trial trial = try_context(context);
      if (trial.cost >= best.cost) continue;
      best = trial;
      plan.context = context;
    }
    plan.newest_first = best.newest_first;
    const bool integers = (all_kinds >> static_cast<std::uint32_t>(ValueKind::kInteger) & 1) != 0;
    if (integers && ids_.size() > 1) choose_numbers(plan, best.cost + fresh_cost);
    return plan;
  }

  void choose_numbers(ColumnPlan& plan, std::uint64_t cost) const {
    std::uint64_t deltas = 0;
    std::uint64_t from_clock = 0;
    std::int64_t before = 0;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      std::int64_t number = 0;
      (void)read_integer(interner_.text(ids_[i]), number);
      deltas += number_cost(number - before);
      from_clock += number_cost(number - millis_of(hlcs_[rows_[i]]));
      before = number;
    }
    if (std::min(deltas, from_clock) >= cost) return;
    plan = {.mode = from_clock < deltas ? ColumnMode::kFromClock : ColumnMode::kDeltas, .kind = ValueKind::kInteger};
  }

  void write_references(const ColumnPlan& plan) {
    ColumnModel model;
    Guesser guesses = guesser(plan.context);
    std::uint32_t history = 0;
    std::uint32_t next_new = known_;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      const std::uint32_t id = ids_[i];
      const std::uint32_t at = context_of(plan.context, i);
      const std::uint32_t last = guesses.last(at);
      const std::uint32_t follower = guesses.follower(last);
      guesses.learn(at, id);
      if (last != kNothing) {
        out_.bit(model.last[history], id == last ? 1 : 0);
        if (id == last) {
          history = after(history, kWasLast);
          continue;
        }
      }
      if (follower != kNothing && follower != last) {
        out_.bit(model.follower[history], id == follower ? 1 : 0);
        if (id == follower) {
          history = after(history, kWasFollower);
          continue;
        }
      }
      const bool fresh = id == next_new;
      if (next_new > 0) out_.bit(model.fresh[history], fresh ? 1 : 0);
      if (fresh) {
        ++next_new;
        write_fresh(model, plan.kind, interner_.text(id));
      } else {
        model.reference.write(out_, plan.newest_first ? next_new - 1 - id : id);
      }
      history = after(history, fresh ? kWasFresh : kWasKnown);
    }
  }

  void write_fresh(ColumnModel& model, ValueKind kind, std::string_view text) {
    if (kind != ValueKind::kText) {
      model.values.write(out_, kind, text);
      return;
    }
    text_.insert(text_.end(), text.begin(), text.end());
    text_.push_back(0);
  }

  void write_numbers(const ColumnPlan& plan) {
    ColumnModel model;
    std::int64_t before = 0;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      std::int64_t number = 0;
      (void)read_integer(interner_.text(ids_[i]), number);
      if (plan.mode == ColumnMode::kFromClock) before = millis_of(hlcs_[rows_[i]]);
      model.number.write(out_, to_zigzag(number - before));
      before = number;
    }
  }

  const Dictionary* dictionary_;
  Bytes& text_;
  RangeEncoder& out_;
  PlanModel plans_;
  std::span<const Hlc> hlcs_;
  std::vector<Coded> columns_;
  // of the column in hand
  Interner interner_;
  std::span<const std::string_view> values_;
  std::span<const std::uint16_t> rows_;
  std::vector<std::uint32_t> ids_;
  std::uint32_t known_ = 0;
};

// The rows, taken apart.
struct Cut {
  std::vector<Hlc> hlcs;
  std::vector<std::string_view> shapes;
  std::vector<std::string_view> values;
  Bytes shape_bytes;
};

bool cut_rows(ByteView rows, std::uint32_t count, Cut& cut) {
  Reader in(rows);
  std::vector<std::uint32_t> ends;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Result<EventView> event = read_event(in);
    if (!event || event->replaces) return false;
    cut.hlcs.push_back(event->hlc);
    cut.shape_bytes.push_back(static_cast<std::uint8_t>(kShapeFlags + (event->entity.empty() ? 0 : kHasEntityBit) +
                                                        (event->dedupe_key.empty() ? 0 : kHasDedupeBit)));
    for (const std::string_view field : {event->type, event->module, event->entity, event->dedupe_key})
      if (field.find('\0') != std::string_view::npos) return false;
    cut.values.push_back(event->type);
    cut.values.push_back(event->module);
    if (!event->entity.empty()) cut.values.push_back(event->entity);
    if (!event->dedupe_key.empty()) cut.values.push_back(event->dedupe_key);
    if (cut.values.size() > kColumnValuesMax) return false;
    if (!cut_values(event->json, kColumnValuesMax - cut.values.size(), cut.shape_bytes, cut.values)) return false;
    ends.push_back(static_cast<std::uint32_t>(cut.shape_bytes.size()));
  }
  std::uint32_t from = 0;
  for (const std::uint32_t end : ends) {
    cut.shapes.push_back(as_text(ByteView(cut.shape_bytes).subspan(from, end - from)));
    from = end;
  }
  return true;
}

}  // namespace

bool write_columns(ByteView rows, std::uint32_t count, Hlc hlc_first, const Dictionary* dictionary, Bytes& out) {
  Cut cut;
  if (!cut_rows(rows, count, cut)) return false;
  Bytes text;
  Bytes coded;
  RangeEncoder encoder(coded);
  ColumnWriter writer(dictionary, text, encoder);
  writer.clocks(cut.hlcs, hlc_first);

  std::vector<std::uint16_t> every_row(count);
  for (std::uint32_t i = 0; i < count; ++i) every_row[i] = static_cast<std::uint16_t>(i);
  writer.column(kShapePath, true, cut.shapes, every_row);

  Layout layout;
  std::vector<std::uint32_t> shapes;
  for (std::uint32_t i = 0; i < count; ++i) {
    shapes.push_back(writer.id(i));
    if (!layout.add_row(shapes[i], cut.shapes[i])) return false;
  }
  std::vector<std::vector<std::string_view>> values(layout.columns().size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i].reserve(layout.columns()[i].rows.size());
  std::size_t at = 0;
  for (const std::uint32_t shape : shapes)
    for (const std::uint32_t column : layout.of_shape(shape)) values[column].push_back(cut.values[at++]);
  for (std::size_t i = 0; i < values.size(); ++i)
    writer.column(layout.columns()[i].path, layout.columns()[i].single, values[i], layout.columns()[i].rows);
  encoder.finish();

  Bytes block;
  const std::uint32_t stored = compress_text(text, dictionary == nullptr ? nullptr : &dictionary->prefix(), block);
  Writer head(out);
  head.varint(text.size());
  head.varint(stored < text.size() ? stored : 0);
  head.raw(stored < text.size() ? ByteView(block) : ByteView(text));
  head.raw(coded);
  return true;
}

}  // namespace oas::wire
