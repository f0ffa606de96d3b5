#include "engine/event_columns.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "wire/writer.h"

namespace oas::engine {
namespace {

using sync::PlannedEvent;

// Writes into room that was made before: a column costs one growth of the vector, not one a value.
class BigEndian {
 public:
  explicit BigEndian(std::uint8_t* at) : at_(at) {}

  template <class T>
  void number(T value) {
    for (std::size_t i = sizeof(T); i > 0; --i) *at_++ = static_cast<std::uint8_t>(value >> (8 * (i - 1)));
  }
  template <class T>
  void sized(T value) {
    number(static_cast<std::uint32_t>(sizeof(T)));
    number(value);
  }
  void sized(ByteView bytes) {
    number(static_cast<std::uint32_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

 private:
  std::uint8_t* at_;
};

std::uint8_t* column(Bytes& out, std::size_t bytes) {
  wire::Writer(out).u32(static_cast<std::uint32_t>(bytes));
  const std::size_t at = out.size();
  out.resize(at + bytes);
  return out.data() + at;
}

template <class Value>
void write_numbers(Bytes& out, const std::vector<PlannedEvent>& events, Value value) {
  using T = decltype(value(events.front()));
  BigEndian cells(column(out, events.size() * (sizeof(std::uint32_t) + sizeof(T))));
  for (const PlannedEvent& event : events) cells.sized(value(event));
}

template <class Value>
void write_strings(Bytes& out, const std::vector<PlannedEvent>& events, Value value) {
  std::size_t bytes = 0;
  for (const PlannedEvent& event : events) bytes += sizeof(std::uint32_t) + value(event).size();
  BigEndian cells(column(out, bytes));
  for (const PlannedEvent& event : events) cells.sized(value(event));
}

struct Group {
  Lane lane;
  std::string_view type;
  std::string_view module;
  std::uint32_t count;
  Hlc hlc;
};

// Kinds that take turns are found again; whatever lies further back starts anew, so that no push costs more than its length.
constexpr std::size_t kGroupsLookedAt = 16;
constexpr std::uint64_t kSecondOfHlc = 1'000ULL << 16;  // the low 16 bits count within a millisecond

bool belongs(const Group& group, const PlannedEvent& event) {
  const std::uint64_t a = group.hlc.value;
  const std::uint64_t b = event.event.hlc.value;
  return group.lane == event.id.stream.lane && group.type == event.event.type && group.module == event.event.module &&
         std::max(a, b) - std::min(a, b) < kSecondOfHlc;
}

std::vector<Group> groups_of(const std::vector<PlannedEvent>& events) {
  std::vector<Group> groups;
  for (const PlannedEvent& event : events) {
    const auto end = groups.rbegin() + static_cast<std::ptrdiff_t>(std::min(groups.size(), kGroupsLookedAt));
    const auto group = std::find_if(groups.rbegin(), end, [&event](const Group& one) { return belongs(one, event); });
    if (group != end)
      ++group->count;
    else
      groups.push_back({event.id.stream.lane, event.event.type, event.event.module, 1, event.event.hlc});
  }
  return groups;
}

}  // namespace

void write_event_columns(Bytes& out, const std::vector<PlannedEvent>& events) {
  wire::Writer(out).u32(static_cast<std::uint32_t>(events.size()));
  write_numbers(out, events, [](const PlannedEvent& one) { return one.id.stream.epoch.value; });
  write_numbers(out, events, [](const PlannedEvent& one) { return static_cast<std::uint16_t>(one.id.stream.lane); });
  write_numbers(out, events, [](const PlannedEvent& one) { return one.id.seq.value; });
  write_numbers(out, events, [](const PlannedEvent& one) { return one.hash.value; });
  write_strings(out, events, [](const PlannedEvent& one) { return as_bytes(one.event.type); });
  write_strings(out, events, [](const PlannedEvent& one) { return as_bytes(one.event.module); });
  write_strings(out, events, [](const PlannedEvent& one) { return as_bytes(one.event.entity); });
  write_numbers(out, events, [](const PlannedEvent& one) { return one.event.hlc.value; });
  write_strings(out, events, [](const PlannedEvent& one) { return one.event.json; });
}

void write_event_groups(Bytes& out, const std::vector<PlannedEvent>& events) {
  const std::vector<Group> groups = groups_of(events);
  wire::Writer writer(out);
  writer.u32(static_cast<std::uint32_t>(groups.size()));
  for (const Group& group : groups) {
    writer.u8(static_cast<std::uint8_t>(group.lane));
    for (const std::string_view name : {group.type, group.module}) {
      writer.u32(static_cast<std::uint32_t>(name.size()));
      writer.raw(as_bytes(name));
    }
    writer.u32(group.count);
    writer.u64(group.hlc.value);
  }
}

}  // namespace oas::engine
