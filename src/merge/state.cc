#include "merge/state.h"

#include <algorithm>

#include "base/cold.h"
#include "base/sim_points.h"
#include "merge/limits.h"

namespace oas::merge {
namespace {

auto child_at(const std::vector<std::pair<Step, std::unique_ptr<Node>>>& children, std::string_view step) {
  return std::lower_bound(children.begin(), children.end(), step,
                          [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
}

// Drops the operations that `gone` names, and places that are left with nothing.
template <class Gone>
std::uint64_t prune(Node& node, const Gone& gone) {
  std::uint64_t count = std::erase_if(node.ops, gone);
  for (auto& entry : node.children) count += prune(*entry.second, gone);
  std::erase_if(node.children,
                [](const auto& entry) { return entry.second->ops.empty() && entry.second->children.empty(); });
  return count;
}

}  // namespace

const Node* Node::child(std::string_view step) const {
  const auto at = child_at(children, step);
  return at != children.end() && at->first == step ? at->second.get() : nullptr;
}

Node& Node::child_or_new(std::string_view step) {
  auto at = children.begin() + (child_at(children, step) - children.cbegin());
  if (at == children.end() || at->first != step) at = children.emplace(at, Step(step), std::make_unique<Node>());
  return *at->second;
}

State::State(MaybeValue snapshot, std::uint64_t cut) : snapshot_(std::move(snapshot)) { version_.seen = cut; }

void State::insert(const Path& path, Op op) {
  if (voids_.contains(op.dot)) return;
  Node* node = &root_;
  for (const Step& step : path) node = &node->child_or_new(step);
  const auto by_dot = [](const Op& a, const Op& b) { return a.dot < b.dot; };
  const auto at = std::lower_bound(node->ops.begin(), node->ops.end(), op, by_dot);
  const bool twice = OAS_MUTANT(kMergeDuplicatesApplied) && op.kind == OpKind::kAdd;
  if (at != node->ops.end() && at->dot == op.dot && !twice) return;
  version_.add(op.dot);
  node->ops.insert(at, std::move(op));
  ++op_count_;
}

Result<void> State::join(const Delta& delta) { return join(Delta(delta)); }

Result<void> State::join(Delta&& delta) {
  if (op_count_ + delta.ops.size() > kOperationsMax) return fail(ErrorCode::kLimit, kOperationsMax);
  add_voids(delta.voids);
  for (const StampRun& run : delta.stamps) {
    if (run.stamp.change > version_.seen) add_stamp(run);
  }
  const auto folded = [&](const Dot& dot) {
    return version_.seen > 0 && std::any_of(delta.stamps.begin(), delta.stamps.end(), [&](const StampRun& run) {
             return run.dots.epoch == dot.epoch && run.dots.first <= dot.n && dot.n <= run.dots.last &&
                    run.stamp.change <= version_.seen;
           });
  };
  for (PlacedOp& placed : delta.ops) {
    // One dot is one operation for ever; its path is part of it, so what is known already is skipped unread.
    const bool twice = OAS_MUTANT(kMergeDuplicatesApplied) && placed.op.kind == OpKind::kAdd;
    if ((version_.contains(placed.op.dot) && !twice) || folded(placed.op.dot)) continue;
    insert(placed.path, std::move(placed.op));
  }
  for (Hold& hold : delta.holds) {
    if (!folded(hold.dot)) add_hold(holds_, std::move(hold));
  }
  return {};
}

OAS_COLD_BEGIN

void add_hold(std::vector<Hold>& holds, Hold hold) {
  const auto same = std::lower_bound(holds.begin(), holds.end(), hold.dot,
                                     [](const Hold& one, const Dot& dot) { return one.dot < dot; });
  if (same != holds.end() && same->dot == hold.dot) {
    if (hold.why < same->why) same->why = std::move(hold.why);
    return;
  }
  holds.push_back(std::move(hold));
  for (std::size_t i = holds.size() - 1; i > 0 && holds[i].dot < holds[i - 1].dot; --i)
    std::swap(holds[i], holds[i - 1]);
}

OAS_COLD_END

void State::add_voids(const Version& voids) {
  if (voids.runs().empty()) return;
  voids_.add(voids);
  version_.add(voids);
  op_count_ -= prune(root_, [&voids](const Op& op) { return voids.contains(op.dot); });
}

void State::add_stamp(const StampRun& run) {
  const auto at = std::lower_bound(stamps_.begin(), stamps_.end(), run,
                                   [](const StampRun& a, const StampRun& b) { return a.dots < b.dots; });
  if (at != stamps_.end() && at->dots == run.dots) {
    // Stamps above a restored head are replaced: the greater incarnation is the one that counts.
    at->stamp = std::max(at->stamp, run.stamp);
  } else {
    stamps_.insert(at, run);
  }
}

Stamp State::stamp_of(const Dot& dot) const {
  // Runs of two incarnations may overlap, so every run that starts at or before the dot is a candidate; there are few.
  auto at = std::upper_bound(stamps_.begin(), stamps_.end(), dot, [](const Dot& wanted, const StampRun& run) {
    return wanted < Dot{run.dots.epoch, run.dots.first};
  });
  Stamp best;
  while (at != stamps_.begin()) {
    --at;
    if (at->dots.epoch != dot.epoch || at->dots.last < dot.n) break;
    best = std::max(best, at->stamp);
  }
  return best;
}

std::uint64_t State::foldable(std::uint64_t cut) const {
  struct Stamped {
    const Op* op;
    std::uint64_t change;
  };
  std::vector<Stamped> all;
  for_each_op([&](const Path&, const Op& op) { all.push_back({&op, stamp_of(op.dot).change}); });
  for (bool lowered = true; lowered;) {
    lowered = false;
    for (const Stamped& later : all) {
      const Version& context = later.op->cause->context;
      if ((later.change != 0 && later.change <= cut) || context.seen >= cut) continue;
      for (const Stamped& earlier : all) {
        if (earlier.change == 0 || earlier.change > cut) continue;
        const bool own = later.op->dot.epoch == earlier.op->dot.epoch && later.op->dot.n > earlier.op->dot.n;
        if (own || context.contains(earlier.op->dot, earlier.change)) continue;
        cut = earlier.change - 1;
        lowered = true;
      }
    }
  }
  return std::max(cut, version_.seen);
}

Version State::version_since(std::uint64_t seen) const {
  Version version = voids_;
  version.seen = std::max(version_.seen, seen);
  for_each_op([&](const Path&, const Op& op) {
    const std::uint64_t change = stamp_of(op.dot).change;
    if (change == 0 || change > seen) version.add(op.dot);
  });
  return version;
}

State State::part(std::uint64_t cut, bool with_held) const {
  State out = State(snapshot_, version_.seen);
  Delta delta{.ops = {}, .stamps = stamps_, .voids = {}, .holds = {}};
  Version held;
  if (with_held) {
    delta.holds = holds_;
  } else {
    for (const Hold& hold : holds_) held.add(hold.dot);
  }
  for_each_op([&](const Path& path, const Op& op) {
    const std::uint64_t change = stamp_of(op.dot).change;
    const bool reached = cut == kAll || (change != 0 && change <= cut);
    if (reached && !held.contains(op.dot)) delta.ops.push_back({path, op});
  });
  (void)out.join(std::move(delta));
  return out;
}

State State::until(std::uint64_t cut) const { return part(cut, true); }

State State::visible() const {
  State out = part(kAll, false);
  out.version_ = version_;
  return out;
}

void State::fold(std::uint64_t cut, MaybeValue snapshot) {
  const auto below = [&](const Op& op) {
    const std::uint64_t change = stamp_of(op.dot).change;
    return change != 0 && change <= cut;
  };
  op_count_ -= prune(root_, below);
  std::erase_if(stamps_, [cut](const StampRun& run) { return run.stamp.change <= cut; });
  snapshot_ = std::move(snapshot);
  // What is left to name are the operations that are still here and the voids.
  Version left = voids_;
  for_each_op([&left](const Path&, const Op& op) { left.add(op.dot); });
  left.seen = std::max(version_.seen, cut);
  std::erase_if(holds_, [&left](const Hold& hold) { return !left.contains(hold.dot); });
  version_ = std::move(left);
}

Delta State::since(const Version& version) const {
  Delta delta{.ops = {}, .stamps = stamps_, .voids = voids_, .holds = holds_};
  for_each_op([&](const Path& path, const Op& op) {
    if (!version.contains(op.dot)) delta.ops.push_back({path, op});
  });
  return delta;
}

}  // namespace oas::merge
