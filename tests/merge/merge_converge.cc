// merge_converge small|random ...: equal operations give equal bytes, in whatever order and however often they arrive.
//
//   small OPERATIONS SHARD SHARDS   every history of that many operations by at most three writers, with every set of
//                                   earlier operations each could have known (also out of causal order); every subset of
//                                   the operations must be one state, whichever of them came last: that is every delivery
//                                   order. What is shown must be what the brute-force model says.
//   random COUNT SEED               COUNT schedules: 3 to 5 replicas edit random documents and lists; deltas arrive late,
//                                   twice, out of order or behind a partition; stamps, voids and whole-state joins between.
// Prints one JSON line of counts; exit code 1 with the first failure on standard error.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "merge/document.h"
#include "tests/merge/reference.h"
#include "tests/unit/merge/samples.h"

using namespace oas;
using namespace oas::merge;

namespace {

[[noreturn]] void broken(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

std::string text_of(const MaybeValue& value) { return value ? to_json(*value) : "nothing"; }

std::string shown_text(const Shown& shown) {
  std::string out = text_of(shown.value);
  for (const Record& record : shown.records) out += "\n" + record_json(record);
  return out;
}

// --- small worlds -------------------------------------------------------------------------------------------------------

constexpr std::string_view kBase = R"({"l":[{"id":1,"v":0},{"id":2,"v":0}],"n":0,"o":{"a":0},"s":["a","c"],"x":0})";
const Rules& rules() {
  static const Rules kRules = *Rules::parse(samples::json(R"({"/n":"counter"})"));
  return kRules;
}

struct Letter {
  std::string_view edit;  // a patch
  std::string_view place;
  reference::Act::Kind kind;
  std::string_view value;
};

// Two alphabets, each small enough to enumerate: what fields do, and what counters, sets and lists do.
const std::vector<std::vector<Letter>> kAlphabets{
    {{R"([{"op":"set","path":"/x","value":1}])", "x", reference::Act::kAssign, "1"},
     {R"([{"op":"set","path":"/x","value":2}])", "x", reference::Act::kAssign, "2"},
     {R"([{"op":"delete","path":"/x"}])", "x", reference::Act::kDelete, ""},
     {R"([{"op":"set","path":"/o/a","value":1}])", "o/a", reference::Act::kAssign, "1"},
     {R"([{"op":"delete","path":"/o/a"}])", "o/a", reference::Act::kDelete, ""},
     {R"([{"op":"delete","path":"/o"}])", "o", reference::Act::kDelete, ""}},
    {{R"([{"op":"inc","path":"/n","by":1}])", "n", reference::Act::kAdd, "1"},
     {"add b", "s:b", reference::Act::kAssign, "\"b\""},
     {"drop a", "s:a", reference::Act::kDelete, ""},
     {"edit 1", "l:1/v", reference::Act::kAssign, "1"},
     {"drop 1", "l:1", reference::Act::kDelete, ""},
     {"move 1", "", reference::Act::kAssign, ""}},
};

const Value* element(const Value& list, std::int64_t id, std::size_t& index) {
  for (index = 0; index < list.items().size(); ++index) {
    const Value* key = list.items()[index].find("id");
    if (key != nullptr && *key == Value::integer(id)) return &list.items()[index];
  }
  return nullptr;
}

// The letter as a patch on what this writer sees; empty when it would change nothing there.
std::string patch_of(const Letter& letter, const Value& seen) {
  if (letter.edit.starts_with("[")) return std::string(letter.edit);
  const Value& set = *seen.find("s");
  const Value& list = *seen.find("l");
  std::size_t at = 0;
  const auto in_set = [&](std::string_view text) {
    for (at = 0; at < set.items().size(); ++at) {
      if (set.items()[at].is_string() && set.items()[at].text() == text) return true;
    }
    return false;
  };
  if (letter.edit == "add b") return in_set("b") ? "" : R"([{"op":"insert","path":"/s/-","value":"b"}])";
  if (letter.edit == "drop a") return in_set("a") ? R"([{"op":"delete","path":"/s/)" + std::to_string(at) + "\"}]" : "";
  if (element(list, 1, at) == nullptr) return "";
  const std::string index = std::to_string(at);
  if (letter.edit == "edit 1") return R"([{"op":"set","path":"/l/)" + index + R"(/v","value":1}])";
  if (letter.edit == "drop 1") return R"([{"op":"delete","path":"/l/)" + index + "\"}]";
  if (list.items().size() < 2) return "";
  return R"([{"op":"delete","path":"/l/)" + index + R"("},{"op":"insert","path":"/l/)" + (at == 0 ? "-" : "0") +
         R"(","value":)" + to_json(list.items()[at]) + "}]";
}

