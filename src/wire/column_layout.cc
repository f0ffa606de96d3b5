#include "wire/column_layout.h"

#include "wire/shape.h"

namespace oas::wire {

Result<std::uint32_t> Layout::column_of(std::uint32_t path) {
  const std::uint32_t mask = static_cast<std::uint32_t>(slots_.size()) - 1;
  std::uint32_t at = (path * 0x9E3779B1U >> 16) & mask;
  for (; slots_[at] != kNothing; at = (at + 1) & mask)
    if (columns_[slots_[at]].path == path) return slots_[at];
  if (columns_.size() == kColumnsMax) return fail(ErrorCode::kLimit, kColumnsMax);
  slots_[at] = static_cast<std::uint32_t>(columns_.size());
  columns_.push_back({.path = path});
  return slots_[at];
}

Result<void> Layout::learn_shape(std::uint32_t shape, std::string_view text) {
  if (text.empty()) return fail(ErrorCode::kUndecodable);
  const std::uint32_t flags = static_cast<std::uint32_t>(static_cast<std::uint8_t>(text[0])) - kShapeFlags;
  if (flags > (kHasEntityBit | kHasDedupeBit)) return fail(ErrorCode::kUndecodable);
  std::vector<std::uint32_t> paths{kTypePath, kModulePath};
  if ((flags & kHasEntityBit) != 0) paths.push_back(kEntityPath);
  if ((flags & kHasDedupeBit) != 0) paths.push_back(kDedupePath);
  hole_paths(text.substr(1), paths);
  if (shape >= shapes_.size()) shapes_.resize(shape + 1);
  shapes_[shape].reserve(paths.size());
  for (const std::uint32_t path : paths) {
    OAS_TRY(const std::uint32_t column, column_of(path));
    shapes_[shape].push_back(column);
  }
  return {};
}

Result<void> Layout::add_row(std::uint32_t shape, std::string_view text) {
  if (shape >= shapes_.size() || shapes_[shape].empty()) OAS_CHECK(learn_shape(shape, text));
  values_ += static_cast<std::uint32_t>(shapes_[shape].size());
  if (values_ > kColumnValuesMax) return fail(ErrorCode::kLimit, kColumnValuesMax);
  for (const std::uint32_t column : shapes_[shape]) {
    std::vector<std::uint16_t>& rows = columns_[column].rows;
    if (!rows.empty() && rows.back() == row_) columns_[column].single = false;
    rows.push_back(row_);
  }
  ++row_;
  return {};
}

}  // namespace oas::wire
