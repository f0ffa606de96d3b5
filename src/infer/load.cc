// Reads OASM from bytes nobody vouches for. Nothing is used before it is checked: sizes first, then the checksum, then
// the header, then the order of operations and every number of every float tensor.
#include <bit>

#include "infer/model.h"
#include "infer/sha256.h"
#include "wire/reader.h"

namespace oas::infer {
namespace {

// `detail` of kMalformed: which check refused the file.
enum Refusal : std::uint64_t {
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

std::unexpected<Error> refuse(Refusal why) { return fail(ErrorCode::kMalformed, why); }

bool finite(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7F800000U) != 0x7F800000U; }

struct Layout {
  std::uint32_t header = 0, meta = 0, blob_at = 0, blob = 0;
};

constexpr std::uint32_t kFixedBytes = 64;

Result<Layout> read_layout(ByteView file) {
  if (file.size() > kModelBytesMax) return fail(ErrorCode::kLimit, kModelBytesMax);
  wire::Reader in(file);
  OAS_TRY(const std::uint32_t magic, in.u32());
  if (magic != 0x4D53414F) return refuse(kMagic);
  OAS_TRY(const std::uint16_t version, in.u16());
  if (version != kModelVersion) return fail(ErrorCode::kUnknownVersion, version);
  OAS_TRY(const std::uint16_t flags, in.u16());
  Layout layout;
  OAS_TRY(layout.header, in.u32());
  OAS_TRY(layout.meta, in.u32());
  OAS_TRY(layout.blob_at, in.u32());
  OAS_TRY(layout.blob, in.u32());
  OAS_TRY([[maybe_unused]] const ByteView recipe, in.raw(32));
  OAS_TRY(const std::uint64_t reserved, in.u64());
  if (flags != 0 || reserved != 0) return refuse(kLayout);
  if (layout.header > kModelHeaderBytesMax || layout.meta > kModelHeaderBytesMax)
    return fail(ErrorCode::kLimit, kModelHeaderBytesMax);
  const std::uint64_t text_end = std::uint64_t{kFixedBytes} + layout.header + layout.meta;
  const std::uint64_t aligned = (text_end + kTensorAlign - 1) / kTensorAlign * kTensorAlign;
  if (layout.blob_at != aligned) return refuse(kLayout);
  const std::uint64_t total = aligned + layout.blob + 32;
  if (file.size() < total) return fail(ErrorCode::kTruncated, total);
  if (file.size() > total) return refuse(kLayout);
  return layout;
}

Result<void> read_texts(wire::Reader& in, std::vector<std::string>& out, std::uint32_t max) {
  OAS_TRY(const std::uint32_t count, in.count(max));
  out.reserve(count < 64 ? count : 64);
  for (std::uint32_t i = 0; i < count; ++i) {
    OAS_TRY(const std::string_view text, in.text(kModelTextBytesMax));
    out.emplace_back(text);
  }
  return {};
}

Result<void> read_views(wire::Reader& in, Model& model) {
  View plain{.name = "labels", .labels = {}, .group_of = {}, .threshold = 0.0f};
  for (std::size_t i = 0; i < model.labels.size(); ++i) plain.group_of.push_back(static_cast<std::uint16_t>(i + 1));
  model.views.push_back(std::move(plain));
  OAS_TRY(const std::uint32_t count, in.count(kModelViewsMax - 1));
  for (std::uint32_t i = 0; i < count; ++i) {
    View view;
    OAS_TRY(const std::string_view name, in.text(kModelTextBytesMax));
    view.name = name;
    OAS_CHECK(read_texts(in, view.labels, kModelLabelsMax));
    if (view.labels.empty()) return refuse(kViewGroups);
    for (std::size_t k = 0; k < model.labels.size(); ++k) {
      OAS_TRY(const std::uint32_t group, in.count(static_cast<std::uint32_t>(view.labels.size())));
      view.group_of.push_back(static_cast<std::uint16_t>(group));
    }
    OAS_TRY(const std::uint32_t bits, in.u32());
    view.threshold = std::bit_cast<float>(bits);
    if (!(view.threshold >= 0.0f && view.threshold <= 1.0f)) return refuse(kOpNumber);
    model.views.push_back(std::move(view));
  }
  return {};
}

bool all_finite(const Tensor& tensor) {
  for (std::uint64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.dtype == DType::kF32 && !finite(f32_at(tensor, i))) return false;
    if (tensor.dtype == DType::kF16 && (u16_at(tensor, i) & 0x7C00) == 0x7C00) return false;
  }
  return true;
}

// Tensors lie in the blob in order, each at the next aligned place, with nothing between or behind.
Result<void> read_tensors(wire::Reader& in, Model& model, ByteView blob) {
  OAS_TRY(const std::uint32_t count, in.count(kModelTensorsMax));
  std::uint64_t place = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    Tensor tensor;
    OAS_TRY(const std::uint8_t dtype, in.u8());
    if (dtype >= kDTypeCount) return refuse(kTensorShape);
    tensor.dtype = static_cast<DType>(dtype);
    OAS_TRY(tensor.rows, in.count(kModelBytesMax));
    OAS_TRY(tensor.cols, in.count(kModelBytesMax));
    if (tensor.size() == 0 || tensor.size() > std::uint64_t{2} * kModelBytesMax) return refuse(kTensorShape);
    if (tensor.dtype == DType::kI4 && tensor.cols % 8 != 0) return refuse(kTensorShape);
    OAS_TRY(const std::uint64_t offset, in.varint());
    const std::uint64_t bytes = tensor_bytes(tensor.dtype, tensor.size());
    if (offset != place || bytes > blob.size() - offset) return refuse(kTensorPlace);
    const std::uint64_t end = (offset + bytes + kTensorAlign - 1) / kTensorAlign * kTensorAlign;
    if (end > blob.size()) return refuse(kTensorPlace);
    for (std::uint64_t k = offset + bytes; k < end; ++k) {
      if (blob[static_cast<std::size_t>(k)] != 0) return refuse(kPadding);
    }
    tensor.data = blob.data() + offset;
    if (!all_finite(tensor)) return refuse(kNotFinite);
    place = end;
    model.tensors.push_back(tensor);
  }
  if (place != blob.size()) return refuse(kTensorPlace);
  return {};
}

