// The wire unit: one typed operation on one path, with the causal context its writer had.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "merge/clock.h"
#include "merge/path.h"
#include "merge/value.h"
#include "merge/version.h"

namespace oas::merge {

enum class OpKind : std::uint8_t {
  kAssign = 0,  // the value of something that exists
  kCreate = 1,  // the value of a field that did not exist for the writer
  kInsert = 2,  // the same for a list element, with its position
  kDelete = 3,
  kMove = 4,    // position only
  kAdd = 5,     // counter increment
};
inline constexpr std::uint8_t kOpKinds = 6;

// What all operations of one change share: when it was written and what its writer had seen.
struct Cause {
  Hlc hlc;
  Version context;
  friend bool operator==(const Cause&, const Cause&) = default;
};

// Shared by the operations of one change; counted like a value (value.h), not atomically.
class CauseRef {
 public:
  CauseRef() = default;
  explicit CauseRef(Cause cause);
  CauseRef(const CauseRef& other) noexcept;
  CauseRef(CauseRef&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  CauseRef& operator=(CauseRef other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~CauseRef();

  const Cause& operator*() const { return shared_->cause; }
  const Cause* operator->() const { return &shared_->cause; }
  [[nodiscard]] const Cause* get() const { return shared_ == nullptr ? nullptr : &shared_->cause; }
  // The same change, not merely an equal one.
  friend bool operator==(const CauseRef& a, const CauseRef& b) { return a.shared_ == b.shared_; }

 private:
  struct Shared {
    Cause cause;
    std::uint32_t references = 1;
  };
  Shared* shared_ = nullptr;
};

struct Op {
  Dot dot;
  OpKind kind = OpKind::kAssign;
  Value value;      // kAssign, kCreate, kInsert: the value; kAdd: an integer
  std::string pos;  // kInsert, kMove
  CauseRef cause;

  [[nodiscard]] bool gives_value() const { return kind <= OpKind::kInsert; }
  [[nodiscard]] bool creates() const { return kind == OpKind::kCreate || kind == OpKind::kInsert; }
  [[nodiscard]] bool places() const { return kind == OpKind::kInsert || kind == OpKind::kMove; }
};

struct PlacedOp {
  Path path;
  Op op;
};

// The same stamp for a run of dots: what the server wrote when it accepted one event.
struct StampRun {
  DotRun dots;
  Stamp stamp;
  friend bool operator==(const StampRun&, const StampRun&) = default;
};

// An operation that everybody has and nobody is shown until a person decides, and why: a rule of the application that it
// breaks, for example.
struct Hold {
  Dot dot;
  std::string why;
  friend auto operator<=>(const Hold&, const Hold&) = default;
};

// Anything a replica can learn from another one: operations, stamps, dots that will never come, operations on hold. Joining
// it twice, late or in another order changes nothing.
struct Delta {
  std::vector<PlacedOp> ops;
  std::vector<StampRun> stamps;
  Version voids;
  std::vector<Hold> holds;
  [[nodiscard]] bool empty() const { return ops.empty() && stamps.empty() && voids.empty() && holds.empty(); }
};

}  // namespace oas::merge
