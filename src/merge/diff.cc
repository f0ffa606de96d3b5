#include "merge/diff.h"

#include <algorithm>

#include "base/sim_points.h"
#include "merge/align.h"
#include "merge/changes.h"
#include "merge/lcs.h"
#include "merge/limits.h"
#include "merge/order.h"
#include "merge/position.h"

namespace oas::merge {
namespace {

class Differ {
 public:
  Differ(const Version& context, const Author& author) : out_(context, author) {}

  void root(const Basis& base, const MaybeValue& next, const Rules& rules) {
    if (!base.value && next) return out_.create(path_, *next);
    if (base.value && !next) return out_.remove(path_);
    if (base.value) value(*base.value, *next, Scope(rules));
  }
  Delta take() { return out_.take(); }

 private:
  void value(const Value& base, const Value& next, const Scope& scope) {
    if (base.kind() == next.kind()) {
      if (base.is_object() && scope.type() != Type::kRegister) return object(base, next, scope);
      if (base == next && !OAS_MUTANT(kMergeWholeRecord)) return;
      if (base.is_array() && scope.lists_merge()) return list(base, next, scope);
      if (base.is_integer() && scope.type() == Type::kCounter) return counter(base.as_integer(), next.as_integer());
    }
    out_.assign(path_, next);
  }

  void counter(std::int64_t base, std::int64_t next) {
    std::int64_t difference = 0;
    if (OAS_MUTANT(kMergeCounterAssigned)) return out_.assign(path_, Value::integer(next));
    if (__builtin_sub_overflow(next, base, &difference)) return out_.assign(path_, Value::integer(next));
    out_.count(path_, difference);
  }

  void object(const Value& base, const Value& next, const Scope& scope) {
    auto old = base.members().begin();
    auto now = next.members().begin();
    const auto old_end = base.members().end();
    const auto now_end = next.members().end();
    while (old != old_end || now != now_end) {
      if (now == now_end || (old != old_end && old->key < now->key)) {
        path_.push_back(field_step(old->key));
        out_.remove(path_);
        ++old;
      } else if (old == old_end || now->key < old->key) {
        path_.push_back(field_step(now->key));
        out_.create(path_, now->value);
        ++now;
      } else if (!old->value.is_container() && old->value == now->value && !OAS_MUTANT(kMergeWholeRecord)) {
        ++old;
        ++now;
        continue;
      } else {
        path_.push_back(field_step(old->key));
        value(old->value, now->value, scope.below(path_.back()));
        ++old;
        ++now;
      }
      path_.pop_back();
    }
  }

  void list(const Value& base, const Value& next, const Scope& scope) {
    const std::string_view key = scope.list_key();
    const auto& items = next.items();
    std::vector<Identity> spare;
    const std::vector<Identity>& ids = identities_of(base, key, spare);
    const Alignment alignment = align(base.items(), items, key);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (!alignment.taken[i]) at(ids[i].id, [&] { out_.remove(path_); });
    }
    const std::vector<std::string> positions = place(ids, alignment.base_of);
    std::optional<NewIds> names;
    const bool grows =
        std::find(alignment.base_of.begin(), alignment.base_of.end(), kUnmatched) != alignment.base_of.end();
    if (grows) names.emplace(ids, scope, alignment.shape, items);
    for (std::size_t j = 0; j < items.size(); ++j) {
      const std::uint32_t i = alignment.base_of[j];
      if (i == kUnmatched) {
        at(names->of(items[j], out_.next_dot()), [&] { out_.insert(path_, items[j], positions[j]); });
        continue;
      }
      at(ids[i].id, [&] {
        if (positions[j] != ids[i].pos) out_.move(path_, positions[j]);
        if (base.items()[i] != items[j]) value(base.items()[i], items[j], scope.below(path_.back()));
      });
    }
  }

  template <class Then>
  void at(const Step& step, Then then) {
    path_.push_back(step);
    then();
    path_.pop_back();
  }

