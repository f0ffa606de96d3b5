#include "infer/write.h"

#include "base/assert.h"
#include "base/cold.h"
#include "wire/writer.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

float magnitude(float v) { return v < 0.0f ? -v : v; }

std::int32_t nearest(float v) { return static_cast<std::int32_t>(v + (v < 0.0f ? -0.5f : 0.5f)); }

std::int32_t clamp(std::int32_t v, std::int32_t limit) { return v > limit ? limit : v < -limit ? -limit : v; }

float row_top(const std::vector<float>& values, std::size_t at, std::uint32_t cols) {
  float top = 0.0f;
  for (std::size_t i = at; i < at + cols; ++i) top = magnitude(values[i]) > top ? magnitude(values[i]) : top;
  return top;
}

// Codes are coarse and, with 4 bits, clipping the largest value often lowers the whole row's error: of the codes around
// "the largest value just fits", the one with the smallest squared error is taken.
std::uint8_t best_scale_code(const std::vector<float>& values, std::size_t at, std::uint32_t cols, std::int32_t limit) {
  const float fitting = row_top(values, at, cols) / static_cast<float>(limit);
  std::uint8_t above = 1;
  while (above + 1 < kScaleCodes && scale_from_code(above) < fitting) ++above;
  std::uint8_t best = above;
  float best_error = -1.0f;
  for (int back = 0; back < (limit > 7 ? 2 : 9) && above > back; ++back) {
    const auto code = static_cast<std::uint8_t>(above - back);
    const float scale = scale_from_code(code);
    float error = 0.0f;
    for (std::size_t i = at; i < at + cols; ++i) {
      const float off = values[i] - scale * static_cast<float>(clamp(nearest(values[i] / scale), limit));
      error += off * off;
    }
    if (best_error < 0.0f || error < best_error) {
      best_error = error;
      best = code;
    }
  }
  return best;
}

}  // namespace

std::uint8_t ModelWriter::raw(DType dtype, std::uint32_t rows, std::uint32_t cols, ByteView bytes) {
  OAS_ASSERT(bytes.size() == tensor_bytes(dtype, std::uint64_t{rows} * cols) && tensors_.size() < kModelTensorsMax);
  tensors_.push_back({dtype, rows, cols, blob_.size()});
  blob_.insert(blob_.end(), bytes.begin(), bytes.end());
  blob_.resize((blob_.size() + kTensorAlign - 1) / kTensorAlign * kTensorAlign);
  return static_cast<std::uint8_t>(tensors_.size() - 1);
}

std::uint8_t ModelWriter::f32(std::uint32_t rows, std::uint32_t cols, const std::vector<float>& values) {
  return raw(DType::kF32, rows, cols, {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * 4});
}

std::uint8_t ModelWriter::f16(const std::vector<float>& values) {
  std::vector<std::uint16_t> halves;
  for (const float v : values) halves.push_back(float_to_half(v));
  return raw(DType::kF16, static_cast<std::uint32_t>(values.size()), 1,
             {reinterpret_cast<const std::uint8_t*>(halves.data()), halves.size() * 2});
}

std::uint8_t ModelWriter::i8(std::uint32_t rows, std::uint32_t cols, const std::vector<std::int8_t>& values) {
  return raw(DType::kI8, rows, cols, {reinterpret_cast<const std::uint8_t*>(values.data()), values.size()});
}

std::uint8_t ModelWriter::u16(std::uint32_t rows, std::uint32_t cols, const std::vector<std::uint16_t>& values) {
  return raw(DType::kU16, rows, cols, {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * 2});
}

ModelWriter::Quantised ModelWriter::rows_coded(std::uint32_t rows, std::uint32_t cols, const std::vector<float>& values,
                                               DType dtype) {
  const std::int32_t limit = dtype == DType::kI4 ? 7 : 127;
  Bytes codes(rows);
  Bytes packed(static_cast<std::size_t>(tensor_bytes(dtype, std::uint64_t{rows} * cols)));
  for (std::uint32_t r = 0; r < rows; ++r) {
    const std::size_t at = std::size_t{r} * cols;
    codes[r] = best_scale_code(values, at, cols, limit);
    const float scale = scale_from_code(codes[r]);
    for (std::uint32_t c = 0; c < cols; ++c) {
      const std::int32_t q = clamp(nearest(values[at + c] / scale), limit);
      if (dtype == DType::kI8) {
        packed[at + c] = static_cast<std::uint8_t>(q);
      } else {
        std::uint8_t& byte = packed[at / 2 + c / 8 * 4 + c % 4];
        byte = static_cast<std::uint8_t>(byte | ((q + 8) << (c % 8 < 4 ? 0 : 4)));
      }
    }
  }
  const std::uint8_t first = raw(dtype, rows, cols, packed);
  return {first, raw(DType::kU8, rows, 1, codes)};
}

