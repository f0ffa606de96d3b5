// merge_apps run EPISODES SEED [MUTANT] | mutants: a cart, a todo list, a profile, a quiz and notes, edited on 2 to 5
// devices that are offline for a while, with clocks up to a year wrong, deltas that come twice and exchanges of some
// devices with some others. What every device shows in the end is judged by an oracle that knows only intentions
// (intents.h). Prints one JSON line of counts; exit code 1 when the bar does not hold.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/sim_points.h"
#include "merge/document.h"
#include "tests/merge/intents.h"
#include "tests/unit/merge/samples.h"

using namespace oas;
using namespace oas::merge;
using intents::Act;
using intents::Beginning;
using intents::Cell;
using intents::Deed;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;
constexpr std::uint64_t kYear = 365ULL * 24 * 3600 * 1000;

struct Field {
  std::string name;
  Cell kind;
};

// One app: at most one list of keyed elements, one set, and single fields.
struct App {
  std::string name;
  std::string schema;
  std::string list, key;
  std::vector<Field> element;
  std::string set;
  std::vector<Field> fields;
  bool moves = false;
};

const std::vector<App>& apps() {
  static const std::vector<App> kApps{
      {"cart",
       R"({"/items":"list:key=sku","/items/*/qty":"counter","/tags":"set"})",
       "items",
       "sku",
       {{"note", Cell::kRegister}, {"qty", Cell::kCounter}},
       "tags",
       {{"coupon", Cell::kRegister}}},
      {"todo",
       R"({"/todos":"list:key=id"})",
       "todos",
       "id",
       {{"done", Cell::kRegister}, {"title", Cell::kRegister}},
       "",
       {{"filter", Cell::kRegister}},
       true},
      {"profile",
       R"({"/interests":"set"})",
       "",
       "",
       {},
       "interests",
       {{"bio", Cell::kWords},
        {"city", Cell::kRegister},
        {"email", Cell::kRegister},
        {"name", Cell::kRegister},
        {"phone", Cell::kRegister}}},
      {"quiz",
       R"({"/attempts":"counter","/best":"max"})",
       "",
       "",
       {},
       "",
       {{"a1", Cell::kRegister},
        {"a2", Cell::kRegister},
        {"a3", Cell::kRegister},
        {"attempts", Cell::kCounter},
        {"best", Cell::kBest}}},
      {"notes",
       R"({"/notes":"list:key=id","/labels":"set"})",
       "notes",
       "id",
       {{"body", Cell::kRegister}, {"pinned", Cell::kRegister}},
       "labels",
       {},
       true},
  };
  return kApps;
}

struct Counts {
  std::uint64_t episodes = 0, cells = 0, acts = 0, right = 0, wrong = 0, acceptable = 0, contested = 0;
  std::uint64_t lost_increments = 0, duplicated = 0, resurrected = 0, lost_fields = 0, disorder = 0, diverged = 0,
                refolded = 0;
};

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

class Episode {
 public:
  Episode(const App& app, std::uint64_t seed, Counts& counts)
      : app_(app), rules_(*Rules::parse(samples::json(app.schema))), prng_(seed), counts_(counts), seed_(seed) {}

  void run() {
    begin();
    const std::uint32_t turns = 2 + prng_.below(9);
    for (std::uint32_t turn = 0; turn < turns; ++turn) {
      time_ += prng_.chance(1, 4) ? 30ULL * 24 * 3600 * 1000 : prng_.below(600'000);
      if (prng_.chance(1, 4))
        exchange();
      else
        intend();
    }
    judge();
  }

 private:
  struct Device {
    Document document;
    std::uint64_t seen = 0;  // acts
    std::int64_t skew = 0;
    HybridClock clock{Hlc{}};
    std::uint64_t next = 1;
    std::vector<std::size_t> held;  // deltas it has
  };
  struct Sent {
    Bytes bytes;
    std::uint64_t acts = 0;
  };

  // --- the beginning -----------------------------------------------------------------------------------------------------

  std::string first_value(const Field& field) {
    if (field.kind == Cell::kCounter || field.kind == Cell::kBest) return std::to_string(prng_.below(5));
    if (field.kind == Cell::kWords) return quoted("one two three four five six");
    return quoted("v" + std::to_string(prng_.below(3)));
  }

  void begin_cell(const std::string& cell, const Field& field, const std::string& value) {
    cells_[cell] = {field.kind, field.kind == Cell::kWords ? value.substr(1, value.size() - 2) : value};
  }

  void begin() {
    std::string text = "{";
    const auto add = [&](const std::string& member) { text += (text.size() > 1 ? "," : "") + member; };
    for (const Field& field : app_.fields) {
      if (field.kind == Cell::kRegister && prng_.chance(1, 4)) {
        cells_[field.name] = {field.kind, std::nullopt};
        continue;
      }
      const std::string value = first_value(field);
      begin_cell(field.name, field, value);
      add(quoted(field.name) + ":" + value);
    }
    if (!app_.list.empty()) {
      std::string items;
      for (std::uint32_t i = 0, n = prng_.below(4); i < n; ++i) {
        const std::string id = "k" + std::to_string(i);
        items += (items.empty() ? "" : ",") + element_text(id, [&](const Field& field) {
                   const std::string value = first_value(field);
                   begin_cell(id + "/" + field.name, field, value);
                   return value;
                 });
        cells_[id] = {Cell::kElement, "1"};
        first_order_.push_back(id);
      }
      add(quoted(app_.list) + ":[" + items + "]");
    }
    if (!app_.set.empty()) {
      std::string members;
      for (const std::string name : {"a", "b", "c", "d"}) {
        const bool in = prng_.chance(1, 2);
        cells_["set " + name] = {Cell::kMember, in ? std::optional<std::string>("1") : std::nullopt};
        if (in) members += (members.empty() ? "" : ",") + quoted(name);
      }
      add(quoted(app_.set) + ":[" + members + "]");
    }
    const Value base = samples::json(text + "}");
    const std::uint32_t devices = 2 + prng_.below(4);
    for (std::uint32_t i = 0; i < devices; ++i) {
      devices_.push_back({Document(base), 0, 0, HybridClock(Hlc{}), 1, {}});
      if (prng_.chance(1, 4))
        devices_.back().skew = static_cast<std::int64_t>(prng_.next() % (2 * kYear)) - static_cast<std::int64_t>(kYear);
    }
  }

  template <class ValueOf>
  std::string element_text(const std::string& id, ValueOf value_of) {
    std::string out = "{" + quoted(app_.key) + ":" + quoted(id);
    for (const Field& field : app_.element) out += "," + quoted(field.name) + ":" + value_of(field);
    return out + "}";
  }

  // --- what people do ----------------------------------------------------------------------------------------------------

  Act& act(const std::string& cell, Deed deed, const std::string& value = "", std::int64_t by = 0) {
    Act one;
    one.id = static_cast<std::uint32_t>(acts_.size());
    one.seen = devices_[who_].seen;
    one.cell = cell;
    one.deed = deed;
    one.value = value;
    one.by = by;
    acts_.push_back(std::move(one));
    return acts_.back();
  }

  void intend() {
    who_ = prng_.below(static_cast<std::uint32_t>(devices_.size()));
    Device& device = devices_[who_];
    if (acts_.size() > 40) return;
    const Shown shown = device.document.view(rules_);
    const std::size_t before = acts_.size();
    const std::string edits = choose(*shown.value);
    if (edits.empty()) return;
    const std::uint64_t wall = static_cast<std::uint64_t>(static_cast<std::int64_t>(kNow + time_) + device.skew);
    const Author author{{0x100 + who_}, device.next, device.clock.tick({static_cast<std::int64_t>(wall)})};
    Delta delta;
    if (prng_.chance(1, 2)) {
      delta = *patch(shown, samples::json(edits), rules_, author);
    } else {
      // The app changes its own copy and puts it whole.
      Document copy = *Document::open(device.document.bytes());
      (void)copy.apply(*patch(shown, samples::json(edits), rules_, author));
      delta = put(shown, copy.view(rules_).value, rules_, author);
    }
    device.next += delta.ops.size();
    std::uint64_t bits = 0;
    for (std::size_t i = before; i < acts_.size(); ++i) {
      acts_[i].clock = static_cast<std::uint64_t>(wall_of(author.hlc).value);
      acts_[i].receipt = kNow + time_ + 1'000;
      bits |= 1ULL << i;
    }
    // The acts of one intention know each other in order, as its operations do.
    for (std::size_t i = before; i < acts_.size(); ++i) acts_[i].seen |= bits & ((1ULL << i) - 1);
    if (delta.empty()) return;
    delta.stamps.push_back({{author.epoch, author.first_n, author.first_n + delta.ops.size() - 1},
                            {{Millis{1}, 1}, ++change_, Millis{static_cast<std::int64_t>(kNow + time_ + 1'000)}}});
    sent_.push_back({encode_delta(delta), bits});
    take(device, sent_.size() - 1);
    ++counts_.acts;
  }

  void take(Device& device, std::size_t index) {
    (void)device.document.apply(ByteView(sent_[index].bytes));
    if (prng_.chance(1, 4)) (void)device.document.apply(ByteView(sent_[index].bytes));
    if (std::find(device.held.begin(), device.held.end(), index) == device.held.end()) device.held.push_back(index);
    device.seen |= sent_[index].acts;
  }

  std::string choose(const Value& shown) {
    for (int tries = 0; tries < 8; ++tries) {
      const std::uint32_t what = prng_.below(4);
      std::string edits;
      if (what == 0 && !app_.set.empty())
        edits = edit_set(shown);
      else if (what <= 2 && !app_.list.empty())
        edits = edit_list(shown);
      else if (!app_.fields.empty())
        edits = edit_field(shown, app_.fields[samples::place(prng_, app_.fields.size())], "", "");
      if (!edits.empty()) return edits;
    }
    return "";
  }

  static std::string operation(const std::string& op, const std::string& path, const std::string& value = "") {
    return R"([{"op":")" + op + R"(","path":")" + path + "\"" +
           (value.empty() ? "" : ",\"" + std::string(op == "inc" ? "by" : "value") + "\":" + value) + "}]";
  }

  // `cell` and `path`: of the element the field is in, or empty.
  std::string edit_field(const Value& holder, const Field& field, const std::string& cell, const std::string& path) {
    const Value* now = holder.find(field.name);
    const std::string place = cell.empty() ? field.name : cell + "/" + field.name;
    const std::string pointer = path + "/" + field.name;
    if (!cell.empty()) act(cell, Deed::kTouch);
    if (field.kind == Cell::kCounter) {
      const std::int64_t by = 1 + static_cast<std::int64_t>(prng_.below(3));
      act(place, Deed::kIncrease, "", by);
      return operation("inc", pointer, std::to_string(by));
    }
    if (field.kind == Cell::kBest) {
      const std::int64_t score = now->as_integer() + 1 + static_cast<std::int64_t>(prng_.below(9));
      act(place, Deed::kSet, "", score);
      return operation("set", pointer, std::to_string(score));
    }
    if (field.kind == Cell::kWords) {
      std::string text(now->text());
      const std::string word = "w" + std::to_string(fresh_++);
      std::size_t at = 0;
      for (std::uint32_t i = prng_.below(6); i > 0; --i) at = text.find(' ', at) + 1;
      text.replace(at, std::min(text.find(' ', at), text.size()) - at, word);
      act(place, Deed::kSet, text);
      return operation("set", pointer, quoted(text));
    }
    if (now != nullptr && cell.empty() && prng_.chance(1, 5)) {
      act(place, Deed::kRemove);
      return operation("delete", pointer);
    }
    const std::string value = quoted("t" + std::to_string(fresh_++));
    act(place, now == nullptr ? Deed::kMake : Deed::kSet, value);
    return operation("set", pointer, value);
  }

  std::string edit_set(const Value& shown) {
    const auto& items = shown.find(app_.set)->items();
    const std::string name(1, static_cast<char>('a' + prng_.below(4)));
    const auto at = std::find(items.begin(), items.end(), Value::string(name));
    act("set " + name, at == items.end() ? Deed::kMake : Deed::kRemove);
    const std::string path = "/" + app_.set + "/";
    if (at == items.end()) return operation("insert", path + (prng_.chance(1, 2) ? "-" : "0"), quoted(name));
    return operation("delete", path + std::to_string(at - items.begin()));
  }

  std::string edit_list(const Value& shown) {
    const auto& items = shown.find(app_.list)->items();
    const std::string path = "/" + app_.list + "/";
    if (items.empty() || prng_.chance(1, 4)) return add_element(items, path);
    const std::size_t index = samples::place(prng_, items.size());
    const Value& item = items[index];
    const std::string id(item.find(app_.key)->text());
    const std::string at = path + std::to_string(index);
    const std::uint32_t what = prng_.below(5);
    if (what == 0) {
      act(id, Deed::kRemove);
      return operation("delete", at);
    }
    if (what == 1 && app_.moves && items.size() > 1) {
      moved_.insert(id);
      const std::size_t to = samples::place(prng_, items.size());
      // Two neighbours that change places: either of them has moved.
      if (to + 1 == index || to == index + 1) moved_.insert(std::string(items[to].find(app_.key)->text()));
      return R"([{"op":"delete","path":")" + at + R"("},{"op":"insert","path":")" + path + std::to_string(to) +
             R"(","value":)" + to_json(item) + "}]";
    }
    return edit_field(item, app_.element[samples::place(prng_, app_.element.size())], id, at);
  }

  std::string add_element(const std::vector<Value>& items, const std::string& path) {
    // Few names, so that two devices often add the same one, or one that was removed.
    const std::string id = "k" + std::to_string(prng_.below(6));
    for (const Value& item : items) {
      if (item.find(app_.key)->text() == id) return "";
    }
    if (cells_.find(id) == cells_.end()) {
      cells_[id] = {Cell::kElement, std::nullopt};
      for (const Field& field : app_.element) cells_[id + "/" + field.name] = {field.kind, std::nullopt};
    }
    moved_.insert(id);
    act(id, Deed::kMake);
    const std::string text = element_text(id, [&](const Field& field) {
      if (field.kind == Cell::kCounter) {
        const std::int64_t by = 1 + static_cast<std::int64_t>(prng_.below(3));
        act(id + "/" + field.name, Deed::kMake, "", by);
        return std::to_string(by);
      }
      const std::string value = quoted("t" + std::to_string(fresh_++));
      act(id + "/" + field.name, Deed::kMake, value);
      return value;
    });
    return operation("insert", path + (prng_.chance(1, 2) ? "-" : "0"), text);
  }

  // One device learns all that another one has.
  void exchange() {
    Device& to = devices_[samples::place(prng_, devices_.size())];
    const Device& from = devices_[samples::place(prng_, devices_.size())];
    if (&to == &from) return;
    std::vector<std::size_t> news = from.held;
    while (!news.empty()) {
      const std::size_t at = samples::place(prng_, news.size());
      take(to, news[at]);
      news.erase(news.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  // --- the end -----------------------------------------------------------------------------------------------------------

  void judge() {
    for (Device& device : devices_) {
      std::vector<std::size_t> all(sent_.size());
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
      while (!all.empty()) {
        const std::size_t at = samples::place(prng_, all.size());
        take(device, all[at]);
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    const Shown shown = devices_.front().document.view(rules_);
    const std::string text = to_json(*shown.value);
    bool bad = false;
    for (const Device& device : devices_) {
      if (to_json(*device.document.view(rules_).value) != text ||
          device.document.digest() != devices_.front().document.digest()) {
        ++counts_.diverged;
        bad = true;
      }
    }
    const std::uint64_t change = change_;
    Document folded = *Document::open(devices_.front().document.bytes());
    folded.compact(change, rules_);
    if (const std::string after = to_json(*folded.view(rules_).value); after != text) {
      ++counts_.refolded;
      bad = true;
      if (counts_.refolded < 3) std::fprintf(stderr, "compacted: %s\n", after.c_str());
    }
    bad = !holds(*shown.value, shown.records) || bad;
    ++counts_.episodes;
    ++(bad ? counts_.wrong : counts_.right);
    if (bad && counts_.wrong <= 3) {
      std::fprintf(stderr, "%s seed=%llu\n%s\n", app_.name.c_str(), static_cast<unsigned long long>(seed_),
                   text.c_str());
      for (const Act& one : acts_)
        std::fprintf(stderr, "  act %u seen %llx clock %llu deed %d %s %s %lld\n", one.id,
                     static_cast<unsigned long long>(one.seen), static_cast<unsigned long long>(one.clock),
                     static_cast<int>(one.deed), one.cell.c_str(), one.value.c_str(), static_cast<long long>(one.by));
    }
  }

  bool holds(const Value& shown, const std::vector<Record>& records) {
    bool good = true;
    std::map<std::string, std::string> found;
    const auto collect = [&](const Value& holder, const std::vector<Field>& fields, const std::string& prefix) {
      for (const Field& field : fields) {
        const Value* value = holder.find(field.name);
        if (value == nullptr) continue;
        found[prefix + field.name] =
            field.kind == Cell::kWords && value->is_string() ? std::string(value->text()) : to_json(*value);
      }
    };
    collect(shown, app_.fields, "");
    std::vector<std::string> order;
    if (!app_.list.empty()) {
      for (const Value& item : shown.find(app_.list)->items()) {
        const Value* key = item.find(app_.key);
        if (key == nullptr) {
          ++counts_.lost_fields;
          good = false;
          continue;
        }
        const std::string id(key->text());
        if (!found.emplace(id, "1").second) good = false, ++counts_.duplicated;
        order.push_back(id);
        collect(item, app_.element, id + "/");
      }
    }
    if (!app_.set.empty()) {
      for (const Value& member : shown.find(app_.set)->items()) {
        if (!found.emplace("set " + std::string(member.text()), "1").second) good = false, ++counts_.duplicated;
      }
    }
    const intents::Oracle oracle(cells_, acts_);
    std::uint64_t acceptable = 1;
    for (const auto& [cell, start] : oracle.cells()) {
      const std::size_t slash = cell.find('/');
      if (slash != std::string::npos && found.count(cell.substr(0, slash)) == 0) continue;
      const intents::Wanted wanted = oracle.acceptable(cell);
      acceptable *= wanted.size();
      ++counts_.cells;
      const auto is = found.find(cell);
      const std::string value = is == found.end() ? "" : is->second;
      if (wanted.count(value) > 0) continue;
      good = false;
      note_wrong(start.kind, value, cell, wanted);
    }
    counts_.acceptable += acceptable;
    if (!records.empty()) ++counts_.contested;
    return in_order(order) && good;
  }

  void note_wrong(Cell kind, const std::string& value, const std::string& cell, const intents::Wanted& wanted) {
    if (kind == Cell::kCounter)
      ++counts_.lost_increments;
    else if ((kind == Cell::kElement || kind == Cell::kMember) && !value.empty())
      ++counts_.resurrected;
    else
      ++counts_.lost_fields;
    if (counts_.wrong < 3) {
      std::fprintf(stderr, "%s is '%s', wanted", cell.c_str(), value.c_str());
      for (const std::string& one : wanted) std::fprintf(stderr, " '%s'", one.c_str());
      std::fprintf(stderr, "\n");
    }
  }

  // Elements that nobody moved or added keep their order.
  bool in_order(const std::vector<std::string>& order) {
    std::vector<std::string> kept, wanted;
    for (const std::string& id : order) {
      if (moved_.count(id) == 0) kept.push_back(id);
    }
    for (const std::string& id : first_order_) {
      if (std::find(kept.begin(), kept.end(), id) != kept.end()) wanted.push_back(id);
    }
    if (kept == wanted) return true;
    ++counts_.disorder;
    return false;
  }

  const App& app_;
  Rules rules_;
  Prng prng_;
  Counts& counts_;
  std::uint64_t seed_;
  std::vector<Device> devices_;
  std::map<std::string, Beginning> cells_;
  std::vector<std::string> first_order_;
  std::set<std::string> moved_;
  std::vector<Act> acts_;
  std::vector<Sent> sent_;
  std::uint32_t who_ = 0;
  std::uint64_t time_ = 0;
  std::uint64_t change_ = 0;
  std::uint64_t fresh_ = 0;
};

struct Named {
  std::string_view name;
  sim::Mutant mutant;
};
constexpr Named kMutants[] = {
#define OAS_MUTANT_ROW(name, sentence) {#name, sim::Mutant::name},
#include "base/merge_mutants.def"
#undef OAS_MUTANT_ROW
};

void print(const Counts& c) {
  const auto n = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "{\"episodes\":%llu,\"changes\":%llu,\"cells\":%llu,\"right\":%llu,\"wrong\":%llu,\"acceptableSum\":%llu,"
      "\"withConflicts\":%llu,"
      "\"lostIncrements\":%llu,\"duplicated\":%llu,\"resurrected\":%llu,\"lostFields\":%llu,\"disorder\":%llu,"
      "\"diverged\":%llu,\"changedByCompaction\":%llu}\n",
      n(c.episodes), n(c.acts), n(c.cells), n(c.right), n(c.wrong), n(c.acceptable), n(c.contested),
      n(c.lost_increments), n(c.duplicated), n(c.resurrected), n(c.lost_fields), n(c.disorder), n(c.diverged),
      n(c.refolded));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "mutants") {
    for (const Named& one : kMutants) std::printf("%s\n", std::string(one.name).c_str());
    return 0;
  }
  if (command != "run" || argc < 4) return 2;
  if (argc > 4) {
    for (const Named& one : kMutants) {
      if (one.name == argv[4]) sim::active_mutant = one.mutant;
    }
    if (sim::active_mutant == sim::Mutant::kNone) return 2;
  }
  const std::uint64_t episodes = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t seed = std::strtoull(argv[3], nullptr, 10);
  Counts counts;
  for (std::uint64_t i = 0; i < episodes; ++i) Episode(apps()[(seed + i) % apps().size()], seed + i, counts).run();
  print(counts);
  return counts.wrong * 1'000 <= counts.episodes &&
                 counts.lost_increments + counts.duplicated + counts.resurrected + counts.diverged == 0
             ? 0
             : 1;
}
