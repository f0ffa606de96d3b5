#include "engine/io_codec.h"

#include <algorithm>
#include <optional>
#include <type_traits>

#include "base/limits.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::engine {
namespace {

using wire::Reader;
using wire::Writer;

constexpr std::uint32_t kRecordBytesMaxIn = 96'000'000;  // one input: a burst of calls, or a page of records
constexpr std::uint32_t kElementsMax = 1'000'000;

// Every record is described once (`fields`) and both written and read by that description.
class Out {
 public:
  explicit Out(Bytes& bytes) : writer_(bytes) {}
  static constexpr bool kReads = false;

  void u8(std::uint8_t value) { writer_.u8(value); }
  void u16(std::uint16_t value) { writer_.u16(value); }
  void u32(std::uint32_t value) { writer_.u32(value); }
  void u64(std::uint64_t value) { writer_.u64(value); }
  void raw(ByteView bytes) { writer_.raw(bytes); }
  void bytes(const Bytes& value) {
    writer_.u32(static_cast<std::uint32_t>(value.size()));
    writer_.raw(value);
  }

 private:
  Writer writer_;
};

class In {
 public:
  explicit In(ByteView bytes) : reader_(bytes) {}
  static constexpr bool kReads = true;

  void u8(std::uint8_t& value) { take(value, reader_.u8()); }
  void u16(std::uint16_t& value) { take(value, reader_.u16()); }
  void u32(std::uint32_t& value) { take(value, reader_.u32()); }
  void u64(std::uint64_t& value) { take(value, reader_.u64()); }
  void raw(std::span<std::uint8_t> bytes) {
    const Result<ByteView> view = reader_.raw(bytes.size());
    if (!view) return fail_with(view.error());
    std::copy(view->begin(), view->end(), bytes.begin());
  }
  void bytes(Bytes& value) {
    std::uint32_t size = 0;
    u32(size);
    const Result<ByteView> view = reader_.raw(size);
    if (!view) return fail_with(view.error());
    value = to_bytes(*view);
  }
  // A count of elements of at least one byte each, so that no allocation is driven by a hostile number.
  std::uint32_t count() {
    std::uint32_t value = 0;
    u32(value);
    if (value > reader_.left() || value > kElementsMax) {
      fail_with({ErrorCode::kLimit, kElementsMax});
      return 0;
    }
    return value;
  }
  void fail_with(Error error) {
    if (!error_) error_ = error;
  }
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  Result<void> end() const {
    if (error_) return std::unexpected(*error_);
    return reader_.end();
  }