ModelWriter::Quantised ModelWriter::rows_f32(std::uint32_t rows, std::uint32_t cols, const std::vector<float>& values) {
  std::vector<float> scales(rows, 0.0f);
  std::vector<std::int8_t> packed(values.size());
  for (std::uint32_t r = 0; r < rows; ++r) {
    const std::size_t at = std::size_t{r} * cols;
    scales[r] = row_top(values, at, cols) / 127.0f;
    for (std::uint32_t c = 0; c < cols && scales[r] > 0.0f; ++c) {
      packed[at + c] = static_cast<std::int8_t>(clamp(nearest(values[at + c] / scales[r]), 127));
    }
  }
  const std::uint8_t first = i8(rows, cols, packed);
  return {first, f32(rows, 1, scales)};
}

void ModelWriter::op(OpCode code, std::initializer_list<std::uint8_t> bytes) {
  ops_.push_back(static_cast<std::uint8_t>(code));
  ops_.insert(ops_.end(), bytes.begin(), bytes.end());
  ++op_count_;
}

void ModelWriter::ngram(const NgramParams& params) {
  op(OpCode::kNgramHash, {static_cast<std::uint8_t>(params.buckets_log2), static_cast<std::uint8_t>(params.char_min),
                          static_cast<std::uint8_t>(params.char_max)});
}

void ModelWriter::numeric(const std::vector<Column>& columns, std::uint8_t scale) {
  op(OpCode::kNumericFeatures);
  wire::Writer out(ops_);
  out.varint(columns.size());
  for (const Column& column : columns) {
    out.u8(static_cast<std::uint8_t>(column.kind));
    if (column.kind == ColumnKind::kOneHot) out.varint(column.width);
  }
  out.u8(scale);
}

void ModelWriter::number(OpCode code, std::initializer_list<float> values) {
  op(code);
  wire::Writer out(ops_);
  for (const float value : values) out.u32(std::bit_cast<std::uint32_t>(value));
}

Bytes ModelWriter::finish() const {
  Bytes header;
  wire::Writer text(header);
  text.text(head_.id);
  text.text(head_.version);
  text.u8(static_cast<std::uint8_t>(head_.kind));
  text.varint(head_.inputs);
  text.varint(head_.labels.size());
  for (const std::string& label : head_.labels) text.text(label);
  text.varint(head_.views.size());
  for (const ViewSpec& view : head_.views) {
    text.text(view.name);
    text.varint(view.labels.size());
    for (const std::string& label : view.labels) text.text(label);
    for (const std::uint16_t group : view.group_of) text.varint(group);
    text.u32(std::bit_cast<std::uint32_t>(view.threshold));
  }
  text.varint(tensors_.size());
  for (const Entry& entry : tensors_) {
    text.u8(static_cast<std::uint8_t>(entry.dtype));
    text.varint(entry.rows);
    text.varint(entry.cols);
    text.varint(entry.offset);
  }
  text.varint(op_count_);
  text.raw(ops_);

  Bytes file;
  wire::Writer out(file);
  const std::size_t end = 64 + header.size() + head_.meta.size();
  const std::size_t blob_at = (end + kTensorAlign - 1) / kTensorAlign * kTensorAlign;
  out.u32(0x4D53414F);
  out.u16(kModelVersion);
  out.u16(0);
  out.u32(static_cast<std::uint32_t>(header.size()));
  out.u32(static_cast<std::uint32_t>(head_.meta.size()));
  out.u32(static_cast<std::uint32_t>(blob_at));
  out.u32(static_cast<std::uint32_t>(blob_.size()));
  out.raw(head_.recipe_sha256);
  out.u64(0);
  out.raw(header);
  out.raw(as_bytes(head_.meta));
  file.resize(blob_at);
  out.raw(blob_);
  out.raw(sha256(file));
  return file;
}

}  // namespace oas::infer

OAS_COLD_END
