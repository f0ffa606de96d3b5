#include "merge/delta.h"

#include <algorithm>

#include "base/cold.h"
#include "base/hash.h"
#include "merge/codec.h"
#include "merge/limits.h"
#include "merge/order.h"
#include "merge/position.h"

namespace oas::merge {
namespace {

constexpr std::uint8_t kStateMagic = 0x4D;
constexpr std::uint64_t kExplicitContext = 1;

// Every step of every path once, numbered in path order; 0 is the document itself.
class PathTable {
 public:
  explicit PathTable(const std::vector<PlacedOp>& ops) : numbers_(ops.size(), 0) {
    const auto by_path = [&ops](std::uint32_t a, std::uint32_t b) { return ops[a].path < ops[b].path; };
    const Path* before = nullptr;
    std::vector<std::uint32_t> way{0};  // the numbers of the places on the path at hand
    for (const std::uint32_t i : order_of(ops.size(), by_path)) {
      const Path& path = ops[i].path;
      std::size_t shared = 0;
      while (before != nullptr && shared < std::min(before->size(), path.size()) && (*before)[shared] == path[shared])
        ++shared;
      way.resize(shared + 1);
      for (std::size_t at = shared; at < path.size(); ++at) {
        ++count_;
        // A parent is named by how far back it stands: one byte for siblings of a small object.
        steps_.varint(count_ - way.back() - 1);
        steps_.text(path[at]);
        way.push_back(count_);
      }
      numbers_[i] = way.back();
      before = &path;
    }
  }
  void write(wire::Writer& out) const {
    out.varint(count_);
    out.raw(bytes_);
  }
  [[nodiscard]] std::uint32_t number(std::size_t op) const { return numbers_[op]; }

 private:
  std::uint32_t count_ = 0;
  std::vector<std::uint32_t> numbers_;
  Bytes bytes_;
  wire::Writer steps_{bytes_};
};

class EpochTable {
 public:
  void add(Epoch epoch) { epochs_.push_back(epoch); }
  void add(const Version& version) {
    for (const DotRun& run : version.runs()) add(run.epoch);
  }
  void write(wire::Writer& out) {
    order(epochs_);
    epochs_.erase(std::unique(epochs_.begin(), epochs_.end()), epochs_.end());
    out.varint(epochs_.size());
    for (const Epoch epoch : epochs_) out.u64(epoch.value);
  }
  [[nodiscard]] std::uint64_t number(Epoch epoch) const {
    return static_cast<std::uint64_t>(std::lower_bound(epochs_.begin(), epochs_.end(), epoch) - epochs_.begin());
  }

 private:
  std::vector<Epoch> epochs_;
};

void write_run(wire::Writer& out, const EpochTable& epochs, const DotRun& run) {
  out.varint(epochs.number(run.epoch));
  out.varint(run.first);
  out.varint(run.last - run.first);
}

void write_version(wire::Writer& out, const EpochTable& epochs, const Version& version) {
  out.varint(version.seen);
  out.varint(version.runs().size());
  for (const DotRun& run : version.runs()) write_run(out, epochs, run);
}

// The difference of two clocks in milliseconds, and the counter only when it is not zero.
void write_clock(wire::Writer& out, Hlc clock, Hlc before) {
  const std::int64_t step = wall_of(clock).value - wall_of(before).value;
  const std::uint64_t zigzag = (static_cast<std::uint64_t>(step) << 1) ^ static_cast<std::uint64_t>(step >> 63);
  const std::uint64_t counter = clock.value & 0xFFFF;
  out.varint((zigzag << 1) | (counter != 0 ? 1 : 0));
  if (counter != 0) out.varint(counter);
}

Result<Hlc> read_clock(wire::Reader& in, Hlc before) {
  OAS_TRY(const std::uint64_t word, in.varint());
  const std::uint64_t zigzag = word >> 1;
  const auto step = static_cast<std::int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1));
  std::uint64_t counter = 0;
  if ((word & 1) != 0) {
    OAS_TRY(counter, in.varint());
  }
  const std::int64_t ms = wall_of(before).value + step;
  if (counter > 0xFFFF || ms < 0 || ms >= std::int64_t{1} << 48) return fail(ErrorCode::kMalformed, in.offset());
  return Hlc{(static_cast<std::uint64_t>(ms) << 16) | counter};
}

struct Row {
  const PlacedOp* placed;
  std::uint32_t place;
};

// How many rows from `at` on share epoch and cause without a gap.
std::size_t group_size(const std::vector<Row>& rows, std::size_t at) {
  const Op& first = rows[at].placed->op;
  std::size_t count = 1;
  for (; at + count < rows.size(); ++count) {
    const Op& op = rows[at + count].placed->op;
    const bool next = op.dot.epoch == first.dot.epoch && op.dot.n == first.dot.n + count;
    if (!next || (op.cause != first.cause && *op.cause != *first.cause)) break;
  }
  return count;
}

