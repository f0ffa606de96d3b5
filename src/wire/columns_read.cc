// The reading side of columns.h. Nothing it reads is believed: every reference, count and size is checked.
#include <algorithm>

#include "base/limits.h"
#include "wire/column_layout.h"
#include "wire/lz4.h"
#include "wire/shape.h"

namespace oas::wire {
namespace {

constexpr std::uint32_t kPrintedBytesMax = 64;  // one value of a kind other than text

using Texts = std::vector<std::string_view>;

struct Coded {
  std::vector<std::uint32_t> by_row;  // id + 1, 0 = none; empty = no context for others
  std::uint32_t ids{};
};

class ColumnReader {
 public:
  ColumnReader(const Dictionary* dictionary, ByteView text, ByteView coded)
      : dictionary_(dictionary), text_(text), in_(coded) {}

  void clocks(std::uint32_t count, Hlc before, std::vector<Hlc>& hlcs) {
    ClockModel model;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::int64_t delta = from_zigzag(model.millis.read(in_));
      const std::uint64_t counter = model.counter.read(in_);
      const std::uint64_t expected = delta == 0 ? (before.value & 0xFFFF) + 1 : 0;
      const std::uint64_t millis = (before.value >> 16) + static_cast<std::uint64_t>(delta);
      before = {millis << 16 | ((expected + static_cast<std::uint64_t>(from_zigzag(counter))) & 0xFFFF)};
      hlcs.push_back(before);
    }
    hlcs_ = hlcs;
  }

  // Appends the column's values; `ids` names the shape's column only.
  Result<void> column(std::uint32_t path, bool single, std::span<const std::uint16_t> rows, Texts& values,
                      std::vector<std::uint32_t>* ids) {
    ColumnPlan plan;
    plan.mode = static_cast<ColumnMode>(plans_.mode.read(in_));
    plan.kind = static_cast<ValueKind>(plans_.kind.read(in_));
    if (plan.mode > ColumnMode::kFromClock || static_cast<std::uint32_t>(plan.kind) >= kValueKinds)
      return fail(ErrorCode::kUndecodable);
    printed_.emplace_back();
    Coded coded;
    if (plan.mode == ColumnMode::kReferences) {
      const std::uint64_t context = plans_.context.read(in_);
      plan.newest_first = in_.bit(plans_.newest) != 0;
      if (context > columns_.size()) return fail(ErrorCode::kUndecodable);
      plan.context = static_cast<std::uint32_t>(context);
      if (plan.context > 0 && columns_[plan.context - 1].by_row.empty()) return fail(ErrorCode::kUndecodable);
      printed_.back().reserve(plan.kind == ValueKind::kText ? 0 : rows.size() * kPrintedBytesMax);
      if (single) coded.by_row.assign(hlcs_.size(), 0);
      OAS_CHECK(read_references(path, plan, rows, values, coded, ids));
    } else {
      printed_.back().reserve(rows.size() * 20);
      read_numbers(plan, rows, values);
    }
    columns_.push_back(std::move(coded));
    return {};
  }

 private:
  Result<void> read_references(std::uint32_t path, const ColumnPlan& plan, std::span<const std::uint16_t> rows,
                               Texts& values, Coded& coded, std::vector<std::uint32_t>* ids) {
    Texts texts;
    if (dictionary_ != nullptr) {
      const std::span<const std::string_view> known = dictionary_->values(path);
      texts.assign(known.begin(), known.end());
    }
    const std::size_t ids_max = texts.size() + rows.size();
    ColumnModel model;
    Guesser guesses(plan.context == 0 ? 1 : columns_[plan.context - 1].ids + 1, static_cast<std::uint32_t>(ids_max));
    std::uint32_t history = 0;
    for (const std::uint16_t row : rows) {
      const std::uint32_t at = plan.context == 0 ? 0 : columns_[plan.context - 1].by_row[row];
      OAS_TRY(const std::uint32_t id, read_id(model, plan, guesses, at, texts, history));
      guesses.learn(at, id);
      values.push_back(texts[id]);
      if (!coded.by_row.empty()) coded.by_row[row] = id + 1;
      if (ids != nullptr) ids->push_back(id);
    }
    coded.ids = static_cast<std::uint32_t>(texts.size());
    return {};
  }