bool shape_is(const Tensor& tensor, DType dtype, std::uint64_t rows, std::uint64_t cols) {
  return tensor.dtype == dtype && tensor.rows == rows && tensor.cols == cols;
}

// A forest as one node table: {u8 feature or 255 for a leaf, u8 0, i16 left, i16 right, i16 0, f32 threshold or value}.
// Children come after their parent, so every walk ends; depth is still bounded for the sake of time.
constexpr std::uint32_t kNodeBytes = 12;

Result<void> check_forest(const Tensor& nodes, const Tensor& roots, std::uint32_t width) {
  if (nodes.dtype != DType::kU8 || nodes.cols != kNodeBytes || roots.dtype != DType::kU16 || roots.cols != 1)
    return refuse(kOpShape);
  if (nodes.rows > 65'535) return fail(ErrorCode::kLimit, 65'535);
  std::vector<std::uint8_t> depth(nodes.rows, 0);
  for (std::uint32_t i = 0; i < nodes.rows; ++i) {
    const std::uint8_t* node = nodes.data + std::size_t{i} * kNodeBytes;
    float number;
    std::memcpy(&number, node + 8, 4);
    if (!finite(number)) return refuse(kNotFinite);
    if (node[0] == 255) continue;
    if (node[0] >= width || depth[i] >= kTreeDepthMax) return refuse(kTree);
    for (std::uint32_t side = 0; side < 2; ++side) {
      std::uint16_t child;
      std::memcpy(&child, node + 2 + 2 * side, 2);
      if (child <= i || child >= nodes.rows) return refuse(kTree);
      if (depth[child] < depth[i] + 1) depth[child] = static_cast<std::uint8_t>(depth[i] + 1);
    }
  }
  for (std::uint32_t i = 0; i < roots.rows; ++i) {
    if (u16_at(roots, i) >= nodes.rows) return refuse(kTree);
  }
  return {};
}

// What the operation before left behind.
struct State {
  enum Kind : std::uint8_t { kText, kBuckets, kColumns, kValues, kHistory, kDone } kind{};
  std::uint32_t width = 0;
};

class OpReader {
 public:
  OpReader(wire::Reader& in, Model& model) : in_(in), model_(model) {}

