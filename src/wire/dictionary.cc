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

Bytes DictionaryBuilder::build(std::uint32_t bytes_max) const {
  struct Candidate {
    std::uint32_t path{};
    std::uint32_t times{};
    std::string_view text;
    std::uint64_t worth{};
  };
  std::vector<Candidate> candidates;
  for (const auto& [key, seen] : seen_) {
    if (seen.times < 2 || key.second.size() > kDictionaryBytesMax / 4) continue;
    // Each byte of the budget is worth what it saves again and again.
    const std::uint64_t worth =
        std::uint64_t{seen.times - 1} * 1'024 * (key.second.size() + 2) / (key.second.size() + 6);
    candidates.push_back({key.first, seen.times, key.second, worth});
  }
  sort_list(candidates, [](const Candidate& a, const Candidate& b) {
    if (a.worth != b.worth) return a.worth > b.worth;
    if (a.path != b.path) return a.path < b.path;
    return a.text < b.text;
  });
  const std::uint64_t budget = std::min(bytes_max, kDictionaryBytesMax);
  std::uint64_t bytes = 8;
  std::vector<Candidate> kept;
  std::vector<std::uint32_t> paths;
  for (const Candidate& candidate : candidates) {
    const bool known = std::find(paths.begin(), paths.end(), candidate.path) != paths.end();
    const std::uint64_t more = candidate.text.size() + 1 + (known ? 0 : 7);
    if (bytes + more > budget || kept.size() == kDictionaryValuesMax || (!known && paths.size() == kColumnsMax))
      continue;
    if (!known) paths.push_back(candidate.path);
    bytes += more;
    kept.push_back(candidate);
  }
  sort_list(kept, [](const Candidate& a, const Candidate& b) {
    if (a.path != b.path) return a.path < b.path;
    if (a.times != b.times) return a.times > b.times;
    return a.text < b.text;
  });
  Bytes out;
  Writer writer(out);
  writer.u8(kMagic);
  writer.u8(kVersion);
  writer.varint(paths.size());
  for (std::size_t from = 0; from < kept.size();) {
    std::size_t to = from;
    while (to < kept.size() && kept[to].path == kept[from].path) ++to;
    writer.u32(kept[from].path);
    writer.varint(to - from);
    from = to;
  }
  for (const Candidate& candidate : kept) {
    writer.raw(as_bytes(candidate.text));
    writer.u8(0);
  }
  return out;
}

}  // namespace oas::wire
