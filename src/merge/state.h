// The replicated state of one document: a snapshot everybody shares, and the operations since, kept by path.
//
// A join-semilattice: operations are a grow-only set of dots (a void removes its dot and stays), stamps are written once
// for each incarnation. So joining is commutative, associative and idempotent by construction, and everything anybody
// sees (show.h) is a pure function of this state and the rules. The snapshot changes only by compaction, which all
// replicas do at the same place of the change order (document.h).
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "merge/operation.h"

namespace oas::merge {

// One place of the document that some operation touches, with the places below it.
struct Node {
  std::vector<Op> ops;  // by dot
  std::vector<std::pair<Step, std::unique_ptr<Node>>> children;  // by step

  [[nodiscard]] const Node* child(std::string_view step) const;
  Node& child_or_new(std::string_view step);
};

class State {
 public:
  State() = default;
  // `snapshot`: what every replica starts from; nothing when the document does not exist yet.
  explicit State(MaybeValue snapshot, std::uint64_t cut = 0);

  // Errors: kLimit when the document would hold more than kOperationsMax operations; nothing is applied then.
  // An operation that the delta or this state stamps at or below the cut is in the snapshot already, and is skipped.
  Result<void> join(const Delta& delta);
  Result<void> join(Delta&& delta);

  // The greatest change number at or below `cut` that can be folded: everything stamped above it, or not at all, has seen
  // everything at or below it. O(operations * runs of their contexts), and rarely more than one pass.
  [[nodiscard]] std::uint64_t foldable(std::uint64_t cut) const;
  // The version of a replica that has everything up to change number `seen`: only what is above it, or has no number yet,
  // is named by dot. What contexts carry, so that they do not grow with the number of epochs that ever wrote.
  [[nodiscard]] Version version_since(std::uint64_t seen) const;
  // This state as it was at change number `cut`.
  [[nodiscard]] State until(std::uint64_t cut) const;
  // This state without the operations on hold; its version still names them.
  [[nodiscard]] State visible() const;
  // Drops what is stamped at or below `cut`; `snapshot` is what that showed. Precondition: foldable(cut) == cut.
  void fold(std::uint64_t cut, MaybeValue snapshot);

  // Everything this state has and `version` lacks. Stamps, voids and holds are always complete: they are small and idempotent.
  [[nodiscard]] Delta since(const Version& version) const;

  [[nodiscard]] const MaybeValue& snapshot() const { return snapshot_; }
  [[nodiscard]] const Node& root() const { return root_; }
  // Every dot that is here, void, or below the cut.
  [[nodiscard]] const Version& version() const { return version_; }
  [[nodiscard]] const Version& voids() const { return voids_; }
  [[nodiscard]] const std::vector<StampRun>& stamps() const { return stamps_; }
  [[nodiscard]] const std::vector<Hold>& holds() const { return holds_; }
  [[nodiscard]] Stamp stamp_of(const Dot& dot) const;
  [[nodiscard]] std::uint64_t op_count() const { return op_count_; }
  [[nodiscard]] std::uint64_t cut() const { return version_.seen; }

  // Calls visit(path, op) for each operation in path order.
  template <class Visit>
  void for_each_op(Visit visit) const {
    Path path;
    walk(root_, path, visit);
  }

 private:
  template <class Visit>
  static void walk(const Node& node, Path& path, Visit& visit) {
    for (const Op& op : node.ops) visit(path, op);
    for (const auto& [step, child] : node.children) {
      path.push_back(step);
      walk(*child, path, visit);
      path.pop_back();
    }
  }
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};
  // The operations up to change number `cut`; up to kAll those without a number, too.
  [[nodiscard]] State part(std::uint64_t cut, bool with_held) const;
  void insert(const Path& path, Op op);
  void add_stamp(const StampRun& run);
  void add_voids(const Version& voids);

  MaybeValue snapshot_;
  Node root_;
  Version version_;
  Version voids_;
  std::vector<StampRun> stamps_;  // by (epoch, first)
  std::vector<Hold> holds_;  // by dot, one each
  std::uint64_t op_count_ = 0;
};

// Into `holds`, which are by dot, one each. The server gives one reason; of two that somebody made up, any will do as long as
// all replicas take the same.
void add_hold(std::vector<Hold>& holds, Hold hold);

}  // namespace oas::merge