struct Step3 {
  std::size_t writer = 0;
  std::uint32_t seen = 0;  // bits of earlier operations
  std::size_t letter = 0;
};

struct SmallWorlds {
  const std::vector<Letter>& alphabet;
  std::size_t length;
  std::uint64_t shard;
  std::uint64_t shards;
  std::uint64_t number = 0;
  std::uint64_t histories = 0;
  std::uint64_t joins = 0;
  std::vector<Step3> steps;

  void enumerate() {
    if (steps.size() == length) {
      if (number++ % shards == shard) run();
      return;
    }
    std::size_t writers = 0;
    for (const Step3& step : steps) writers = std::max(writers, step.writer + 1);
    // Names of writers do not matter, so a new one is always the next number.
    for (std::size_t writer = 0; writer <= std::min<std::size_t>(writers, 2); ++writer) {
      std::uint32_t own = 0;
      for (std::size_t i = 0; i < steps.size(); ++i) own |= steps[i].writer == writer ? 1U << i : 0U;
      for (std::uint32_t seen = 0; seen < 1U << steps.size(); ++seen) {
        if ((seen & own) != own) continue;
        for (std::size_t letter = 0; letter < alphabet.size(); ++letter) {
          steps.push_back({writer, seen, letter});
          enumerate();
          steps.pop_back();
        }
      }
    }
  }

  [[nodiscard]] std::string name() const {
    std::string out;
    for (const Step3& step : steps) {
      out += "writer " + std::to_string(step.writer) + " knows " + std::to_string(step.seen) + ": " +
             std::string(alphabet[step.letter].edit) + "\n";
    }
    return out;
  }