  // Where each next element stands: as many as possible stay where they are, the others go between those.
  std::vector<std::string> place(const std::vector<Identity>& ids, const std::vector<std::uint32_t>& base_of) {
    std::vector<std::uint32_t> order;  // base indices of the elements that live on, in their new order
    for (const std::uint32_t i : base_of) {
      if (i != kUnmatched) order.push_back(i);
    }
    std::vector<bool> stays(ids.size(), false);
    for (const std::uint32_t k : longest_increasing(order)) stays[order[k]] = true;
    std::vector<std::string> out(base_of.size());
    std::size_t from = 0;
    std::string_view low;
    for (std::size_t j = 0; j <= base_of.size(); ++j) {
      const bool end = j == base_of.size();
      if (!end && (base_of[j] == kUnmatched || !stays[base_of[j]])) continue;
      const std::string_view high = end ? std::string_view{} : std::string_view(ids[base_of[j]].pos);
      // Two elements may stand at one position (tie by id); nothing fits between them, so the second one moves too.
      if (!end && from < j && !low.empty() && high <= low) continue;
      if (from < j) {
        auto fresh = positions_between(low, high, j - from, out_.salt());
        std::move(fresh.begin(), fresh.end(), out.begin() + static_cast<std::ptrdiff_t>(from));
      }
      if (!end) out[j] = high;
      low = high;
      from = j + 1;
    }
    const auto too_long = [](const std::string& pos) { return pos.size() > kPositionBytesMax; };
    if (std::any_of(out.begin(), out.end(), too_long)) {
      // Years of inserting at one spot: the list is spread out anew, at the price of moving everything once.
      for (std::size_t j = 0; j < out.size(); ++j) out[j] = literal_position(j, out.size());
    }
    return out;
  }

  // Ids for elements that are new; distinct from all the base has.
  class NewIds {
   public:
    NewIds(const std::vector<Identity>& ids, const Scope& scope, const ListShape& shape, const std::vector<Value>& next)
        : shape_(shape), by_dot_(scope.type() == Type::kList && !scope.declared_keyed()) {
      scalars_ = scope.type() == Type::kSet || (shape.kind == ListKind::kSet && shape_of(next).kind == ListKind::kSet);
      used_.reserve(ids.size());
      own_.reserve(next.size());
      for (const Identity& identity : ids) used_.push_back(identity.id);
      order(used_);
    }
    Step of(const Value& item, const Dot& dot) {
      if (by_dot_ || OAS_MUTANT(kMergeSetAppends)) return dot_step(dot);
      if (shape_.kind == ListKind::kKeyed) {
        if (const Value* key = key_value(item, shape_.key)) {
          if (Step step = key_step(*key); take(step)) return step;
        }
      }
      if (scalars_ && !item.is_container() && !OAS_MUTANT(kMergeSetAppends)) {
        if (Step step = scalar_step(item); take(step)) return step;
      }
      for (std::uint64_t count = 0;; ++count) {
        if (Step step = content_step(item.hash(), count); take(step)) return step;
      }
    }

   private:
    bool take(const Step& step) {
      const auto at = std::lower_bound(used_.begin(), used_.end(), step);
      if (at != used_.end() && *at == step) return false;
      const auto where = at - used_.begin();
      used_.insert(used_.begin() + where, own_.emplace_back(step));
      return true;
    }
    ListShape shape_;
    bool by_dot_ = false;
    bool scalars_ = false;
    std::vector<std::string_view> used_;  // of the base and of own_
    std::vector<Step> own_;  // never grows beyond what was reserved, so its texts stay where they are
  };

  Changes out_;
  Path path_;
};

}  // namespace

Delta put(const Basis& base, const MaybeValue& next, const Rules& rules, const Author& author) {
  Differ differ(base.version, author);
  differ.root(base, next, rules);
  return differ.take();
}

}  // namespace oas::merge
