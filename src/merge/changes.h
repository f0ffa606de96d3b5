// Collects the operations of one change: consecutive dots, one cause.
#pragma once

#include <utility>

#include "base/hash.h"
#include "merge/diff.h"

namespace oas::merge {

class Changes {
 public:
  Changes(const Version& context, const Author& author)
      : next_{author.epoch, author.first_n}, cause_(Cause{author.hlc, context}) {}

  void assign(const Path& path, Value value) { add(path, {.kind = OpKind::kAssign, .value = std::move(value)}); }
  void create(const Path& path, Value value) { add(path, {.kind = OpKind::kCreate, .value = std::move(value)}); }
  void insert(const Path& path, Value value, std::string pos) {
    add(path, {.kind = OpKind::kInsert, .value = std::move(value), .pos = std::move(pos)});
  }
  void remove(const Path& path) { add(path, {.kind = OpKind::kDelete}); }
  void move(const Path& path, std::string pos) { add(path, {.kind = OpKind::kMove, .pos = std::move(pos)}); }
  void count(const Path& path, std::int64_t by) { add(path, {.kind = OpKind::kAdd, .value = Value::integer(by)}); }

  // The dot the next operation gets, and noise of it for positions.
  [[nodiscard]] Dot next_dot() const { return next_; }
  [[nodiscard]] std::uint64_t salt() const { return hash_mix(hash_mix(next_.epoch.value, next_.n), next_.n); }
  [[nodiscard]] Delta take() { return std::exchange(delta_, {}); }

 private:
  void add(const Path& path, Op op) {
    op.dot = next_;
    op.cause = cause_;
    ++next_.n;
    delta_.ops.push_back({path, std::move(op)});
  }

  Dot next_;
  CauseRef cause_;
  Delta delta_;
};

}  // namespace oas::merge
