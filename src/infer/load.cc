// Reads OASM from bytes nobody vouches for. Nothing is used before it is checked: sizes first, then the checksum, then
// the header, then the order of operations and every number of every float tensor.
#include <algorithm>
#include <bit>

#include "base/cold.h"
#include "infer/model.h"
#include "infer/sha256.h"
#include "infer/sticky.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

// `detail` of kMalformed: which check refused the file.
enum Refusal : std::uint8_t {
  kMagic = 1,
  kLayout,
  kKind,
  kLabelCount,
  kTensorShape,
  kTensorPlace,
  kNotFinite,
  kUnknownOp,
  kOpOrder,
  kOpShape,
  kOpNumber,
  kTree,
  kIds,
  kViewGroups,
  kPadding,
};

void check(StickyReader& in, bool good, Refusal why) {
  if (!good) in.refuse(ErrorCode::kMalformed, why);
}

bool finite(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7F800000U) != 0x7F800000U; }

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

constexpr std::uint64_t aligned(std::uint64_t at) { return (at + kTensorAlign - 1) / kTensorAlign * kTensorAlign; }

struct Layout {
  std::uint32_t header = 0, meta = 0, blob_at = 0, blob = 0;
};

constexpr std::uint32_t kFixedBytes = 64;

void read_layout(StickyReader& in, std::size_t file_size, Layout& layout) {
  if (file_size > kModelBytesMax) return in.refuse(ErrorCode::kLimit, kModelBytesMax);
  check(in, in.u32() == 0x4D53414F, kMagic);
  const std::uint16_t version = in.u16();
  if (version != kModelVersion) in.refuse(ErrorCode::kUnknownVersion, version);
  check(in, in.u16() == 0, kLayout);
  layout.header = in.u32();
  layout.meta = in.u32();
  layout.blob_at = in.u32();
  layout.blob = in.u32();
  in.raw(32);
  check(in, in.u64() == 0, kLayout);
  if (std::max(layout.header, layout.meta) > kModelHeaderBytesMax) in.refuse(ErrorCode::kLimit, kModelHeaderBytesMax);
  const std::uint64_t blob_at = aligned(std::uint64_t{kFixedBytes} + layout.header + layout.meta);
  check(in, layout.blob_at == blob_at, kLayout);
  const std::uint64_t total = blob_at + layout.blob + 32;
  if (file_size < total) in.refuse(ErrorCode::kTruncated, total);
  check(in, file_size == total, kLayout);
}

void read_views(StickyReader& in, Model& model) {
  model.views.resize(1 + in.count(kModelViewsMax - 1));
  model.views[0].name = "labels";
  model.views[0].labels = model.labels;
  model.views[0].group_of.resize(model.labels.size());
  for (std::size_t i = 0; i < model.labels.size(); ++i) {
    model.views[0].group_of[i] = static_cast<std::uint16_t>(i + 1);
  }
  for (std::size_t v = 1; v < model.views.size() && in.ok(); ++v) {
    View& view = model.views[v];
    view.name = in.text(kModelTextBytesMax);
    in.texts(view.labels, kModelLabelsMax, kModelTextBytesMax);
    check(in, !view.labels.empty(), kViewGroups);
    view.group_of.resize(model.labels.size());
    for (std::uint16_t& group : view.group_of) {
      group = static_cast<std::uint16_t>(in.count(static_cast<std::uint32_t>(view.labels.size())));
    }
    view.threshold = in.f32(0.0f, 1.0f);
  }
}

bool all_finite(const Tensor& tensor) {
  for (std::uint64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.dtype == DType::kF32 && !finite(f32_at(tensor, i))) return false;
    if (tensor.dtype == DType::kF16 && (u16_at(tensor, i) & 0x7C00) == 0x7C00) return false;
  }
  return true;
}

// Tensors lie in the blob in order, each at the next aligned place, with nothing between or behind.
void read_tensors(StickyReader& in, Model& model, ByteView blob) {
  std::uint64_t place = 0;
  for (std::uint32_t count = in.count(kModelTensorsMax); count > 0 && in.ok(); --count) {
    Tensor tensor;
    const std::uint8_t dtype = in.u8();
    tensor.dtype = static_cast<DType>(dtype);
    tensor.rows = in.count(kModelBytesMax);
    tensor.cols = in.count(kModelBytesMax);
    const std::uint64_t offset = in.count(kModelBytesMax);
    const bool shape = dtype < kDTypeCount && tensor.size() > 0 && tensor.size() <= std::uint64_t{2} * kModelBytesMax &&
                       (tensor.dtype != DType::kI4 || tensor.cols % 8 == 0);
    if (!shape) return check(in, false, kTensorShape);
    const std::uint64_t bytes = tensor_bytes(tensor.dtype, tensor.size());
    const std::uint64_t end = aligned(offset + bytes);
    if (offset != place || end > blob.size()) return check(in, false, kTensorPlace);
    const ByteView padding =
        blob.first(static_cast<std::size_t>(end)).last(static_cast<std::size_t>(end - offset - bytes));
    check(in, all_zero(padding), kPadding);
    tensor.data = blob.data() + offset;
    check(in, all_finite(tensor), kNotFinite);
    place = end;
    model.tensors.push_back(tensor);
  }
  check(in, place == blob.size(), kTensorPlace);
}