  Result<void> read(Op& op, State& state) {
    OAS_TRY(const std::uint8_t code, in_.u8());
    op.code = static_cast<OpCode>(code);
    switch (op.code) {
      case OpCode::kNgramHash: return ngram(op, state);
      case OpCode::kNumericFeatures: return numeric(op, state);
      case OpCode::kEmbeddingBag: return bag(op, state);
      case OpCode::kGemm: return gemm(op, state);
      case OpCode::kRelu:
      case OpCode::kSigmoid:
      case OpCode::kTanh:
      case OpCode::kSoftmax: return state.kind == State::kValues ? Result<void>{} : refuse(kOpOrder);
      case OpCode::kTreeEnsemble: return trees(op, state);
      case OpCode::kSparseRowSum: return sparse(op, state);
      case OpCode::kCalibrate: return numbers(op, state, 2);
      case OpCode::kThreshold: return numbers(op, state, 1);
    }
    return refuse(kUnknownOp);
  }

 private:
  Result<const Tensor*> tensor(Op& op, int slot) {
    OAS_TRY(const std::uint8_t index, in_.u8());
    if (index >= model_.tensors.size()) return refuse(kOpShape);
    op.tensors[slot] = index;
    return &model_.tensors[index];
  }

  Result<void> ngram(Op& op, State& state) {
    OAS_TRY(op.ngram.buckets_log2, in_.u8());
    OAS_TRY(op.ngram.char_min, in_.u8());
    OAS_TRY(op.ngram.char_max, in_.u8());
    if (state.kind != State::kText) return refuse(kOpOrder);
    if (!valid(op.ngram)) return refuse(kOpNumber);
    state = {State::kBuckets, std::uint32_t{1} << op.ngram.buckets_log2};
    return {};
  }

  Result<void> numeric(Op& op, State& state) {
    OAS_TRY(const std::uint32_t count, in_.count(kModelColumnsMax));
    if (state.kind != State::kColumns || count != state.width) return refuse(kOpOrder);
    std::uint32_t width = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      Column column;
      OAS_TRY(const std::uint8_t kind, in_.u8());
      if (kind > 2) return refuse(kOpNumber);
      column.kind = static_cast<ColumnKind>(kind);
      if (column.kind == ColumnKind::kOneHot) {
        OAS_TRY(column.width, in_.count(kModelColumnsMax));
      }
      width += column.width;
      if (column.width == 0 || width > kModelWidthMax) return refuse(kOpShape);
      op.columns.push_back(column);
    }
    OAS_TRY(const Tensor* scale, tensor(op, 0));  // per column: mean, 1 / deviation
    if (!shape_is(*scale, DType::kF32, count, 2)) return refuse(kOpShape);
    state = {State::kValues, width};
    return {};
  }

  Result<void> bag(Op& op, State& state) {
    OAS_TRY(const Tensor* rows, tensor(op, 0));
    OAS_TRY(const Tensor* scale, tensor(op, 1));
    if (state.kind != State::kBuckets) return refuse(kOpOrder);
    if (rows->dtype != DType::kI8 && rows->dtype != DType::kI4) return refuse(kOpShape);
    if (rows->rows != state.width || rows->cols > kModelWidthMax || rows->cols % 4 != 0) return refuse(kOpShape);
    if (!shape_is(*scale, DType::kU8, state.width, 1)) return refuse(kOpShape);
    for (std::uint32_t i = 0; i < state.width; ++i) {
      if (scale->data[i] >= kScaleCodes) return refuse(kNotFinite);
    }
    state = {State::kValues, rows->cols};
    return {};
  }

  Result<void> gemm(Op& op, State& state) {
    OAS_TRY(const Tensor* weights, tensor(op, 0));
    OAS_TRY(const Tensor* scale, tensor(op, 1));
    OAS_TRY(const Tensor* bias, tensor(op, 2));
    if (state.kind != State::kValues) return refuse(kOpOrder);
    if (weights->dtype != DType::kI8 && weights->dtype != DType::kF32) return refuse(kOpShape);
    if (weights->cols != state.width || state.width > kModelWidthMax || weights->rows > kModelLabelsMax)
      return refuse(kOpShape);
    // An f32 layer needs no scale and names the bias twice.
    const bool scaled = weights->dtype == DType::kI8;
    if (scaled ? !shape_is(*scale, DType::kF32, weights->rows, 1) : op.tensors[1] != op.tensors[2])
      return refuse(kOpShape);
    if (!shape_is(*bias, DType::kF32, weights->rows, 1)) return refuse(kOpShape);
    state = {State::kValues, weights->rows};
    return {};
  }

  Result<void> trees(Op& op, State& state) {
    OAS_TRY(const Tensor* nodes, tensor(op, 0));
    OAS_TRY(const Tensor* roots, tensor(op, 1));
    if (state.kind != State::kValues) return refuse(kOpOrder);
    OAS_CHECK(check_forest(*nodes, *roots, state.width));
    state = {State::kValues, 1};
    return {};
  }

  Result<void> sparse(Op& op, State& state) {
    OAS_TRY(const Tensor* ids, tensor(op, 0));
    OAS_TRY(const Tensor* values, tensor(op, 1));
    OAS_TRY(const Tensor* scale, tensor(op, 2));
    if (state.kind != State::kHistory) return refuse(kOpOrder);
    const auto items = static_cast<std::uint32_t>(model_.labels.size());
    if (ids->dtype != DType::kU16 || ids->rows != items || !shape_is(*values, DType::kI8, items, ids->cols))
      return refuse(kOpShape);
    if (!shape_is(*scale, DType::kF32, items, 2)) return refuse(kOpShape);  // row scale, prior
    for (std::uint64_t i = 0; i < ids->size(); ++i) {
      if (u16_at(*ids, i) >= items) return refuse(kIds);
    }
    state = {State::kValues, items};
    return {};
  }

  Result<void> numbers(Op& op, State& state, int count) {
    for (int i = 0; i < count; ++i) {
      OAS_TRY(const std::uint32_t bits, in_.u32());
      (i == 0 ? op.a : op.b) = std::bit_cast<float>(bits);
    }
    if (state.kind != State::kValues) return refuse(kOpOrder);
    if (!finite(op.a) || !finite(op.b)) return refuse(kOpNumber);
    return {};
  }

  wire::Reader& in_;
  Model& model_;
};