// What a writer has seen once its own group is written: the context that the next group is expected to have.
struct Expected {
  Epoch epoch;
  std::uint64_t n = 1;
  Hlc hlc;
  Version context;
};

void write_group(wire::Writer& out, const EpochTable& epochs, std::span<const Row> group, Expected& expected) {
  const Op& first = group.front().placed->op;
  if (first.dot.epoch != expected.epoch) expected.n = 1;
  const bool same = first.cause->context == expected.context;
  out.varint(epochs.number(first.dot.epoch));
  out.zigzag(static_cast<std::int64_t>(first.dot.n - expected.n));
  out.varint((group.size() << 1) | (same ? 0 : kExplicitContext));
  write_clock(out, first.cause->hlc, expected.hlc);
  if (!same) write_version(out, epochs, first.cause->context);
  const DotRun run{first.dot.epoch, first.dot.n, first.dot.n + group.size() - 1};
  expected = {run.epoch, run.last + 1, first.cause->hlc, first.cause->context};
  expected.context.add(run);
}

void write_op(wire::Writer& out, const Op& op, std::uint32_t path) {
  out.varint((std::uint64_t{path} << 3) | static_cast<std::uint64_t>(op.kind));
  if (op.places()) out.text(op.pos);
  if (op.gives_value() || op.kind == OpKind::kAdd) write_value(out, op.value);
}

void write_ops(wire::Writer& out, const EpochTable& epochs, const std::vector<Row>& rows) {
  std::uint64_t groups = 0;
  for (std::size_t at = 0; at < rows.size(); at += group_size(rows, at)) ++groups;
  out.varint(groups);
  Expected expected;
  for (std::size_t at = 0; at < rows.size();) {
    const std::size_t count = group_size(rows, at);
    write_group(out, epochs, std::span(rows).subspan(at, count), expected);
    for (const std::size_t end = at + count; at < end; ++at) write_op(out, rows[at].placed->op, rows[at].place);
  }
}

void write_stamps(wire::Writer& out, const EpochTable& epochs, const std::vector<StampRun>& stamps) {
  out.varint(stamps.size());
  Stamp before;
  for (const StampRun& run : stamps) {
    write_run(out, epochs, run.dots);
    const bool same = run.stamp.incarnation == before.incarnation;
    out.u8(same ? 0 : 1);
    if (!same) {
      out.i64(run.stamp.incarnation.minted_at.value);
      out.u64(run.stamp.incarnation.random);
    }
    out.zigzag(static_cast<std::int64_t>(run.stamp.change - before.change));
    out.zigzag(run.stamp.received_at.value - before.received_at.value);
    before = run.stamp;
  }
}

OAS_COLD_BEGIN

void write_holds(wire::Writer& out, const EpochTable& epochs, const std::vector<Hold>& holds) {
  out.varint(holds.size());
  for (const Hold& hold : holds) {
    out.varint(epochs.number(hold.dot.epoch));
    out.varint(hold.dot.n);
    out.text(hold.why);
  }
}

OAS_COLD_END

class Decoder {
 public:
  explicit Decoder(wire::Reader& in) : in_(in) {}

  Result<Delta> delta() {
    OAS_TRY(const std::uint8_t version, in_.u8());
    if (version != kDeltaVersion && version != kDeltaVersionWithHolds) return fail(ErrorCode::kUnknownVersion, version);
    OAS_CHECK(epochs());
    OAS_CHECK(paths());
    Delta out;
    OAS_CHECK(groups(out.ops));
    OAS_CHECK(stamps(out.stamps));
    OAS_TRY(out.voids, version_set());
    if (version == kDeltaVersionWithHolds) OAS_CHECK(holds(out.holds));
    return out;
  }

 private:
  [[nodiscard]] std::unexpected<Error> malformed() const { return fail(ErrorCode::kMalformed, in_.offset()); }

