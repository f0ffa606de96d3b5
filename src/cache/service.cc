#include "cache/service.h"

#include "wire/lz4.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::cache {
namespace {

constexpr std::uint64_t kExpansionMax = 255;  // of any lz4 block
enum Method : std::uint8_t { kPlain = 0, kLz4 = 1 };

Result<void> pack(ByteView content, Bytes& out) {
  if (content.size() > kContentBytesMax) return fail(ErrorCode::kLimit, kContentBytesMax);
  wire::Writer head(out);
  head.u8(kLz4);
  head.varint(content.size());
  if (wire::compress_content(content, out) < content.size()) return {};
  out.clear();
  head.u8(kPlain);
  head.varint(content.size());
  head.raw(content);
  return {};
}

Result<void> unpack(ByteView packed, Bytes& out) {
  wire::Reader in(packed);
  OAS_TRY(const std::uint8_t method, in.u8());
  OAS_TRY(const std::uint32_t size, in.count(kContentBytesMax));
  OAS_TRY(const ByteView content, in.raw(in.left()));
  if (method == kLz4) {
    if (size > content.size() * kExpansionMax) return fail(ErrorCode::kLimit, kExpansionMax);
    return wire::decompress_text(content, size, {}, out);
  }
  if (method != kPlain || content.size() != size) return fail(ErrorCode::kMalformed);
  out = to_bytes(content);
  return {};
}

void write_victims(const std::vector<std::uint64_t>& victims, Bytes& out) {
  wire::Writer writer(out);
  for (const std::uint64_t victim : victims) writer.u64(victim);
}

}  // namespace

Result<void> Service::call(std::uint32_t op, ByteView bytes, Bytes& out) {
  out.clear();
  if (op == static_cast<std::uint32_t>(Op::kPack)) return pack(bytes, out);
  if (op == static_cast<std::uint32_t>(Op::kUnpack)) return unpack(bytes, out);
  wire::Reader in(bytes);
  if (op == static_cast<std::uint32_t>(Op::kBudget)) {
    OAS_TRY(const std::uint64_t budget, in.varint());
    OAS_CHECK(in.end());
    cache_.set_budget(budget);
    write_victims(cache_.shrink(), out);
    return {};
  }
  Item item;
  OAS_TRY(item.key, in.u64());
  switch (static_cast<Op>(op)) {
    case Op::kTouch: out.push_back(cache_.touch(item.key) ? 1 : 0); return {};
    case Op::kErase: cache_.erase(item.key); return {};
    case Op::kPut: {
      OAS_TRY(item.bytes, in.varint());
      OAS_TRY(const std::uint8_t priority, in.u8());
      OAS_TRY(const std::uint8_t pinned, in.u8());
      item.priority = priority;
      item.pinned = pinned != 0;
      write_victims(cache_.put(item), out);
      return {};
    }
    default: return fail(ErrorCode::kInvalidArgument, op);
  }
}

}  // namespace oas::cache
