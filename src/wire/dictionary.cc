#include "wire/dictionary.h"

#include <algorithm>

#include "base/hash.h"
#include "base/sort.h"
#include "wire/column_layout.h"
#include "wire/shape.h"

namespace oas::wire {
namespace {

constexpr std::uint8_t kMagic = 'D';
constexpr std::uint8_t kVersion = 1;
constexpr std::uint32_t kTailTextMin = 8;      // shorter text is not worth an offset
constexpr std::uint32_t kTailTextMax = 2'000;  // one long text should not crowd out many

// Pre: `values` are in order of path.
template <class Values>
Bytes write_dictionary(const Values& values) {
  Bytes heads;
  Writer head(heads);
  std::uint32_t columns = 0;
  for (std::size_t from = 0; from < values.size(); ++columns) {
    std::size_t to = from;
    while (to < values.size() && values[to].path == values[from].path) ++to;
    head.u32(values[from].path);
    head.varint(to - from);
    from = to;
  }
  Bytes out;
  Writer writer(out);
  writer.u8(kMagic);
  writer.u8(kVersion);
  writer.varint(columns);
  writer.raw(heads);
  for (const auto& value : values) {
    writer.raw(as_bytes(value.text));
    writer.u8(0);
  }
  return out;
}

}  // namespace

Result<Dictionary> Dictionary::load(ByteView bytes) {
  if (bytes.size() > kDictionaryBytesMax) return fail(ErrorCode::kLimit, kDictionaryBytesMax);
  Dictionary loaded;
  loaded.prefix_ = make_prefix(bytes);
  loaded.id_ = hash64(loaded.bytes());
  Reader in(loaded.bytes());
  OAS_TRY(const std::uint8_t magic, in.u8());
  OAS_TRY(const std::uint8_t version, in.u8());
  if (magic != kMagic) return fail(ErrorCode::kMalformed, 0);
  if (version != kVersion) return fail(ErrorCode::kUnknownVersion, version);
  OAS_TRY(const std::uint32_t columns, in.count(kColumnsMax));
  std::uint32_t values = 0;
  for (std::uint32_t i = 0; i < columns; ++i) {
    OAS_TRY(const std::uint32_t path, in.u32());
    OAS_TRY(const std::uint32_t count, in.count(kDictionaryValuesMax - values));
    if (i > 0 && path <= loaded.columns_.back().path) return fail(ErrorCode::kMalformed, in.offset());
    loaded.columns_.push_back({path, values, count});
    values += count;
  }
  OAS_TRY(ByteView texts, in.raw(in.left()));
  for (std::uint32_t i = 0; i < values; ++i) {
    const auto end = std::find(texts.begin(), texts.end(), std::uint8_t{0});
    if (end == texts.end()) return fail(ErrorCode::kTruncated, i);
    const auto size = static_cast<std::size_t>(end - texts.begin());
    loaded.values_.push_back(as_text(texts.first(size)));
    texts = texts.subspan(size + 1);
  }
  if (!texts.empty()) return fail(ErrorCode::kMalformed, values);
  return loaded;
}

std::span<const std::string_view> Dictionary::values(std::uint32_t path) const {
  const auto found = std::lower_bound(columns_.begin(), columns_.end(), path,
                                      [](const Column& column, std::uint32_t wanted) { return column.path < wanted; });
  if (found == columns_.end() || found->path != path) return {};
  return std::span(values_).subspan(found->first, found->count);
}

Bytes pack_dictionary(ByteView bytes) {
  Bytes packed;
  Writer(packed).varint(bytes.size());
  compress_text(bytes, nullptr, packed);
  return packed;
}

Result<Dictionary> unpack_dictionary(ByteView packed) {
  Reader in(packed);
  OAS_TRY(const std::uint32_t size, in.count(kDictionaryBytesMax));
  OAS_TRY(const ByteView block, in.raw(in.left()));
  Bytes bytes;
  OAS_CHECK(decompress_text(block, size, {}, bytes));
  return Dictionary::load(bytes);
}

const Dictionary* find_dictionary(Dictionaries dictionaries, std::uint64_t id) {
  for (const Dictionary* dictionary : dictionaries)
    if (dictionary->id() == id) return dictionary;
  return nullptr;
}

void DictionaryBuilder::add(const EventView& event) {
  if (event.replaces) return;
  Bytes shape{static_cast<std::uint8_t>(kShapeFlags + (event.entity.empty() ? 0 : kHasEntityBit) +
                                        (event.dedupe_key.empty() ? 0 : kHasDedupeBit))};
  std::vector<std::string_view> values;
  std::vector<std::uint32_t> paths{kTypePath, kModulePath, kEntityPath, kDedupePath};
  values.assign({event.type, event.module, event.entity, event.dedupe_key});
  if (!cut_values(event.json, kColumnValuesMax, shape, values)) return;
  hole_paths(as_text(shape).substr(1), paths);
  values.push_back(as_text(shape));
  paths.push_back(kShapePath);
  ++events_;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Seen& seen = seen_[{paths[i], std::string(values[i])}];
    // Twice in one event says little about the next.
    if (seen.last == events_) continue;
    seen.last = events_;
    ++seen.times;
  }
}