  Result<std::uint32_t> read_id(ColumnModel& model, const ColumnPlan& plan, const Guesser& guesses, std::uint32_t at,
                                Texts& texts, std::uint32_t& history) {
    const std::uint32_t last = guesses.last(at);
    const std::uint32_t follower = guesses.follower(last);
    if (last != kNothing && in_.bit(model.last[history]) != 0) {
      history = after(history, kWasLast);
      return last;
    }
    if (follower != kNothing && follower != last && in_.bit(model.follower[history]) != 0) {
      history = after(history, kWasFollower);
      return follower;
    }
    const auto count = static_cast<std::uint32_t>(texts.size());
    if (count == 0 || in_.bit(model.fresh[history]) != 0) {
      OAS_TRY(const std::string_view text, read_fresh(model, plan.kind));
      texts.push_back(text);
      history = after(history, kWasFresh);
      return count;
    }
    const std::uint64_t reference = model.reference.read(in_);
    if (reference >= count) return fail(ErrorCode::kUndecodable);
    history = after(history, kWasKnown);
    return plan.newest_first ? count - 1 - static_cast<std::uint32_t>(reference)
                             : static_cast<std::uint32_t>(reference);
  }

  Result<std::string_view> read_fresh(ColumnModel& model, ValueKind kind) {
    if (kind != ValueKind::kText) {
      // Reserved for the whole column, so that views of earlier values stay where they are.
      const std::size_t from = printed_.back().size();
      model.values.read(in_, kind, printed_.back());
      return as_text(ByteView(printed_.back()).subspan(from));
    }
    const ByteView left = text_.subspan(text_at_);
    const auto end = std::find(left.begin(), left.end(), std::uint8_t{0});
    if (end == left.end()) return fail(ErrorCode::kUndecodable);
    const auto size = static_cast<std::size_t>(end - left.begin());
    text_at_ += size + 1;
    return as_text(left.first(size));
  }

  void read_numbers(const ColumnPlan& plan, std::span<const std::uint16_t> rows, Texts& values) {
    ColumnModel model;
    std::int64_t before = 0;
    for (const std::uint16_t row : rows) {
      if (plan.mode == ColumnMode::kFromClock) before = millis_of(hlcs_[row]);
      // Wraps where only a liar's numbers do.
      before = static_cast<std::int64_t>(static_cast<std::uint64_t>(before) +
                                         static_cast<std::uint64_t>(from_zigzag(model.number.read(in_))));
      const std::size_t from = printed_.back().size();
      print_integer(before, printed_.back());
      values.push_back(as_text(ByteView(printed_.back()).subspan(from)));
    }
  }

  const Dictionary* dictionary_;
  ByteView text_;
  std::size_t text_at_ = 0;
  RangeDecoder in_;
  PlanModel plans_;
  std::span<const Hlc> hlcs_;
  std::vector<Coded> columns_;
  std::vector<Bytes> printed_;  // one of fixed capacity for each column
};

// Puts the rows together again.
class RowWriter {
 public:
  RowWriter(Bytes& out, std::size_t size_max) : out_(out), writer_(out), size_max_(size_max) {}

  // `next` gives the row's values in order. Errors: kUndecodable when it would not fit.
  template <class Next>
  Result<void> row(Hlc hlc, std::string_view shape, std::size_t fields, std::size_t holes, Next next) {
    const auto flags = static_cast<std::uint8_t>(shape[0] - kShapeFlags);
    writer_.u64(hlc.value);
    writer_.u8(flags);
    for (std::size_t i = 0; i < fields; ++i) {
      const std::string_view field = next();
      if (out_.size() + field.size() > size_max_) return fail(ErrorCode::kUndecodable);
      writer_.text(field);
    }
    pieces_.clear();
    std::size_t json_bytes = shape.size() - 1 - holes;
    for (std::size_t i = 0; i < holes; ++i) {
      pieces_.push_back(next());
      json_bytes += pieces_.back().size();
    }
    if (out_.size() + json_bytes > size_max_) return fail(ErrorCode::kUndecodable);
    writer_.varint(json_bytes);
    fill(shape.substr(1));
    return {};
  }

