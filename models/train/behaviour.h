// The two behaviour models and intent fitting: what is built from public logs, and how each is judged.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "data.h"
#include "infer/model.h"
#include "report.h"

namespace oas::train {

// EASE^R rows over MSWeb's areas plus a popularity prior: a benchmark table that apps replace by their own.
[[nodiscard]] Bytes build_recommendation(const std::string& recipe_text, const Visits& visits);
// `movies` is for evaluation only: its licence lets no weight ship.
[[nodiscard]] Report evaluate_recommendation(const std::string& recipe_text, const infer::Model& model,
                                             const Visits& visits, const std::optional<Visits>& movies);

// The purchase propensity prior: boosted trees over generic session features.
[[nodiscard]] Bytes build_personalization(const std::string& recipe_text, const Sessions& sessions);
[[nodiscard]] Report evaluate_personalization(const std::string& recipe_text, const Sessions& sessions,
                                              const std::optional<Visits>& visits);

// Few-shot fitting on Banking77 beside training from scratch; `base` is the shipped intent model.
[[nodiscard]] Report evaluate_fit(const infer::Model& base, const TextSet& banking, bool quick);

}  // namespace oas::train
