#include "merge/operation.h"

namespace oas::merge {

CauseRef::CauseRef(Cause cause) : shared_(new Shared{std::move(cause)}) {}

CauseRef::CauseRef(const CauseRef& other) noexcept : shared_(other.shared_) {
  if (shared_ != nullptr) ++shared_->references;
}

CauseRef::~CauseRef() {
  if (shared_ != nullptr && --shared_->references == 0) delete shared_;
}

}  // namespace oas::merge