 private:
  void fill(std::string_view shape) {
    auto from = shape.begin();
    for (const std::string_view piece : pieces_) {
      const auto hole = std::find(from, shape.end(), static_cast<char>(kHole));
      out_.insert(out_.end(), from, hole);
      out_.insert(out_.end(), piece.begin(), piece.end());
      from = hole + 1;
    }
    out_.insert(out_.end(), from, shape.end());
  }

  Bytes& out_;
  Writer writer_;
  std::size_t size_max_;
  Texts pieces_;
};

Result<Bytes> read_text(Reader& in, const Dictionary* dictionary) {
  OAS_TRY(const std::uint32_t text_bytes, in.count(kSegmentJsonBytesMax * 4));
  OAS_TRY(const std::uint32_t block_bytes, in.count(kSegmentStoredBytesMax));
  Bytes text;
  OAS_TRY(const ByteView block, in.raw(block_bytes == 0 ? text_bytes : block_bytes));
  if (block_bytes == 0)
    text = to_bytes(block);
  else
    OAS_CHECK(decompress_text(block, text_bytes, dictionary == nullptr ? ByteView{} : dictionary->bytes(), text));
  return text;
}

Result<void> read_rows(ByteView bytes, std::uint32_t count, Hlc hlc_first, std::size_t size_max,
                       const Dictionary* dictionary, Bytes& rows) {
  Reader in(bytes);
  OAS_TRY(const Bytes text, read_text(in, dictionary));
  OAS_TRY(const ByteView coded, in.raw(in.left()));
  ColumnReader reader(dictionary, text, coded);
  std::vector<Hlc> hlcs;
  reader.clocks(count, hlc_first, hlcs);

  std::vector<std::uint16_t> every_row(count);
  for (std::uint32_t i = 0; i < count; ++i) every_row[i] = static_cast<std::uint16_t>(i);
  Texts shapes;
  std::vector<std::uint32_t> shape_ids;
  OAS_CHECK(reader.column(kShapePath, true, every_row, shapes, &shape_ids));
  if (shape_ids.size() != count) return fail(ErrorCode::kUndecodable);
  Layout layout;
  for (std::uint32_t i = 0; i < count; ++i) OAS_CHECK(layout.add_row(shape_ids[i], shapes[i]));

  const auto& columns = layout.columns();
  std::vector<Texts> values(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    values[i].reserve(columns[i].rows.size());
    OAS_CHECK(reader.column(columns[i].path, columns[i].single, columns[i].rows, values[i], nullptr));
  }
  std::vector<std::uint32_t> taken(columns.size());
  RowWriter writer(rows, size_max);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::vector<std::uint32_t>& of_shape = layout.of_shape(shape_ids[i]);
    const std::uint32_t flags = static_cast<std::uint8_t>(shapes[i][0]) - std::uint32_t{kShapeFlags};
    const std::size_t fields = 2 + (flags & 1) + (flags >> 1 & 1);
    auto column = of_shape.begin();
    OAS_CHECK(writer.row(hlcs[i], shapes[i], fields, of_shape.size() - fields, [&] {
      const std::uint32_t c = *column++;
      return values[c][taken[c]++];
    }));
  }
  return rows.size() == size_max ? Result<void>{} : fail(ErrorCode::kUndecodable);
}

}  // namespace

Result<void> read_columns(ByteView bytes, std::uint32_t count, Hlc hlc_first, std::uint32_t rows_bytes,
                          const Dictionary* dictionary, Bytes& rows) {
  const std::size_t from = rows.size();
  rows.reserve(from + rows_bytes);
  const Result<void> read = read_rows(bytes, count, hlc_first, from + rows_bytes, dictionary, rows);
  if (!read) rows.resize(from);
  return read;
}

}  // namespace oas::wire
