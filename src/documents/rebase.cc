#include "documents/rebase.h"

#include <utility>

#include "base/cold.h"
#include "merge/value_at.h"

OAS_COLD_BEGIN

namespace oas::documents {
namespace {

using merge::Op;
using merge::OpKind;
using merge::PlacedOp;
using merge::Value;

enum class Fate : std::uint8_t { kHappens, kContested, kStranded, kDoneAlready };

class Judge {
 public:
  Judge(const merge::MaybeValue& base, const merge::MaybeValue& now, const merge::Rules& rules)
      : base_(base), now_(now), rules_(rules) {}

  [[nodiscard]] Fate fate(const PlacedOp& placed) const {
    const Op& op = placed.op;
    const Value* now = merge::value_at(now_, placed.path, rules_);
    switch (op.kind) {
      case OpKind::kAdd: return now != nullptr && now->is_integer() ? Fate::kHappens : Fate::kStranded;
      case OpKind::kMove: return now != nullptr ? Fate::kHappens : Fate::kDoneAlready;
      case OpKind::kDelete:
        if (now == nullptr) return Fate::kDoneAlready;
        break;
      case OpKind::kAssign:
      case OpKind::kCreate:
      case OpKind::kInsert:
        if (!has_parent(placed.path)) return Fate::kStranded;
        if (now != nullptr && *now == op.value) return Fate::kDoneAlready;
        break;
    }
    const Value* before = merge::value_at(base_, placed.path, rules_);
    const bool untouched = before == nullptr ? now == nullptr : now != nullptr && *now == *before;
    if (untouched) return Fate::kHappens;
    // A document that is gone was deleted as a whole, and nothing in it is a question any more.
    return placed.path.empty() && now == nullptr ? Fate::kStranded : Fate::kContested;
  }

 private:
  [[nodiscard]] bool has_parent(merge::Path path) const {
    if (path.empty()) return true;
    const bool field = merge::is_field(path.back());
    path.pop_back();
    const Value* parent = merge::value_at(now_, path, rules_);
    return parent != nullptr && (field ? parent->is_object() : parent->is_array());
  }

  const merge::MaybeValue& base_;
  const merge::MaybeValue& now_;
  const merge::Rules& rules_;
};

}  // namespace

Rebased rebase(const merge::MaybeValue& base, const merge::MaybeValue& mine, const merge::Shown& now,
               const merge::Rules& rules, const merge::Author& author) {
  // The numbers of elements that are known by their dot stand in their paths, so the whole difference keeps its range.
  merge::Delta all = merge::put({base, now.version}, mine, rules, author);
  Rebased out{.edit = {}, .contested = {}, .numbers = all.ops.size(), .stranded = 0};
  const Judge judge(base, now.value, rules);
  for (PlacedOp& placed : all.ops) {
    switch (judge.fate(placed)) {
      case Fate::kHappens: out.edit.ops.push_back(std::move(placed)); break;
      case Fate::kContested: out.contested.ops.push_back(std::move(placed)); break;
      case Fate::kStranded: ++out.stranded; break;
      case Fate::kDoneAlready: break;
    }
  }
  merge::Dot next{author.epoch, author.first_n};
  for (merge::Delta* part : {&out.edit, &out.contested}) {
    for (PlacedOp& placed : part->ops) placed.op.dot = {next.epoch, next.n++};
  }
  return out;
}

}  // namespace oas::documents

OAS_COLD_END
