// The closed-form parts of a content score; the clickbait head is a model (run.h).
//
// Plain formulas over words and sentences of English text: each is shown to the user beside the sum, so that a score can
// be argued with. Not here: learning from dwell or likes (learner.h).
#pragma once

#include "base/bytes.h"

namespace oas::infer {

struct ContentParts {
  float words = 0.0f, sentences = 0.0f;
  float flesch = 0.0f;  // Flesch reading ease, cut to 0 to 100: higher is easier
  float ari = 0.0f;  // Automated Readability Index: a school grade, at least 0
  float density = 0.0f;  // share of words that are not function words
  float length = 0.0f;  // 0 to 1: rises to 1 at 300 words
  float format = 0.0f;  // 0 to 1: falls with shouting and runs of exclamation or question marks
  float clickbait = 0.0f;
  float score = 0.0f;  // 0 to 100, the weighted sum of the parts
};

// `clickbait` is the model's probability, or 0 to leave that part out.
[[nodiscard]] ContentParts score_content(ByteView text, float clickbait);

}  // namespace oas::infer