 private:
  template <class T>
  void take(T& value, Result<T> result) {
    if (result)
      value = *result;
    else
      fail_with(result.error());
  }
  Reader reader_;
  std::optional<Error> error_;
};

template <class A, class T>
void field(A& a, T& value);

template <class A, class T>
void list(A& a, T& values) {
  if constexpr (A::kReads) {
    // Grows as the bytes prove to be there, never by the declared number alone.
    for (std::uint32_t left = a.count(); left > 0 && !a.failed(); --left) field(a, values.emplace_back());
  } else {
    a.u32(static_cast<std::uint32_t>(values.size()));
    for (auto& value : values) field(a, value);
  }
}

// Lanes are indices elsewhere, so one from outside must be in range.
template <class A, class T>
void lane(A& a, T& value) {
  auto number = static_cast<std::uint8_t>(value);
  a.u8(number);
  if constexpr (A::kReads) {
    if (number >= kLaneCount)
      a.fail_with({ErrorCode::kMalformed, number});
    else
      value = static_cast<Lane>(number);
  }
}

template <class A, class E>
void small_enum(A& a, E& value, std::uint8_t end) {
  auto number = static_cast<std::uint8_t>(value);
  a.u8(number);
  if constexpr (A::kReads) {
    if (number >= end)
      a.fail_with({ErrorCode::kMalformed, number});
    else
      value = static_cast<std::remove_cvref_t<E>>(number);
  }
}

// Any number: an operation this build does not know is refused as a command, not as a block.
template <class A, class E>
void op(A& a, E& value) {
  auto number = static_cast<std::uint8_t>(value);
  a.u8(number);
  if constexpr (A::kReads) value = static_cast<std::remove_cvref_t<E>>(number);
}

template <class A, class T>
void field(A& a, T& value) {
  using R = std::remove_cvref_t<T>;
  if constexpr (std::is_same_v<R, bool>) {
    small_enum(a, value, 2);
  } else if constexpr (std::is_same_v<R, std::uint8_t>) {
    a.u8(value);
  } else if constexpr (std::is_same_v<R, std::uint16_t>) {
    a.u16(value);
  } else if constexpr (std::is_same_v<R, std::uint32_t>) {
    a.u32(value);
  } else if constexpr (std::is_same_v<R, std::uint64_t>) {
    a.u64(value);
  } else if constexpr (std::is_same_v<R, Millis>) {
    auto wide = static_cast<std::uint64_t>(value.value);
    a.u64(wide);
    if constexpr (A::kReads) value.value = static_cast<std::int64_t>(wide);
  } else if constexpr (std::is_same_v<R, Epoch> || std::is_same_v<R, Sequence>) {
    a.u64(value.value);
  } else if constexpr (std::is_same_v<R, DeviceId>) {
    a.raw(value.value);
  } else if constexpr (std::is_same_v<R, Seed>) {
    a.raw(value);
  } else if constexpr (std::is_same_v<R, Bytes>) {
    a.bytes(value);
  } else if constexpr (std::is_same_v<R, StreamId>) {
    a.u64(value.epoch.value);
    lane(a, value.lane);
  } else if constexpr (std::is_same_v<R, EventId>) {
    field(a, value.stream);
    a.u64(value.seq.value);
  } else if constexpr (std::is_same_v<R, std::array<std::uint64_t, kLaneCount>>) {
    for (auto& one : value) a.u64(one);
  } else if constexpr (requires(R& many) { many.push_back(many[0]); }) {
    list(a, value);
  } else {
    fields(a, value);
  }
}

template <class A, class... T>
void all(A& a, T&... values) {
  (field(a, values), ...);
}

template <class T, class Record>
concept Is = std::is_same_v<std::remove_const_t<T>, Record>;

template <class A>
void fields(A& a, Is<Put> auto& r) {
  all(a, r.key, r.value);
}
template <class A>
void fields(A& a, Is<KeyRange> auto& r) {
  all(a, r.from, r.to);
}
template <class A>
void fields(A& a, Is<Expect> auto& r) {
  small_enum(a, r.kind, 3);
  all(a, r.key, r.value);
}
template <class A>
void fields(A& a, Is<Settled::Exception> auto& r) {
  all(a, r.seq, r.kind, r.code);
}

template <class A>
void fields(A& a, Is<Start> auto& r) {
  all(a, r.device, r.epoch, r.next, r.seed);
  small_enum(a, r.durability, 3);
  all(a, r.drains);
}
template <class A>
void fields(A& a, Is<Enqueue> auto& r) {
  all(a, r.first, r.count, r.text);
}
template <class A>
void fields(A& a, Is<Loaded> auto& r) {
  all(a, r.load, r.records);
}
template <class A>
void fields(A& a, Is<LoadFailed> auto& r) {
  all(a, r.load);
}
template <class A>
void fields(A& a, Is<Persisted> auto& r) {
  all(a, r.tx);
}
template <class A>
void fields(A& a, Is<PersistFailed> auto& r) {
  all(a, r.tx);
  small_enum(a, r.kind, 3);
  all(a, r.code);
}
template <class A>
void fields(A& a, Is<Response> auto& r) {
  all(a, r.request, r.status, r.retry_after_ms, r.body);
}
template <class A>
void fields(A& a, Is<SendFailed> auto& r) {
  all(a, r.request);
}
template <class A>
void fields(A&, Is<Woke> auto&) {}
template <class A>
void fields(A& a, Is<Connectivity> auto& r) {
  all(a, r.online, r.token_fresh);
}
template <class A>
void fields(A& a, Is<Peer> auto& r) {
  all(a, r.bytes);
}
template <class A>
void fields(A& a, Is<Command> auto& r) {
  all(a, r.command);
  op(a, r.op);
  all(a, r.args);
}

template <class A>
void fields(A& a, Is<Gone> auto& r) {
  all(a, r.owner);
}

template <class A>
void fields(A& a, Is<Persist> auto& r) {
  all(a, r.tx);
  small_enum(a, r.durability, 4);
  all(a, r.expects, r.puts, r.deletes, r.guard, r.covers);
}
template <class A>
void fields(A& a, Is<Load> auto& r) {
  all(a, r.load, r.range, r.records_max);
}
template <class A>
void fields(A& a, Is<Send> auto& r) {
  all(a, r.request, r.pull, r.timeout_ms, r.body);
}
template <class A>
void fields(A& a, Is<Abort> auto& r) {
  all(a, r.request);
}
template <class A>
void fields(A& a, Is<Tell> auto& r) {
  all(a, r.bytes);
}
template <class A>
void fields(A& a, Is<Accepted> auto& r) {
  all(a, r.first, r.count, r.id);
}
template <class A>
void fields(A& a, Is<Failed> auto& r) {
  all(a, r.command, r.code, r.detail);
}
template <class A>
void fields(A& a, Is<CommandResult> auto& r) {
  all(a, r.command, r.bytes);
}
template <class A>
void fields(A& a, Is<Settled> auto& r) {
  all(a, r.stream, r.from, r.upto, r.late, r.exceptions);
}
template <class A>
void fields(A& a, Is<Status> auto& r) {
  small_enum(a, r.phase, 6);
  all(a, r.reason, r.pending, r.created, r.applied, r.dead, r.voided, r.deferred, r.attempts, r.next_attempt,
      r.oldest_unsent);
}
template <class A>
void fields(A&, Is<NeedToken> auto&) {}
template <class A>
void fields(A& a, Is<Log> auto& r) {
  small_enum(a, r.severity, 4);
  all(a, r.code, r.detail);
}
template <class A>
void fields(A& a, Is<Wake> auto& r) {
  all(a, r.at);
}
template <class A>
void fields(A& a, Is<Follow> auto& r) {
  all(a, r.owner);
}

// The alternative with index `index`, default-made.
template <class Variant, std::size_t I = 0>
Result<Variant> make(std::size_t index) {
  if constexpr (I < std::variant_size_v<Variant>) {
    if (index == I) return Variant(std::in_place_index<I>);
    return make<Variant, I + 1>(index);
  } else {
    return fail(ErrorCode::kMalformed, index);
  }
}

template <class A>
void fields(A& a, Is<Deliver> auto& r) {
  auto index = static_cast<std::uint8_t>(r.notice.index());
  a.u8(index);
  if constexpr (A::kReads) {
    Result<Notice> notice = make<Notice>(index);
    if (!notice) return a.fail_with(notice.error());
    r.notice = *std::move(notice);
  }
  std::visit([&a](auto& notice) { fields(a, notice); }, r.notice);
}

template <class Variant>
void write_records(std::span<const Variant> records, Bytes& block) {
  for (const Variant& record : records) {
    block.push_back(static_cast<std::uint8_t>(record.index()));
    const std::size_t size_at = block.size();
    block.resize(size_at + 4);
    Out out(block);
    std::visit([&out](const auto& one) { fields(out, one); }, record);
    const std::size_t size = block.size() - size_at - 4;
    for (std::size_t i = 0; i < 4; ++i) block[size_at + i] = static_cast<std::uint8_t>(size >> (8 * i));
  }
}

template <class Variant>
Result<std::vector<Variant>> read_records(ByteView block) {
  std::vector<Variant> records;
  Reader reader(block);
  while (reader.left() > 0) {
    OAS_TRY(const std::uint8_t kind, reader.u8());
    OAS_TRY(const std::uint32_t size, reader.u32());
    if (size > kRecordBytesMaxIn) return fail(ErrorCode::kLimit, kRecordBytesMaxIn);
    OAS_TRY(const ByteView body, reader.raw(size));
    OAS_TRY(Variant record, make<Variant>(kind));
    In in(body);
    std::visit([&in](auto& one) { fields(in, one); }, record);
    OAS_CHECK(in.end());
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace

Result<std::vector<Input>> read_inputs(ByteView block) { return read_records<Input>(block); }
void write_outputs(std::span<const Output> outputs, Bytes& block) { write_records(outputs, block); }
void write_inputs(std::span<const Input> inputs, Bytes& block) { write_records(inputs, block); }
Result<std::vector<Output>> read_outputs(ByteView block) { return read_records<Output>(block); }

}  // namespace oas::engine