Result<void> read_header(Model& model, ByteView header, ByteView blob) {
  wire::Reader in(header);
  OAS_TRY(const std::string_view id, in.text(kModelTextBytesMax));
  OAS_TRY(const std::string_view version, in.text(kModelTextBytesMax));
  OAS_TRY(const std::uint8_t kind, in.u8());
  if (kind > 2) return refuse(kKind);
  model.id = id;
  model.version = version;
  model.kind = static_cast<ModelKind>(kind);
  OAS_TRY(model.inputs, in.count(kModelColumnsMax));
  OAS_CHECK(read_texts(in, model.labels, kModelLabelsMax));
  if (model.labels.empty()) return refuse(kLabelCount);
  OAS_CHECK(read_views(in, model));
  OAS_CHECK(read_tensors(in, model, blob));
  State state;
  state.kind = model.kind == ModelKind::kText      ? State::kText
               : model.kind == ModelKind::kNumeric ? State::kColumns
                                                   : State::kHistory;
  state.width = model.inputs;
  OAS_TRY(const std::uint32_t ops, in.count(kModelOpsMax));
  OpReader reader(in, model);
  for (std::uint32_t i = 0; i < ops; ++i) {
    Op op;
    OAS_CHECK(reader.read(op, state));
    model.ops.push_back(std::move(op));
  }
  OAS_CHECK(in.end());
  if (state.kind != State::kValues) return refuse(kOpOrder);
  if (state.width != model.labels.size()) return refuse(kLabelCount);
  return {};
}

}  // namespace

Result<Model> load_model(Bytes file) {
  OAS_TRY(const Layout layout, read_layout(file));
  Model model;
  model.bytes = std::move(file);
  const ByteView all(model.bytes);
  const Sha256 hash = sha256(all.first(all.size() - 32));
  if (!std::equal(hash.begin(), hash.end(), all.end() - 32)) return fail(ErrorCode::kChecksum);
  model.recipe_sha256 = all.subspan(24, 32);
  model.meta = as_text(all.subspan(kFixedBytes + layout.header, layout.meta));
  for (std::size_t i = kFixedBytes + layout.header + layout.meta; i < layout.blob_at; ++i) {
    if (all[i] != 0) return refuse(kPadding);
  }
  OAS_CHECK(read_header(model, all.subspan(kFixedBytes, layout.header), all.subspan(layout.blob_at, layout.blob)));
  return model;
}

}  // namespace oas::infer
