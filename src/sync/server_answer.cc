// What the client is told: watermarks with every verdict they pass. And which deferred events may run now.
#include <utility>

#include "base/limits.h"
#include "base/sim_points.h"
#include "sync/server_state.h"

namespace oas::sync {

Bytes ServerSession::reply(const ReplyContext& context) const {
  SyncReply reply{.incarnation = context.incarnation,
                  .server_time = context.server_time,
                  .horizon = context.horizon,
                  .credit = context.credit,
                  .retry_after_ms = context.retry_after_ms};
  for (const StreamState& state : impl_->request.streams) reply.streams.push_back(impl_->answer(state));
  reply.late = impl_->late;
  if (reply.late.size() > kVerdictsMax) reply.late.resize(kVerdictsMax);
  Bytes out;
  write_reply(out, impl_->nonce, reply);
  return out;
}

StreamAnswer ServerSession::Impl::answer(const StreamState& state) const {
  const Progress& at = progress.at(state.stream);
  StreamAnswer answer{.stream = state.stream, .status = at.status, .mark = at.mark, .verdicts = {}};
  const bool lists =
      at.status == StreamStatus::kOk || at.status == StreamStatus::kGap || at.status == StreamStatus::kFull;
  if (!lists) return answer;
  answer.verdicts = verdicts_of(at);
  const std::uint32_t most = SIM_BUGGIFY(1, 8) ? 3 : kVerdictsMax;
  if (answer.verdicts.size() <= most) return answer;
  // Too many to list: name the highest watermark whose list fits and whose hash we can state.
  Watermark lower = state.stored;
  for (std::uint32_t i = 0; i < most; ++i)
    if (const auto hash = known_hash(at, answer.verdicts[i].seq)) lower = {answer.verdicts[i].seq, *hash};
  std::erase_if(answer.verdicts, [&lower](const Verdict& verdict) { return verdict.seq > lower.seq; });
  answer.mark = lower;
  return answer;
}

std::vector<Verdict> ServerSession::Impl::verdicts_of(const Progress& at) const {
  std::vector<Verdict> verdicts;
  for (const Verdict& verdict : at.row.verdicts)
    if (verdict.seq > at.state.stored.seq && verdict.seq <= at.mark.seq) verdicts.push_back(verdict);
  const auto add_voids = [&](const std::vector<VoidRow>& rows) {
    for (const VoidRow& hole : rows) {
      if (hole.recovered) continue;
      for (Sequence seq = std::max(hole.from, Sequence{at.state.stored.seq.value + 1});
           seq <= std::min(hole.to, at.mark.seq) && verdicts.size() <= 2 * kVerdictsMax; ++seq.value)
        verdicts.push_back({seq, VerdictKind::kVoid, static_cast<std::uint16_t>(hole.reason)});
    }
  };
  add_voids(at.row.voids);
  add_voids(at.new_voids);
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const PlannedEvent& event = planned[i];
    if (event.id.stream != at.state.stream || event.id.seq <= at.state.stored.seq) continue;
    if (event.recovered)
      std::erase_if(verdicts, [&event](const Verdict& verdict) { return verdict.seq == event.id.seq; });
    if (outcomes[i].kind != VerdictKind::kApplied)
      verdicts.push_back({event.id.seq, outcomes[i].kind, outcomes[i].code});
  }
  std::sort(verdicts.begin(), verdicts.end(), [](const Verdict& a, const Verdict& b) { return a.seq < b.seq; });
  verdicts.erase(
      std::unique(verdicts.begin(), verdicts.end(), [](const Verdict& a, const Verdict& b) { return a.seq == b.seq; }),
      verdicts.end());
  return verdicts;
}

std::optional<RollingHash> ServerSession::Impl::known_hash(const Progress& at, Sequence seq) const {
  if (seq == at.mark.seq) return at.mark.hash;
  if (const Watermark* kept = find_hash(at.row.hashes, seq)) return kept->hash;
  for (const PlannedEvent& event : planned)
    if (event.id.stream == at.state.stream && event.id.seq == seq) return event.hash;
  for (const VoidWrite& hole : voids)
    // Not behind lost ones: they may still turn up, and the hash that counts is then another.
    if (hole.range.stream == at.state.stream && hole.range.to == seq && hole.range.reason != VoidReason::kLost)
      return hole.range.hash_after;
  return std::nullopt;
}

namespace {

// The event of one entity that comes before its others. They are in order of arrival; but a dependency means everything of
// the entity up to it, and twins of a device may deliver that later.
std::uint32_t next_of(const std::vector<DeferredRow>& deferred, const std::vector<std::uint32_t>& rows) {
  std::uint32_t next = rows.front();
  for (std::size_t steps = 0; steps < rows.size(); ++steps) {
    const std::vector<EventId>& after = deferred[next].after;
    const auto earlier = std::find_if(rows.begin(), rows.end(), [&](std::uint32_t row) {
      const EventId& event = deferred[row].event;
      return row != next && std::any_of(after.begin(), after.end(), [&event](const EventId& dep) {
               return dep.stream == event.stream && event.seq <= dep.seq;
             });
    });
    if (earlier == rows.end()) break;
    next = *earlier;
  }
  return next;
}

}  // namespace

std::vector<std::uint32_t> releasable(const std::vector<DeferredRow>& deferred,
                                      const std::vector<std::pair<StreamId, Sequence>>& marks) {
  const std::map<StreamId, Sequence> passed(marks.begin(), marks.end());
  const auto is_open = [&passed](const DeferredRow& row) {
    return std::any_of(row.after.begin(), row.after.end(), [&passed](const EventId& dep) {
      const auto mark = passed.find(dep.stream);
      return mark == passed.end() || mark->second < dep.seq;
    });
  };
  std::map<std::uint32_t, std::vector<std::uint32_t>> by_entity;
  std::vector<std::uint32_t> released;
  for (std::uint32_t i = 0; i < deferred.size(); ++i) {
    if (deferred[i].entity != 0)
      by_entity[deferred[i].entity].push_back(i);
    else if (!is_open(deferred[i]))
      released.push_back(i);
  }
  // Only one of an entity at a time: whether it succeeds decides about the next.
  for (const auto& [entity, rows] : by_entity) {
    (void)entity;
    const std::uint32_t next = next_of(deferred, rows);
    if (!is_open(deferred[next])) released.push_back(next);
  }
  std::sort(released.begin(), released.end());
  return released;
}

}  // namespace oas::sync