  void run() {
    static const Bytes kStart = Document(samples::json(kBase)).bytes();
    std::vector<Bytes> deltas;
    std::vector<reference::Act> acts;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      Document mine = *Document::open(kStart);
      std::uint64_t n = 1;
      for (std::size_t j = 0; j < i; ++j) {
        if ((steps[i].seen >> j & 1) != 0) (void)mine.apply(ByteView(deltas[j]));
        if (steps[j].writer == steps[i].writer && !deltas[j].empty()) ++n;
      }
      const Letter& letter = alphabet[steps[i].letter];
      const Basis seen = mine.view(rules());
      const std::string edit = patch_of(letter, *seen.value);
      // Two writers share a clock, so that ids decide as well.
      const std::uint64_t epoch = 3 - steps[i].writer;
      const Hlc hlc = hlc_at({static_cast<std::int64_t>(steps[i].writer == 2 ? 5 : 1 + i)});
      const auto delta =
          edit.empty() ? Result<Delta>(Delta{}) : patch(seen, samples::json(edit), rules(), {{epoch}, n, hlc});
      // What is not there cannot be edited: this writer does nothing, and the shorter history has been tried.
      if (!delta || delta->empty()) return;
      if (delta->ops.size() != 1) broken("more than one operation for " + name());
      deltas.push_back(encode_delta(*delta));
      note(acts, i, letter, delta->ops.front().op, epoch, hlc);
    }
    ++histories;
    const std::string last = every_order(kStart, deltas);
    compare(acts, last);
  }

  void note(std::vector<reference::Act>& acts, std::size_t i, const Letter& letter, const Op& op, std::uint64_t epoch,
            Hlc hlc) {
    reference::Act act;
    act.id = static_cast<int>(i);
    for (std::size_t j = 0; j < i; ++j) {
      if ((steps[i].seen >> j & 1) != 0) act.seen.insert(static_cast<int>(j));
    }
    act.order = {hlc.value, epoch, static_cast<int>(i)};
    act.place = letter.place;
    act.kind = op.creates() ? reference::Act::kCreate : letter.kind;
    act.value = letter.value;
    acts.push_back(std::move(act));
  }

  // One state for each subset, whichever of its operations came last.
  std::string every_order(const Bytes& start, const std::vector<Bytes>& deltas) {
    std::vector<Bytes> states{start};
    for (std::uint32_t subset = 1; subset < 1U << deltas.size(); ++subset) {
      Bytes state;
      for (std::size_t i = 0; i < deltas.size(); ++i) {
        if ((subset >> i & 1) == 0) continue;
        Document document = *Document::open(states[subset & ~(1U << i)]);
        if (!document.apply(ByteView(deltas[i])) || !document.apply(ByteView(deltas[i]))) broken("refused: " + name());
        const Bytes now = document.bytes();
        ++joins;
        if (!state.empty() && now != state) broken("two orders, two states: " + name());
        state = now;
      }
      states.push_back(std::move(state));
    }
    const Document one = *Document::open(states.back());
    const Shown shown = one.view(rules());
    if (!shown.value) broken("the document is gone: " + name());
    return to_json(*shown.value);
  }

  void compare(const std::vector<reference::Act>& acts, const std::string& shown) const {
    const reference::Model model({{"x", "0"},
                                  {"o", "{}"},
                                  {"o/a", "0"},
                                  {"n", "0"},
                                  {"s:a", "\"a\""},
                                  {"s:c", "\"c\""},
                                  {"l:1", "{}"},
                                  {"l:1/v", "0"},
                                  {"l:2", "{}"}},
                                 acts);
    const Value value = samples::json(shown);
    const auto same = [&](std::string_view what, const std::optional<std::string>& wanted, const Value* found) {
      const std::string is = found == nullptr ? "nothing" : to_json(*found);
      if (is != wanted.value_or("nothing")) {
        broken(std::string(what) + " is " + is + ", the model says " + wanted.value_or("nothing") + "\n" + name() +
               shown);
      }
    };
    same("x", model.at("x"), value.find("x"));
    same("n", std::to_string(model.sum("n")), value.find("n"));
    const Value* o = value.find("o");
    if ((o != nullptr) != model.at("o").has_value()) broken("o is wrong\n" + name() + shown);
    if (o != nullptr) same("o/a", model.at("o/a"), o->find("a"));
    for (const std::string_view member : {"a", "b", "c"}) {
      const Value wanted = Value::string(std::string(member));
      const auto& items = value.find("s")->items();
      const auto count = std::count(items.begin(), items.end(), wanted);
      if (count != (model.at("s:" + std::string(member)).has_value() ? 1 : 0))
        broken("the set is wrong\n" + name() + shown);
    }
    std::size_t index = 0;
    const Value* one = element(*value.find("l"), 1, index);
    if ((one != nullptr) != model.at("l:1").has_value()) broken("the list is wrong\n" + name() + shown);
    if (one != nullptr) same("l/1/v", model.at("l:1/v"), one->find("v"));
  }
};

// --- random schedules ---------------------------------------------------------------------------------------------------

struct Counts {
  std::uint64_t schedules = 0;
  std::uint64_t changes = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t prefixes = 0;
  std::uint64_t records = 0;
};

class Schedule {
 public:
  Schedule(std::uint64_t seed, Counts& counts) : seed_(seed), prng_(seed), counts_(counts) {}

