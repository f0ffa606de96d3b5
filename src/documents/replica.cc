#include "documents/replica.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/cold.h"
#include "base/sim_points.h"
#include "documents/rebase.h"

namespace oas::documents {

using merge::Delta;
using merge::Document;
using merge::Dot;
using merge::DotRun;
using merge::MaybeValue;

Result<DotRun> dots_of(const Delta& delta) {
  if (delta.ops.empty()) return fail(ErrorCode::kMalformed);
  DotRun run{delta.ops.front().op.dot.epoch, ~std::uint64_t{0}, 0};
  for (const merge::PlacedOp& placed : delta.ops) {
    if (placed.op.dot.epoch != run.epoch) return fail(ErrorCode::kMalformed);
    run.first = std::min(run.first, placed.op.dot.n);
    run.last = std::max(run.last, placed.op.dot.n);
  }
  // Decoded deltas name no dot twice, so as many dots as the run has numbers are all of them.
  if (run.last - run.first != delta.ops.size() - 1) return fail(ErrorCode::kMalformed);
  return run;
}

Result<Replica> Replica::open(ByteView accepted) {
  Replica replica;
  if (accepted.empty()) return replica;
  OAS_TRY(replica.accepted_, Document::open(accepted));
  OAS_TRY(replica.joined_, Document::open(accepted));
  replica.accepted_.state().for_each_op([&](const merge::Path&, const merge::Op& op) {
    replica.latest_.value = std::max(replica.latest_.value, op.cause->hlc.value);
  });
  return replica;
}

void Replica::refresh(Replica stored) {
  stored.shown_ = std::move(shown_);
  stored.clock_ = clock_;
  stored.latest_.value = std::max(stored.latest_.value, latest_.value);
  *this = std::move(stored);
}

Result<std::optional<Dot>> Replica::keep(ByteView bytes) {
  if (pending_.size() >= kPendingMax) return fail(ErrorCode::kLimit, kPendingMax);
  OAS_TRY(Delta delta, merge::decode_delta(bytes));
  OAS_TRY(const DotRun dots, dots_of(delta));
  // The server's change may have been stored before the note that the edit is no longer pending.
  if (accepted_.version().contains({dots.epoch, dots.last})) return std::optional<Dot>({dots.epoch, dots.first});
  latest_.value = std::max(latest_.value, delta.ops.front().op.cause->hlc.value);
  OAS_CHECK(joined_.apply(std::move(delta)));
  pending_.insert_or_assign({dots.epoch, dots.first}, Pending{dots, Bytes(bytes.begin(), bytes.end())});
  return std::optional<Dot>();
}

merge::Author Replica::author(const Writer& at) {
  clock_.receive(latest_, at.wall);
  latest_ = clock_.tick(at.wall);
  return {at.epoch, at.first_n, latest_};
}

merge::Shown Replica::show(const merge::Rules& rules) {
  merge::Shown shown = view(rules);
  shown_ = shown;
  return shown;
}

merge::Basis Replica::basis(const merge::Rules& rules) const {
  if (shown_) return *shown_;
  return joined_.view(rules, {.functions = {}, .with_records = false});
}

Result<Edit> Replica::finish(Delta delta, const merge::Rules& rules, const Writer& at) {
  Edit edit{{at.epoch, at.first_n}, delta.ops.size(), {}};
  if (delta.ops.empty()) return edit;
  edit.delta = merge::encode_delta(delta);
  OAS_CHECK(keep(edit.delta));
  shown_ = joined_.view(rules, {.functions = {}, .with_records = false});
  return edit;
}

Result<Edit> Replica::put(const merge::MaybeValue& next, const merge::Rules& rules, const Writer& at) {
  return finish(merge::put(basis(rules), next, rules, author(at)), rules, at);
}

Result<Edit> Replica::patch(const merge::Value& edits, const merge::Rules& rules, const Writer& at) {
  OAS_TRY(Delta delta, merge::patch(basis(rules), edits, rules, author(at)));
  return finish(std::move(delta), rules, at);
}

Result<Edit> Replica::resolve(std::string_view record_id, const merge::MaybeValue& value, const merge::Rules& rules,
                              const Writer& at) {
  OAS_TRY(Delta delta, joined_.resolve(view(rules), record_id, value, author(at)));
  return finish(std::move(delta), rules, at);
}

OAS_COLD_BEGIN

Result<Remade> Replica::remake(ByteView stood_on, ByteView old, const merge::Rules& rules, const Writer& at) {
  const merge::ShowOptions quiet{.functions = {}, .with_records = false};
  Document before;
  if (!stood_on.empty()) {
    OAS_TRY(before, Document::open(stood_on));
  }
  OAS_TRY(Delta delta, merge::decode_delta(old));
  OAS_TRY(const DotRun dots, dots_of(delta));
  Remade out;
  out.known = before.version().contains({dots.epoch, dots.first});
  if (out.known) return out;
  const MaybeValue base = before.view(rules, quiet).value;
  OAS_CHECK(before.apply(std::move(delta)));
  out.stood_on = before.bytes();
  // Its numbers are void here by now, or will be; either way it is no part of what it is made again on.
  drop({dots.epoch, dots.first});
  Rebased again = rebase(base, before.view(rules, quiet).value, joined_.view(rules, quiet), rules, author(at));
  out.stranded = again.stranded;
  out.edit = {{at.epoch, at.first_n}, again.numbers, {}};
  if (!again.contested.ops.empty()) out.contested = merge::encode_delta(again.contested);
  if (again.edit.ops.empty()) return out;
  out.edit.delta = merge::encode_delta(again.edit);
  OAS_CHECK(keep(out.edit.delta));
  return out;
}

OAS_COLD_END

Result<std::vector<Dot>> Replica::accept(ByteView change, const merge::Rules& rules) {
  OAS_TRY(const ChangeKind kind, apply_change(accepted_, change, rules));
  std::vector<Dot> settled;
  for (const auto& [first, pending] : pending_) {
    if (accepted_.version().contains(first) && accepted_.version().contains({first.epoch, pending.dots.last}))
      settled.push_back(first);
  }
  for (const Dot& first : settled) pending_.erase(first);
  // A fold changes what the pending edits stand on, and a void takes operations away; anything else can only add.
  if (kind == ChangeKind::kFold) {
    if (!OAS_MUTANT(kDocShownUnfolded)) rejoin();
  } else {
    OAS_CHECK(apply_change(joined_, change, rules));
  }
  return settled;
}

bool Replica::drop(const Dot& first) {
  if (pending_.erase(first) == 0) return false;
  rejoin();
  return true;
}

void Replica::rejoin() {
  Result<Document> again = Document::open(accepted_.bytes());
  OAS_ASSERT(again.has_value());  // our own bytes
  joined_ = *std::move(again);
  for (const auto& [first, pending] : pending_) {
    (void)first;
    // It was joined before; what it stands on only shrank.
    (void)joined_.apply(ByteView(pending.delta));
  }
}

}  // namespace oas::documents