std::vector<DictionaryBuilder::Candidate> DictionaryBuilder::repeated() const {
  std::vector<Candidate> candidates;
  for (const auto& [key, seen] : seen_) {
    const auto& [path, text] = key;
    if (seen.times < 2 || text.size() > kDictionaryBytesMax / 4 || path == kTailPath) continue;
    // Each byte of the budget is worth what it saves again and again.
    const std::uint64_t worth = std::uint64_t{seen.times - 1} * 1'024 * (text.size() + 2) / (text.size() + 6);
    candidates.push_back({path, seen.times, text, worth});
  }
  sort_list(candidates, [](const Candidate& a, const Candidate& b) {
    if (a.worth != b.worth) return a.worth > b.worth;
    if (a.path != b.path) return a.path < b.path;
    return a.text < b.text;
  });
  return candidates;
}

void DictionaryBuilder::add_tail(std::uint64_t bytes_max, std::vector<Candidate>& kept) const {
  std::vector<Candidate> once;
  for (const auto& [key, seen] : seen_)
    if (seen.times == 1 && key.second.size() >= kTailTextMin && key.second.size() <= kTailTextMax)
      once.push_back({kTailPath, seen.last, key.second, seen.last});
  sort_list(once, [](const Candidate& a, const Candidate& b) {
    if (a.worth != b.worth) return a.worth > b.worth;
    return a.text < b.text;
  });
  std::string_view before;
  std::uint64_t bytes = 0;
  for (const Candidate& candidate : once) {
    if (candidate.text == before || bytes + candidate.text.size() + 1 > bytes_max) continue;
    if (kept.size() == kDictionaryValuesMax) return;
    before = candidate.text;
    bytes += candidate.text.size() + 1;
    kept.push_back(candidate);
  }
}

Bytes DictionaryBuilder::build(std::uint32_t bytes_max, std::uint32_t tail_max) const {
  const std::uint64_t budget = std::min(bytes_max, kDictionaryBytesMax);
  std::uint64_t bytes = 16;  // the head, and the tail's entry in it
  std::vector<Candidate> kept;
  std::vector<std::uint32_t> paths;
  for (const Candidate& candidate : repeated()) {
    const bool known = std::find(paths.begin(), paths.end(), candidate.path) != paths.end();
    const std::uint64_t more = candidate.text.size() + 1 + (known ? 0 : 7);
    const bool full = kept.size() == kDictionaryValuesMax || (!known && paths.size() + 1 == kColumnsMax);
    if (bytes + more > budget || full) continue;
    if (!known) paths.push_back(candidate.path);
    bytes += more;
    kept.push_back(candidate);
  }
  if (budget > bytes) add_tail(std::min<std::uint64_t>(budget - bytes, tail_max), kept);
  sort_list(kept, [](const Candidate& a, const Candidate& b) {
    if (a.path != b.path) return a.path < b.path;
    if (a.times != b.times) return a.times > b.times;
    return a.text < b.text;
  });
  return write_dictionary(kept);
}

}  // namespace oas::wire