  void run() {
    static const std::vector<Rules> kRules{
        {},
        *Rules::parse(samples::json(R"({"":"merge:manual","/a":"counter"})")),
        *Rules::parse(samples::json(R"({"/a":"server-wins","/b":"set","/c":"list:key=id","/d":"max edit-wins"})"))};
    rules_ = &kRules[prng_.below(static_cast<std::uint32_t>(kRules.size()))];
    const MaybeValue base = prng_.chance(1, 8) ? std::nullopt : MaybeValue(samples::value(prng_));
    const std::uint32_t replicas = 3 + prng_.below(3);
    for (std::uint32_t i = 0; i < replicas; ++i) replicas_.push_back({Document(base), {}, {}, {}, 1});
    const std::uint32_t turns = 4 + prng_.below(10);
    for (std::uint32_t turn = 0; turn < turns; ++turn) step(turn);
    finish();
    ++counts_.schedules;
  }

 private:
  struct Replica {
    Document document;
    std::vector<Bytes> inbox;  // not yet arrived
    std::vector<Bytes> behind;  // on the other side of a partition
    Basis old;
    std::uint64_t next;
  };

  [[noreturn]] void fail_with(const std::string& what) { broken(what + "\nseed=" + std::to_string(seed_)); }

  void send(std::uint32_t from, const Bytes& delta) {
    log_.push_back(delta);
    for (std::uint32_t to = 0; to < replicas_.size(); ++to) {
      if (to == from) continue;
      const bool cut = (from < 2) != (to < 2) && partitioned_;
      (cut ? replicas_[to].behind : replicas_[to].inbox).push_back(delta);
      if (prng_.chance(1, 6)) replicas_[to].inbox.push_back(delta);
    }
  }

  void deliver_one(Replica& to) {
    const std::size_t at = samples::place(prng_, to.inbox.size());
    if (!to.document.apply(ByteView(to.inbox[at]))) fail_with("a delta is refused");
    to.inbox.erase(to.inbox.begin() + static_cast<std::ptrdiff_t>(at));
    ++counts_.deliveries;
  }

  void step(std::uint32_t turn) {
    const std::uint32_t who = prng_.below(static_cast<std::uint32_t>(replicas_.size()));
    Replica& replica = replicas_[who];
    if (prng_.chance(1, 6)) partitioned_ = !partitioned_;
    while (!replica.inbox.empty() && prng_.chance(1, 2)) deliver_one(replica);
    switch (prng_.below(8)) {
      case 0: return stamp(who);
      case 1: return join_whole(who);
      default: return edit(who, turn);
    }
  }

  void edit(std::uint32_t who, std::uint32_t turn) {
    Replica& replica = replicas_[who];
    const Shown now = replica.document.view(*rules_);
    check_prefix(replica.document, now);
    // Sometimes the edit was begun before the last deltas came in; never before the own last one.
    const bool stale = prng_.chance(1, 3) && replica.old.version.last_of({who + 1}) + 1 == replica.next;
    const Basis& seen = stale ? replica.old : static_cast<const Basis&>(now);
    const Author author{{who + 1}, replica.next, hlc_at({static_cast<std::int64_t>(prng_.below(3) + turn / 2)})};
    Delta delta;
    if (!stale && !now.records.empty() && prng_.chance(1, 3)) {
      const Record& record = now.records[samples::place(prng_, now.records.size())];
      const Sibling& sibling = record.siblings[samples::place(prng_, record.siblings.size())];
      auto resolved = replica.document.resolve(now, record.id, sibling.value, author);
      if (!resolved) fail_with("a shown record cannot be resolved");
      delta = std::move(*resolved);
    } else {
      MaybeValue next;
      if (!prng_.chance(1, 16)) next = seen.value ? samples::edited(*seen.value, prng_) : samples::value(prng_);
      delta = put(seen, next, *rules_, author);
    }
    if (delta.empty()) return;
    replica.next += delta.ops.size();
    const Bytes bytes = encode_delta(delta);
    if (const auto taken = replica.document.apply(ByteView(bytes)); !taken)
      fail_with("an own delta is refused: " + std::to_string(static_cast<int>(taken.error().code)) + " at " +
                std::to_string(taken.error().detail) + " " + text_of(seen.value) + " " + pointer_of(delta.ops[0].path) +
                " kind " + std::to_string(static_cast<int>(delta.ops[0].op.kind)) + " pos " + delta.ops[0].op.pos);
    written_.push_back({{who + 1}, replica.next - delta.ops.size(), replica.next - 1});
    ++counts_.changes;
    send(who, bytes);
    if (prng_.chance(1, 2)) replica.old = replica.document.view(*rules_);
  }

