#include "queue/records.h"

#include "base/hash.h"
#include "base/limits.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::queue {
namespace {

using wire::Reader;
using wire::Writer;

constexpr std::uint8_t kRecordVersion = 1;
constexpr std::uint8_t kHoleMark = 'V';  // segments start with 'S'

// One function a record, for both directions: Archive is a Writer or a Reader behind the same names.
struct Encode {
  Writer out;
  bool failed = false;
  Error error{};
  void number(const std::uint64_t& value) { out.varint(value); }
  void word(const std::uint64_t& value) { out.u64(value); }
  void bytes(const Bytes& value) { out.bytes(value); }
};

struct Decode {
  Reader in;
  bool failed = false;
  Error error{};
  template <class T>
  T take(Result<T> result) {
    if (result) return *result;
    if (!failed) error = result.error();
    failed = true;
    return T{};
  }
  void number(std::uint64_t& value) { value = take(in.varint()); }
  void word(std::uint64_t& value) { value = take(in.u64()); }
  void bytes(Bytes& value) { value = to_bytes(take(in.bytes(kRecordBytesMax))); }
};

template <class Archive, class Field>
void small(Archive& archive, Field& field) {
  auto wide = static_cast<std::uint64_t>(field);
  archive.number(wide);
  if constexpr (!std::is_const_v<Field>) field = static_cast<Field>(wide);
}

template <class Archive, class Time>
void time(Archive& archive, Time& at) {
  auto wide = static_cast<std::uint64_t>(at.value);
  archive.word(wide);
  if constexpr (!std::is_const_v<Time>) at.value = static_cast<std::int64_t>(wide);
}

// `R` is the record's type, const when it is written.
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, EpochTotals>
void fields(A& a, R& r) {
  for (auto& last : r.last) a.number(last);
  for (auto& hash : r.hash) a.word(hash.value);
  a.word(r.hlc.value);
}
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, StreamMark>
void fields(A& a, R& r) {
  a.number(r.mark.seq.value);
  a.word(r.mark.hash.value);
  a.number(r.rejected);
  a.number(r.voided);
  a.number(r.deferred);
  time(a, r.acked_at);
  small(a, r.rewind);
}
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, Lease>
void fields(A& a, R& r) {
  a.word(r.owner.value);
  a.word(r.stamp);
}
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, RetryState>
void fields(A& a, R& r) {
  small(a, r.attempts);
  time(a, r.next_at);
}
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, ServerState>
void fields(A& a, R& r) {
  time(a, r.incarnation.minted_at);
  a.word(r.incarnation.random);
  a.number(r.late_seen);
  time(a, r.horizon);
  small(a, r.verify);
  time(a, r.verified_at);
}
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, FoldedTotals>
void fields(A& a, R& r) {
  a.number(r.created);
  a.number(r.applied);
  a.number(r.rejected);
  a.number(r.voided);
}
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, DeadLetter>
void fields(A& a, R& r) {
  small(a, r.code);
  time(a, r.at);
  a.bytes(r.event);
}
template <class A, class R>
  requires std::is_same_v<std::remove_const_t<R>, HoleRecord>
void fields(A& a, R& r) {
  small(a, r.reason);
  a.word(r.before.value);
  a.word(r.after.value);
}

template <class T>
Bytes encode(const T& record, std::uint8_t first = kRecordVersion) {
  Bytes bytes{first};
  Encode archive{Writer(bytes)};
  fields(archive, record);
  return bytes;
}

}  // namespace

Bytes write_record(const EpochTotals& record) { return encode(record); }
Bytes write_record(const StreamMark& record) { return encode(record); }
Bytes write_record(const Lease& record) { return encode(record); }
Bytes write_record(const RetryState& record) { return encode(record); }
Bytes write_record(const ServerState& record) { return encode(record); }
Bytes write_record(const FoldedTotals& record) { return encode(record); }
Bytes write_record(const DeadLetter& record) { return encode(record); }
Bytes write_record(const HoleRecord& record) {
  Bytes bytes = encode(record, kHoleMark);
  Writer(bytes).u64(hash64(bytes));
  return bytes;
}

template <class T>
Result<T> read_record(ByteView bytes) {
  Decode archive{Reader(bytes)};
  const std::uint8_t version = archive.take(archive.in.u8());
  constexpr std::uint8_t expected = std::is_same_v<T, HoleRecord> ? kHoleMark : kRecordVersion;
  if (!archive.failed && version != expected) return fail(ErrorCode::kUnknownVersion, version);
  if constexpr (std::is_same_v<T, HoleRecord>) {
    // It stands among segments and is as precious: what it says decides with which hash a stream goes on.
    constexpr std::size_t kSum = sizeof(std::uint64_t);
    if (bytes.size() <= kSum) return fail(ErrorCode::kTruncated, bytes.size());
    const ByteView body = bytes.first(bytes.size() - kSum);
    if (Reader(bytes.subspan(body.size())).u64().value_or(0) != hash64(body)) return fail(ErrorCode::kChecksum);
    archive.in = Reader(body);
    (void)archive.in.u8();
  }
  T record{};
  fields(archive, record);
  if (archive.failed) return std::unexpected(archive.error);
  OAS_CHECK(archive.in.end());
  return record;
}

template Result<EpochTotals> read_record<EpochTotals>(ByteView);
template Result<StreamMark> read_record<StreamMark>(ByteView);
template Result<Lease> read_record<Lease>(ByteView);
template Result<RetryState> read_record<RetryState>(ByteView);
template Result<ServerState> read_record<ServerState>(ByteView);
template Result<FoldedTotals> read_record<FoldedTotals>(ByteView);
template Result<DeadLetter> read_record<DeadLetter>(ByteView);
template Result<HoleRecord> read_record<HoleRecord>(ByteView);

bool is_hole(ByteView bytes) { return !bytes.empty() && bytes[0] == kHoleMark; }

}  // namespace oas::queue