  // A count of things that take at least one byte each.
  Result<std::uint32_t> count(std::uint32_t max) {
    OAS_TRY(const std::uint32_t value, in_.count(max));
    if (value > in_.left()) return fail(ErrorCode::kTruncated, in_.offset());
    return value;
  }
  Result<void> epochs() {
    OAS_TRY(const std::uint32_t size, count(kEpochsMax));
    for (std::uint32_t i = 0; i < size; ++i) {
      OAS_TRY(const std::uint64_t value, in_.u64());
      if (i > 0 && value <= epochs_.back().value) return malformed();
      epochs_.push_back({value});
    }
    return {};
  }
  Result<void> paths() {
    OAS_TRY(const std::uint32_t size, count(kOperationsMax));
    paths_.emplace_back();
    for (std::uint32_t i = 0; i < size; ++i) {
      OAS_TRY(const std::uint64_t back, in_.varint());
      OAS_TRY(const std::string_view step, in_.text(kStepBytesMax));
      if (back >= paths_.size() || !is_step(step) || (is_field(step) && !is_utf8(step))) return malformed();
      Path path = paths_[paths_.size() - 1 - static_cast<std::size_t>(back)];
      if (path.size() >= kDepthMax) return fail(ErrorCode::kTooDeep, in_.offset());
      path.emplace_back(step);
      paths_.push_back(std::move(path));
    }
    return {};
  }
  Result<Epoch> epoch() {
    OAS_TRY(const std::uint64_t index, in_.varint());
    if (index >= epochs_.size()) return malformed();
    return epochs_[static_cast<std::size_t>(index)];
  }
  Result<DotRun> run() {
    OAS_TRY(const Epoch of, epoch());
    OAS_TRY(const std::uint64_t first, in_.varint());
    OAS_TRY(const std::uint64_t more, in_.varint());
    constexpr std::uint64_t kMax = std::uint64_t{1} << 53;
    if (first == 0 || first > kMax || more > kMax) return malformed();
    return DotRun{of, first, first + more};
  }
  Result<Version> version_set() {
    Version version;
    OAS_TRY(version.seen, in_.varint());
    OAS_TRY(const std::uint32_t size, count(kOperationsMax));
    for (std::uint32_t i = 0; i < size; ++i) {
      OAS_TRY(const DotRun one, run());
      if (i > 0 && one <= version.runs().back()) return malformed();
      version.add(one);
    }
    return version;
  }

  Result<void> groups(std::vector<PlacedOp>& ops) {
    OAS_TRY(const std::uint32_t size, count(kOperationsMax));
    Expected expected;
    for (std::uint32_t i = 0; i < size; ++i) {
      OAS_TRY(const Epoch of, epoch());
      OAS_TRY(const std::int64_t skip, in_.zigzag());
      OAS_TRY(const std::uint64_t word, in_.varint());
      OAS_TRY(const Hlc hlc, read_clock(in_, expected.hlc));
      Version context = std::move(expected.context);
      if ((word & kExplicitContext) != 0) {
        OAS_TRY(context, version_set());
      }
      const std::uint64_t first = (of == expected.epoch ? expected.n : 1) + static_cast<std::uint64_t>(skip);
      const std::uint64_t members = word >> 1;
      if (members == 0 || members > in_.left() || first == 0 || first > std::uint64_t{1} << 53) return malformed();
      const DotRun dots{of, first, first + members - 1};
      // Nobody has seen what he is about to write.
      if (context.contains({of, dots.first}) || context.last_of(of) >= dots.first) return malformed();
      const CauseRef cause(Cause{hlc, context});
      for (std::uint64_t n = dots.first; n <= dots.last; ++n) {
        OAS_TRY(PlacedOp placed, op({of, n}, cause));
        ops.push_back(std::move(placed));
      }
      if (ops.size() > kOperationsMax) return fail(ErrorCode::kLimit, kOperationsMax);
      expected = {of, dots.last + 1, hlc, std::move(context)};
      expected.context.add(dots);
    }
    return {};
  }

  Result<PlacedOp> op(const Dot& dot, const CauseRef& cause) {
    OAS_TRY(const std::uint64_t word, in_.varint());
    if ((word & 7) >= kOpKinds || (word >> 3) >= paths_.size()) return malformed();
    PlacedOp placed{.path = paths_[static_cast<std::size_t>(word >> 3)], .op = {}};
    Op& op = placed.op;
    op.dot = dot;
    op.cause = cause;
    op.kind = static_cast<OpKind>(word & 7);
    const bool element = !placed.path.empty() && !is_field(placed.path.back());
    if (op.places() != element && (op.places() || op.kind == OpKind::kCreate)) return malformed();
    if (op.places()) {
      OAS_TRY(const std::string_view pos, in_.text(kPositionBytesMax));
      if (!is_position(pos)) return malformed();
      op.pos = pos;
    }
    if (op.gives_value() || op.kind == OpKind::kAdd) {
      OAS_TRY(op.value, read_value(in_));
      if (op.kind == OpKind::kAdd && !op.value.is_integer()) return malformed();
    }
    return placed;
  }