bool shape_is(const Tensor& tensor, DType dtype, std::uint64_t rows, std::uint64_t cols) {
  return tensor.dtype == dtype && tensor.rows == rows && tensor.cols == cols;
}

// A forest as one node table: {u8 feature or 255 for a leaf, u8 0, u16 left, u16 right, u16 0, f32 threshold or value}.
// Children come after their parent, so every walk ends; depth is still bounded for the sake of time.
constexpr std::uint32_t kNodeBytes = 12;

bool forest_is_good(const Tensor& nodes, const Tensor& roots, std::uint32_t width) {
  if (nodes.dtype != DType::kU8 || nodes.cols != kNodeBytes || nodes.rows > 65'535) return false;
  if (roots.dtype != DType::kU16 || roots.cols != 1) return false;
  std::vector<std::uint8_t> depth(nodes.rows, 0);
  for (std::uint32_t i = 0; i < nodes.rows; ++i) {
    const std::uint8_t* node = nodes.data + std::size_t{i} * kNodeBytes;
    float number;
    std::memcpy(&number, node + 8, 4);
    if (!finite(number)) return false;
    if (node[0] == 255) continue;
    if (node[0] >= width || depth[i] >= kTreeDepthMax) return false;
    for (std::uint32_t side = 0; side < 2; ++side) {
      std::uint16_t child;
      std::memcpy(&child, node + 2 + 2 * side, 2);
      if (child <= i || child >= nodes.rows) return false;
      depth[child] = std::max(depth[child], static_cast<std::uint8_t>(depth[i] + 1));
    }
  }
  for (std::uint32_t i = 0; i < roots.rows; ++i) {
    if (u16_at(roots, i) >= nodes.rows) return false;
  }
  return true;
}

// What the operation before left behind.
struct State {
  enum Kind : std::uint8_t { kText, kColumns, kHistory, kBuckets, kValues } kind{};
  std::uint32_t width = 0;
};

class OpReader {
 public:
  OpReader(StickyReader& in, Model& model, State& state) : in_(in), model_(model), state_(state) {}

  void read(Op& op) {
    const std::uint8_t code = in_.u8();
    op.code = static_cast<OpCode>(code);
    switch (op.code) {
      case OpCode::kNgramHash: return ngram(op);
      case OpCode::kNumericFeatures: return numeric(op);
      case OpCode::kEmbeddingBag: return bag(op);
      case OpCode::kGemm: return gemm(op);
      case OpCode::kRelu:
      case OpCode::kSigmoid:
      case OpCode::kTanh:
      case OpCode::kSoftmax: return after(State::kValues);
      case OpCode::kTreeEnsemble: return trees(op);
      case OpCode::kSparseRowSum: return sparse(op);
      case OpCode::kCalibrate: return numbers(op);
      case OpCode::kThreshold: numbers(op); return check(in_, op.a >= 0.0f && op.a <= 1.0f && op.b > 0.0f, kOpNumber);
    }
    check(in_, false, kUnknownOp);
  }

 private:
  void after(State::Kind kind) { check(in_, state_.kind == kind, kOpOrder); }
  void shape(bool good) { check(in_, good, kOpShape); }

  // An index that names no tensor gives an empty one, which fits no shape.
  const Tensor& tensor(Op& op, int slot) {
    const std::uint8_t index = in_.u8();
    op.tensors[slot] = index;
    if (index < model_.tensors.size()) return model_.tensors[index];
    shape(false);
    return none_;
  }

  void ngram(Op& op) {
    op.ngram.buckets_log2 = in_.u8();
    op.ngram.char_min = in_.u8();
    op.ngram.char_max = in_.u8();
    after(State::kText);
    check(in_, valid(op.ngram), kOpNumber);
    state_ = {State::kBuckets, std::uint32_t{1} << (op.ngram.buckets_log2 & 31U)};
  }

  void numeric(Op& op) {
    const std::uint32_t count = in_.count(kModelColumnsMax);
    after(State::kColumns);
    shape(count == state_.width);
    std::uint32_t width = 0;
    for (std::uint32_t i = 0; i < count && in_.ok(); ++i) {
      Column column;
      const std::uint8_t kind = in_.u8();
      column.kind = static_cast<ColumnKind>(kind);
      if (column.kind == ColumnKind::kOneHot) column.width = in_.count(kModelColumnsMax);
      width += column.width;
      shape(kind <= 2 && column.width > 0 && width <= kModelWidthMax);
      op.columns.push_back(column);
    }
    shape(shape_is(tensor(op, 0), DType::kF32, count, 2));  // per column: mean, 1 / deviation
    state_ = {State::kValues, width};
  }

  void bag(Op& op) {
    const Tensor& rows = tensor(op, 0);
    const Tensor& scale = tensor(op, 1);
    after(State::kBuckets);
    shape((rows.dtype == DType::kI8 || rows.dtype == DType::kI4) && rows.rows == state_.width &&
          rows.cols <= kModelWidthMax && rows.cols % 4 == 0 && shape_is(scale, DType::kU8, state_.width, 1));
    for (std::uint32_t i = 0; in_.ok() && i < state_.width; ++i) check(in_, scale.data[i] < kScaleCodes, kNotFinite);
    state_ = {State::kValues, rows.cols};
  }

  void gemm(Op& op) {
    const Tensor& weights = tensor(op, 0);
    const Tensor& scale = tensor(op, 1);
    const Tensor& bias = tensor(op, 2);
    after(State::kValues);
    shape(weights.cols == state_.width && state_.width <= kModelWidthMax && weights.rows <= kModelLabelsMax);
    // An f32 layer needs no scale and names the bias twice.
    shape(weights.dtype == DType::kI8    ? shape_is(scale, DType::kF32, weights.rows, 1)
          : weights.dtype == DType::kF32 ? op.tensors[1] == op.tensors[2]
                                         : false);
    shape(shape_is(bias, DType::kF32, weights.rows, 1));
    state_.width = weights.rows;
  }

  void trees(Op& op) {
    const Tensor& nodes = tensor(op, 0);
    const Tensor& roots = tensor(op, 1);
    after(State::kValues);
    check(in_, in_.ok() && forest_is_good(nodes, roots, state_.width), kTree);
    state_.width = 1;
  }

  void sparse(Op& op) {
    const Tensor& ids = tensor(op, 0);
    const Tensor& values = tensor(op, 1);
    const Tensor& scale = tensor(op, 2);
    after(State::kHistory);
    const auto items = static_cast<std::uint32_t>(model_.labels.size());
    shape(ids.dtype == DType::kU16 && ids.rows == items && shape_is(values, DType::kI8, items, ids.cols) &&
          shape_is(scale, DType::kF32, items, 2));  // row scale, prior
    for (std::uint64_t i = 0; in_.ok() && i < ids.size(); ++i) check(in_, u16_at(ids, i) < items, kIds);
    state_ = {State::kValues, items};
  }

  void numbers(Op& op) {
    op.a = in_.f32();
    op.b = in_.f32();
    after(State::kValues);
    check(in_, finite(op.a) && finite(op.b), kOpNumber);
  }

  StickyReader& in_;
  Model& model_;
  State& state_;
  Tensor none_;
};

void read_header(StickyReader& in, Model& model, ByteView blob) {
  model.id = in.text(kModelTextBytesMax);
  model.version = in.text(kModelTextBytesMax);
  const std::uint8_t kind = in.u8();
  check(in, kind <= 2, kKind);
  model.kind = static_cast<ModelKind>(kind);
  model.inputs = in.count(kModelColumnsMax);
  in.texts(model.labels, kModelLabelsMax, kModelTextBytesMax);
  check(in, !model.labels.empty(), kLabelCount);
  read_views(in, model);
  if (in.ok()) read_tensors(in, model, blob);
  State state;
  state.kind = model.kind == ModelKind::kText      ? State::kText
               : model.kind == ModelKind::kNumeric ? State::kColumns
                                                   : State::kHistory;
  state.width = model.inputs;
  for (std::uint32_t count = in.count(kModelOpsMax); count > 0 && in.ok(); --count) {
    model.ops.emplace_back();
    OpReader(in, model, state).read(model.ops.back());
  }
  in.end();
  check(in, state.kind == State::kValues, kOpOrder);
  check(in, state.width == model.labels.size(), kLabelCount);
}

}  // namespace

Result<Model> load_model(Bytes file) {
  Model model;
  model.bytes = std::move(file);
  const ByteView all(model.bytes);
  StickyReader fixed(all);
  Layout layout;
  read_layout(fixed, all.size(), layout);
  if (!fixed.ok()) return std::unexpected(fixed.error());
  const Sha256 hash = sha256(all.first(all.size() - 32));
  if (std::memcmp(hash.data(), all.data() + all.size() - 32, 32) != 0) return fail(ErrorCode::kChecksum);
  model.recipe_sha256 = all.subspan(24, 32);
  const ByteView text = all.first(layout.blob_at).subspan(kFixedBytes);
  model.meta = as_text(text.subspan(layout.header, layout.meta));
  StickyReader header(text.first(layout.header));
  check(header, all_zero(text.subspan(layout.header + layout.meta)), kPadding);
  read_header(header, model, all.subspan(layout.blob_at, layout.blob));
  if (!header.ok()) return std::unexpected(header.error());
  return model;
}

}  // namespace oas::infer

OAS_COLD_END
