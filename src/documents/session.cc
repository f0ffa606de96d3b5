#include "documents/session.h"

#include <optional>
#include <string>

#include "base/cold.h"
#include "merge/limits.h"
#include "merge/record.h"

namespace oas::documents {
namespace {

using merge::MaybeValue;
using wire::Reader;
using wire::Writer;

constexpr std::uint32_t kListMax = 100'000;
constexpr std::int64_t kTimeMax = (std::int64_t{1} << 48) - 1;  // what a clock of operations can hold

Result<Millis> read_time(Reader& in) {
  OAS_TRY(const std::int64_t ms, in.i64());
  if (ms < 0 || ms > kTimeMax) return fail(ErrorCode::kInvalidArgument);
  return Millis{ms};
}

Result<MaybeValue> read_value(Reader& in) {
  OAS_TRY(const std::uint8_t exists, in.u8());
  if (exists == 0) return MaybeValue();
  OAS_TRY(const std::string_view text, in.text(merge::kDocumentBytesMax));
  OAS_TRY(merge::Value value, merge::parse_json(text));
  return MaybeValue(std::move(value));
}

Result<Replica::Writer> read_place(Reader& in) {
  Replica::Writer at;
  OAS_TRY(at.epoch.value, in.u64());
  OAS_TRY(at.first_n, in.varint());
  OAS_TRY(at.wall, read_time(in));
  if (at.epoch.value == 0 || at.first_n == 0) return fail(ErrorCode::kInvalidArgument);
  return at;
}

Result<merge::Stamp> read_stamp(Reader& in) {
  merge::Stamp stamp;
  OAS_TRY(stamp.incarnation.minted_at.value, in.i64());
  OAS_TRY(stamp.incarnation.random, in.u64());
  OAS_TRY(stamp.change, in.varint());
  OAS_TRY(stamp.received_at, read_time(in));
  if (stamp.change == 0) return fail(ErrorCode::kInvalidArgument);
  return stamp;
}

OAS_COLD_BEGIN

Result<std::vector<SetAside>> read_aside(Reader& in) {
  OAS_TRY(const std::uint32_t count, in.count(kListMax));
  std::vector<SetAside> aside;
  for (std::uint32_t i = 0; i < count; ++i) {
    SetAside one;
    OAS_TRY(one.operation, in.count(kListMax));
    OAS_TRY(one.why, in.text(merge::kReasonBytesMax));
    aside.push_back(one);
  }
  return aside;
}

OAS_COLD_END

void write_value(Writer& out, const MaybeValue& value) {
  out.u8(value ? 1 : 0);
  if (value) out.text(merge::to_json(*value));
}

void write_view(Writer& out, const merge::Shown& shown, std::uint64_t digest, std::size_t pending) {
  write_value(out, shown.value);
  out.u64(digest);
  out.varint(pending);
  out.varint(shown.records.size());
  for (const merge::Record& record : shown.records) {
    out.text(record.id);
    out.u8(static_cast<std::uint8_t>(record.cls));
    out.u8(record.provisional ? 1 : 0);
    out.text(merge::record_json(record));
  }
}

void write_edit(Writer& out, const Edit& edit) {
  out.varint(edit.count);
  out.bytes(edit.delta);
}

void write_dots(Writer& out, const std::vector<merge::Dot>& dots) {
  out.varint(dots.size());
  for (const merge::Dot& dot : dots) {
    out.u64(dot.epoch.value);
    out.varint(dot.n);
  }
}

// A replica as its host keeps it: accepted bytes and a list of pending edits.
struct Stored {
  Replica replica;
  std::vector<merge::Dot> settled;  // edits that are accepted already
};

Result<Stored> read_stored(Reader& in) {
  Stored stored;
  OAS_TRY(const ByteView accepted, in.bytes(merge::kDocumentBytesMax));
  OAS_TRY(stored.replica, Replica::open(accepted));
  OAS_TRY(const std::uint32_t count, in.count(kPendingMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    OAS_TRY(const ByteView delta, in.bytes(merge::kDocumentBytesMax));
    OAS_TRY(const std::optional<merge::Dot> known, stored.replica.keep(delta));
    if (known) stored.settled.push_back(*known);
  }
  return stored;
}

OAS_COLD_BEGIN

Result<void> remake(Replica& replica, const merge::Rules& rules, const Replica::Writer& at, Reader& in, Writer& out) {
  OAS_TRY(const ByteView stood_on, in.bytes(merge::kDocumentBytesMax));
  OAS_TRY(const ByteView old, in.bytes(merge::kDocumentBytesMax));
  OAS_TRY(const Remade remade, replica.remake(stood_on, old, rules, at));
  out.u8(remade.known ? 1 : 0);
  write_edit(out, remade.edit);
  out.bytes(remade.contested);
  out.varint(remade.stranded);
  out.bytes(remade.stood_on);
  return {};
}

OAS_COLD_END

Result<merge::Document> read_state(Reader& in) {
  OAS_TRY(const ByteView state, in.bytes(merge::kDocumentBytesMax));
  if (state.empty()) return merge::Document();
  return merge::Document::open(state);
}

}  // namespace

ByteView Session::call(ByteView request) {
  answer_.assign(1, 0);
  Reader in(request);
  Writer out(answer_);
  const Result<std::uint8_t> command = in.u8();
  const Result<void> done =
      command ? run(static_cast<Command>(*command), in, out) : Result<void>(fail(ErrorCode::kTruncated));
  if (!done) {
    answer_.assign(1, 1);
    out.u16(static_cast<std::uint16_t>(done.error().code));
    out.u64(done.error().detail);
  }
  return answer_;
}

Result<void> Session::run(Command command, Reader& in, Writer& out) {
  switch (command) {
    case Command::kRules: return add_rules(in, out);
    case Command::kOpen: return open(in, out);
    case Command::kClose:
    case Command::kPut:
    case Command::kPatch:
    case Command::kResolve:
    case Command::kAccept:
    case Command::kDrop:
    case Command::kKeep:
    case Command::kRefresh:
    case Command::kRemake:
    case Command::kView:
    case Command::kState: return on_replica(command, in, out);
    case Command::kJudge:
    case Command::kMend:
    case Command::kLost:
    case Command::kVoid:
    case Command::kFold:
    case Command::kShow: return on_state(command, in, out);
  }
  return fail(ErrorCode::kInvalidArgument, static_cast<std::uint64_t>(command));
}

Result<void> Session::add_rules(Reader& in, Writer& out) {
  if (rules_.size() >= kRulesHandlesMax) return fail(ErrorCode::kLimit, kRulesHandlesMax);
  OAS_TRY(const std::string_view text, in.text(merge::kStringBytesMax));
  merge::Value schema;
  if (!text.empty()) {
    OAS_TRY(schema, merge::parse_json(text));
  }
  OAS_TRY(merge::Rules rules, merge::Rules::parse(schema));
  out.varint(rules_.size());
  out.u64(rules.hash());
  rules_.push_back(std::move(rules));
  return {};
}

Result<const merge::Rules*> Session::rules(Reader& in) {
  OAS_TRY(const std::uint64_t handle, in.varint());
  if (handle >= rules_.size()) return fail(ErrorCode::kInvalidArgument, handle);
  return &rules_[static_cast<std::size_t>(handle)];
}

Result<void> Session::open(Reader& in, Writer& out) {
  OAS_TRY(Stored stored, read_stored(in));
  auto held = std::make_unique<Replica>(std::move(stored.replica));
  if (!free_.empty()) {
    const std::uint32_t handle = free_.back();
    free_.pop_back();
    replicas_[handle] = std::move(held);
    out.varint(handle);
  } else {
    if (replicas_.size() >= kDocumentHandlesMax) return fail(ErrorCode::kLimit, kDocumentHandlesMax);
    out.varint(replicas_.size());
    replicas_.push_back(std::move(held));
  }
  write_dots(out, stored.settled);
  return {};
}

Result<void> Session::on_replica(Command command, Reader& in, Writer& out) {
  OAS_TRY(const std::uint64_t handle, in.varint());
  if (handle >= replicas_.size() || !replicas_[static_cast<std::size_t>(handle)])
    return fail(ErrorCode::kInvalidArgument, handle);
  std::unique_ptr<Replica>& held = replicas_[static_cast<std::size_t>(handle)];
  Replica& replica = *held;
  switch (command) {
    case Command::kClose:
      held.reset();
      free_.push_back(static_cast<std::uint32_t>(handle));
      return {};
    case Command::kState: out.bytes(replica.accepted().bytes()); return {};
    case Command::kRefresh: {
      OAS_TRY(Stored stored, read_stored(in));
      replica.refresh(std::move(stored.replica));
      write_dots(out, stored.settled);
      return {};
    }
    case Command::kKeep: {
      OAS_TRY(const ByteView edit, in.bytes(merge::kDocumentBytesMax));
      OAS_CHECK(replica.keep(edit));
      return {};
    }
    case Command::kDrop: {
      merge::Dot first;
      OAS_TRY(first.epoch.value, in.u64());
      OAS_TRY(first.n, in.varint());
      out.u8(replica.drop(first) ? 1 : 0);
      return {};
    }
    default: break;
  }
  OAS_TRY(const merge::Rules* const by, rules(in));
  switch (command) {
    case Command::kView: {
      OAS_TRY(const std::uint8_t may_edit, in.u8());
      const merge::Shown shown = may_edit == 0 ? replica.view(*by) : replica.show(*by);
      write_view(out, shown, replica.accepted().digest(), replica.pending());
      return {};
    }
    case Command::kAccept: {
      OAS_TRY(const std::uint32_t count, in.count(kListMax));
      std::vector<merge::Dot> settled;
      for (std::uint32_t i = 0; i < count; ++i) {
        OAS_TRY(const ByteView change, in.bytes(merge::kDocumentBytesMax));
        OAS_TRY(const std::vector<merge::Dot> some, replica.accept(change, *by));
        settled.insert(settled.end(), some.begin(), some.end());
      }
      write_dots(out, settled);
      return {};
    }
    default: break;
  }
  OAS_TRY(const Replica::Writer at, read_place(in));
  if (command == Command::kPut) {
    OAS_TRY(const MaybeValue next, read_value(in));
    OAS_TRY(const Edit edit, replica.put(next, *by, at));
    write_edit(out, edit);
  } else if (command == Command::kPatch) {
    OAS_TRY(const std::string_view text, in.text(merge::kDocumentBytesMax));
    OAS_TRY(const merge::Value edits, merge::parse_json(text));
    OAS_TRY(const Edit edit, replica.patch(edits, *by, at));
    write_edit(out, edit);
  } else if (command == Command::kRemake) {
    OAS_CHECK(remake(replica, *by, at, in, out));
  } else {
    OAS_TRY(const std::string_view id, in.text(64));
    OAS_TRY(const MaybeValue value, read_value(in));
    OAS_TRY(const Edit edit, replica.resolve(id, value, *by, at));
    write_edit(out, edit);
  }
  return {};
}

Result<void> Session::on_state(Command command, Reader& in, Writer& out) {
  OAS_TRY(merge::Document document, read_state(in));
  if (command == Command::kVoid) {
    OAS_TRY(const ByteView edit, in.bytes(merge::kDocumentBytesMax));
    OAS_TRY(const Bytes change, void_change(document, edit));
    out.bytes(change);
    return {};
  }
  if (command == Command::kLost) {
    OAS_TRY(const merge::Document now, read_state(in));
    OAS_TRY(const std::uint64_t shared, in.varint());
    out.bytes(lost_by(document, now, shared));
    return {};
  }
  OAS_TRY(const merge::Rules* const by, rules(in));
  if (command == Command::kShow) {
    write_view(out, document.view(*by), document.digest(), 0);
  } else if (command == Command::kFold) {
    OAS_TRY(const std::uint64_t cut, in.varint());
    out.varint(document.compact(cut, *by));
    out.bytes(document.bytes());
    out.bytes(encode_fold(cut));
  } else {
    OAS_TRY(const ByteView edit, in.bytes(merge::kDocumentBytesMax));
    OAS_TRY(const merge::Stamp stamp, read_stamp(in));
    OAS_TRY(const std::uint64_t acknowledged, in.varint());
    OAS_TRY(const std::vector<SetAside> aside, read_aside(in));
    const auto decide = command == Command::kMend ? mend : judge;
    OAS_TRY(const Judgement judgement, decide(document, edit, stamp, acknowledged, aside));
    out.u8(judgement.changed ? 1 : 0);
    out.bytes(document.bytes());
    out.bytes(judgement.change);
    out.varint(judgement.operations);
    write_view(out, document.view(*by), document.digest(), 0);
  }
  return {};
}

}  // namespace oas::documents
