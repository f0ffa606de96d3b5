// The three text models: recipe to weights to file, and the evaluation of a finished file.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "data.h"
#include "infer/model.h"
#include "infer/write.h"
#include "report.h"
#include "text_trainer.h"

namespace oas::train {

struct TextModelFiles {
  Bytes int8, int4;
};

[[nodiscard]] TextRecipe text_recipe(const nlohmann::json& recipe);
[[nodiscard]] std::optional<TextSet> read_text_set(const std::string& name);

// Same recipe, same data: same bytes. `recipe_text` is the recipe file itself; its hash goes into the header.
[[nodiscard]] TextModelFiles build_text_model(const std::string& recipe_text, const TextSet& set);

[[nodiscard]] Report evaluate_intent(const infer::Model& model, const TextSet& set);
[[nodiscard]] Report evaluate_emotion(const infer::Model& model, const TextSet& set);
[[nodiscard]] Report evaluate_content(const infer::Model& model, const TextSet& set);

// Trains on another set by its own recipe and judges on its test: shows the method, ships nothing.
[[nodiscard]] Figure evaluate_second_set(const std::string& recipe_text, const TextSet& set);
// The headline metric with the weights as trained, before quantising.
[[nodiscard]] Figure unquantised(const std::string& recipe_text, const TextSet& set, const Figure& headline);

// The grouped readings of the 28 GoEmotions labels.
[[nodiscard]] std::vector<infer::ModelWriter::ViewSpec> emotion_views(const std::vector<std::string>& labels);
// Group + 1 of a row's labels, or 0 when they lie in several groups or in none.
[[nodiscard]] std::uint32_t view_target(const std::vector<std::uint16_t>& group_of,
                                        const std::vector<std::uint32_t>& labels);

}  // namespace oas::train
