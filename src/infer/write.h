// Builds OASM files: the trainers' and the tests' side of load.cc. Gives the same bytes for the same calls.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "infer/model.h"
#include "infer/sha256.h"

namespace oas::infer {

class ModelWriter {
 public:
  struct ViewSpec {
    std::string name;
    std::vector<std::string> labels;
    std::vector<std::uint16_t> group_of;  // per label: group + 1, or 0
    float threshold = 0.0f;
  };
  struct Head {
    std::string id, version;
    ModelKind kind{};
    std::uint32_t inputs = 0;
    std::vector<std::string> labels;
    std::vector<ViewSpec> views;  // without the plain one
    std::string meta;
    Sha256 recipe_sha256{};
  };

  explicit ModelWriter(Head head) : head_(std::move(head)) {}

  // Each returns the tensor's index.
  std::uint8_t f32(std::uint32_t rows, std::uint32_t cols, const std::vector<float>& values);
  std::uint8_t f16(const std::vector<float>& values);
  std::uint8_t i8(std::uint32_t rows, std::uint32_t cols, const std::vector<std::int8_t>& values);
  std::uint8_t u16(std::uint32_t rows, std::uint32_t cols, const std::vector<std::uint16_t>& values);
  std::uint8_t raw(DType dtype, std::uint32_t rows, std::uint32_t cols, ByteView bytes);

  // Rows to 8 or 4 bits with one scale each, a byte code or an f32. The pair is {rows, scales}.
  struct Quantised {
    std::uint8_t rows, scale;
  };
  Quantised rows_coded(std::uint32_t rows, std::uint32_t cols, const std::vector<float>& values, DType dtype);
  Quantised rows_f32(std::uint32_t rows, std::uint32_t cols, const std::vector<float>& values);

  void op(OpCode code, std::initializer_list<std::uint8_t> bytes = {});
  void ngram(const NgramParams& params);
  void numeric(const std::vector<Column>& columns, std::uint8_t scale);
  void number(OpCode code, std::initializer_list<float> values);

  [[nodiscard]] Bytes finish() const;

 private:
  struct Entry {
    DType dtype;
    std::uint32_t rows, cols;
    std::uint64_t offset;
  };
  Head head_;
  std::vector<Entry> tensors_;
  Bytes blob_, ops_;
  std::uint32_t op_count_ = 0;
};

}  // namespace oas::infer