  Result<void> stamps(std::vector<StampRun>& out) {
    OAS_TRY(const std::uint32_t size, count(kOperationsMax));
    Stamp before;
    for (std::uint32_t i = 0; i < size; ++i) {
      OAS_TRY(const DotRun dots, run());
      if (i > 0 && dots <= out.back().dots) return malformed();
      OAS_TRY(const std::uint8_t fresh, in_.u8());
      if (fresh > 1) return malformed();
      if (fresh == 1) {
        OAS_TRY(before.incarnation.minted_at.value, in_.i64());
        OAS_TRY(before.incarnation.random, in_.u64());
      }
      OAS_TRY(const std::int64_t change, in_.zigzag());
      OAS_TRY(const std::int64_t received, in_.zigzag());
      before.change += static_cast<std::uint64_t>(change);
      before.received_at.value = static_cast<std::int64_t>(static_cast<std::uint64_t>(before.received_at.value) +
                                                           static_cast<std::uint64_t>(received));
      constexpr std::int64_t kTimeMax = std::int64_t{1} << 48;
      if (before.change == 0 || before.received_at.value < 0 || before.received_at.value >= kTimeMax)
        return malformed();
      out.push_back({dots, before});
    }
    return {};
  }

  Result<void> holds(std::vector<Hold>& out) {
    OAS_TRY(const std::uint32_t size, count(kOperationsMax));
    if (size == 0) return malformed();
    for (std::uint32_t i = 0; i < size; ++i) {
      Hold hold;
      OAS_TRY(hold.dot.epoch, epoch());
      OAS_TRY(hold.dot.n, in_.varint());
      OAS_TRY(const std::string_view why, in_.text(kReasonBytesMax));
      if (hold.dot.n == 0 || !is_utf8(why) || (i > 0 && hold.dot <= out.back().dot)) return malformed();
      hold.why = why;
      out.push_back(std::move(hold));
    }
    return {};
  }

  wire::Reader& in_;
  std::vector<Epoch> epochs_;
  std::vector<Path> paths_;
};

void write_delta(wire::Writer& out, const Delta& delta) {
  EpochTable epochs;
  const PathTable paths(delta.ops);
  std::vector<Row> rows;
  rows.reserve(delta.ops.size());
  const Cause* known = nullptr;
  for (const PlacedOp& placed : delta.ops) {
    rows.push_back({&placed, paths.number(rows.size())});
    epochs.add(placed.op.dot.epoch);
    if (placed.op.cause.get() != known) epochs.add(placed.op.cause->context);
    known = placed.op.cause.get();
  }
  for (const StampRun& run : delta.stamps) epochs.add(run.dots.epoch);
  epochs.add(delta.voids);
  for (const Hold& hold : delta.holds) epochs.add(hold.dot.epoch);
  order(rows, [](const Row& a, const Row& b) { return a.placed->op.dot < b.placed->op.dot; });
  out.u8(delta.holds.empty() ? kDeltaVersion : kDeltaVersionWithHolds);
  epochs.write(out);
  paths.write(out);
  write_ops(out, epochs, rows);
  write_stamps(out, epochs, delta.stamps);
  write_version(out, epochs, delta.voids);
  if (!delta.holds.empty()) write_holds(out, epochs, delta.holds);
}

}  // namespace

Bytes encode_delta(const Delta& delta) {
  Bytes bytes;
  wire::Writer out(bytes);
  write_delta(out, delta);
  return bytes;
}

Result<Delta> decode_delta(ByteView bytes) {
  if (bytes.size() > kDocumentBytesMax) return fail(ErrorCode::kLimit, kDocumentBytesMax);
  wire::Reader in(bytes);
  OAS_TRY(Delta delta, Decoder(in).delta());
  OAS_CHECK(in.end());
  return delta;
}

Bytes encode_state(const State& state) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u8(kStateMagic);
  out.varint(state.cut());
  out.u8(state.snapshot() ? 1 : 0);
  if (state.snapshot()) write_value(out, *state.snapshot());
  write_delta(out, state.since(Version{}));
  return bytes;
}

Result<State> decode_state(ByteView bytes) {
  if (bytes.size() > kDocumentBytesMax) return fail(ErrorCode::kLimit, kDocumentBytesMax);
  wire::Reader in(bytes);
  OAS_TRY(const std::uint8_t magic, in.u8());
  if (magic != kStateMagic) return fail(ErrorCode::kMalformed);
  OAS_TRY(const std::uint64_t cut, in.varint());
  OAS_TRY(const std::uint8_t flag, in.u8());
  if (flag > 1) return fail(ErrorCode::kMalformed, in.offset());
  MaybeValue snapshot;
  if (flag == 1) {
    OAS_TRY(snapshot, read_value(in));
  }
  OAS_TRY(Delta delta, Decoder(in).delta());
  OAS_CHECK(in.end());
  State state(std::move(snapshot), cut);
  OAS_CHECK(state.join(std::move(delta)));
  return state;
}

std::uint64_t state_digest(const State& state) { return hash64(encode_state(state)); }

}  // namespace oas::merge
