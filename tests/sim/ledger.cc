#include "sim/ledger.h"

#include <charconv>

namespace oas::sim {

Label read_label(std::string_view json) {
  Label label;
  if (json.starts_with('[')) {
    label.fixed = true;
    json.remove_prefix(1);
  }
  if (json.starts_with("{\"n\":")) json.remove_prefix(5);  // an edit of a document
  (void)std::from_chars(json.data(), json.data() + json.size(), label.number);
  return label;
}

void Ledger::apply(Effects& effects, std::string_view json, std::string_view entity, bool out_of_order) {
  const Label label = read_label(json);
  if (label.number == 0) {
    ++effects.clicks;
    return;
  }
  if (label.number >= fates.size()) return fail("an event was applied that nobody made: " + std::string(json));
  if (effects.applied.size() <= label.number) effects.applied.resize(label.number + 1);
  if (++effects.applied[label.number] > 1) fail("I2: event " + std::to_string(label.number) + " applied twice");
  if (entity.empty() || out_of_order || label.fixed || fates[label.number].disordered) return;
  std::uint32_t& last = effects.last_of[std::string(entity)];
  if (label.number < last)
    fail("I4: event " + std::to_string(label.number) + " of " + std::string(entity) + " applied after " +
         std::to_string(last));
  last = label.number;
}

void Ledger::judge(const Effects& effects) {
  for (std::uint32_t n = 1; n < fates.size(); ++n) {
    const Fate& fate = fates[n];
    const unsigned applied = n < effects.applied.size() ? effects.applied[n] : 0;
    const std::string name = "event " + std::to_string(n);
    if (applied > 1) fail("I2: " + name + " applied " + std::to_string(applied) + " times");
    if (fate.refused && !fate.accepted && applied != 0) fail("I1: " + name + " was refused, and applied");
    if (!fate.accepted || fate.excused || fate.document) continue;
    const bool wanted = !is_poison(n) || fate.retried;
    if (wanted && applied != 1) fail("I1: " + name + " was acknowledged, and is lost");
    if (!wanted && applied != 0 && !fate.corrected) fail("I2: " + name + " was rejected, and applied");
  }
  if (effects.clicks > clicks_made) fail("I2: more clicks applied than made");
  if (effects.clicks + clicks_excused < clicks_accepted) fail("I1: a click was acknowledged, and is lost");
}

}  // namespace oas::sim