  // The server numbers a change, or decides that it will never count.
  void stamp(std::uint32_t who) {
    if (written_.empty()) return;
    const DotRun dots = written_[samples::place(prng_, written_.size())];
    const Delta delta =
        prng_.chance(1, 6)
            ? voiding(dots)
            : stamping(dots, {{Millis{1}, 1}, ++change_, Millis{static_cast<std::int64_t>(prng_.below(5))}});
    const Bytes bytes = encode_delta(delta);
    (void)replicas_[who].document.apply(ByteView(bytes));
    send(who, bytes);
  }

  void join_whole(std::uint32_t who) {
    const std::uint32_t other = prng_.below(static_cast<std::uint32_t>(replicas_.size()));
    if (partitioned_ && (who < 2) != (other < 2)) return;
    if (!replicas_[who].document.merge(replicas_[other].document)) fail_with("two replicas cannot join");
  }

  void check_prefix(const Document& document, const Shown& shown) {
    ++counts_.prefixes;
    const Bytes bytes = document.bytes();
    const auto back = Document::open(bytes);
    if (!back || back->bytes() != bytes) fail_with("a state does not come back");
    if (shown.value && !parse_json(to_json(*shown.value))) fail_with("what is shown is no JSON");
  }

  void finish() {
    for (Replica& replica : replicas_) {
      replica.inbox.insert(replica.inbox.end(), replica.behind.begin(), replica.behind.end());
      while (!replica.inbox.empty()) deliver_one(replica);
    }
    const Bytes bytes = replicas_.front().document.bytes();
    const Shown shown = replicas_.front().document.view(*rules_);
    counts_.records += shown.records.size();
    const std::string text = shown_text(shown);
    for (const Replica& replica : replicas_) {
      if (replica.document.bytes() != bytes) fail_with("two states");
      if (shown_text(replica.document.view(*rules_)) != text) fail_with("two views");
    }
  }

  std::uint64_t seed_;
  Prng prng_;
  Counts& counts_;
  const Rules* rules_ = nullptr;
  std::vector<Replica> replicas_;
  std::vector<Bytes> log_;
  std::vector<DotRun> written_;
  std::uint64_t change_ = 0;
  bool partitioned_ = false;
};

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

int small(std::uint64_t length, std::uint64_t shard, std::uint64_t shards) {
  std::uint64_t histories = 0;
  std::uint64_t joins = 0;
  for (const auto& alphabet : kAlphabets) {
    SmallWorlds worlds{alphabet, static_cast<std::size_t>(length), shard, shards, 0, 0, 0, {}};
    worlds.enumerate();
    histories += worlds.histories;
    joins += worlds.joins;
  }
  std::printf("{\"histories\":%llu,\"joins\":%llu}\n", static_cast<unsigned long long>(histories),
              static_cast<unsigned long long>(joins));
  return 0;
}

int random_schedules(std::uint64_t count, std::uint64_t seed) {
  Counts counts;
  for (std::uint64_t i = 0; i < count; ++i) Schedule(seed + i, counts).run();
  std::printf("{\"schedules\":%llu,\"changes\":%llu,\"deliveries\":%llu,\"prefixes\":%llu,\"records\":%llu}\n",
              static_cast<unsigned long long>(counts.schedules), static_cast<unsigned long long>(counts.changes),
              static_cast<unsigned long long>(counts.deliveries), static_cast<unsigned long long>(counts.prefixes),
              static_cast<unsigned long long>(counts.records));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "small" && argc == 5) return small(number(argv[2]), number(argv[3]), number(argv[4]));
  if (command == "random" && argc == 4) return random_schedules(number(argv[2]), number(argv[3]));
  std::fprintf(stderr, "usage: merge_converge small OPERATIONS SHARD SHARDS | random COUNT SEED\n");
  return 2;
}
