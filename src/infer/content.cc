#include "infer/content.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/cold.h"
#include "infer/ngram.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

// Sorted; the commonest English function words.
constexpr auto kFunctionWords = std::to_array<std::string_view>(
    {"a",     "about", "all",  "an",   "and",  "any",   "are",   "as",   "at",   "be",    "been", "but",  "by",  "can",
     "could", "did",   "do",   "does", "for",  "from",  "had",   "has",  "have", "he",    "her",  "his",  "how", "i",
     "if",    "in",    "into", "is",   "it",   "its",   "me",    "my",   "no",   "not",   "of",   "on",   "or",  "our",
     "out",   "she",   "so",   "than", "that", "the",   "their", "them", "then", "there", "they", "this", "to",  "up",
     "was",   "we",    "were", "what", "when", "which", "who",   "will", "with", "would", "you",  "your"});
static_assert(std::is_sorted(kFunctionWords.begin(), kFunctionWords.end()));

bool is_letter(std::uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
bool is_word(std::uint8_t c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '\'' || c >= 0x80; }

bool is_vowel(char c) { return std::string_view("aeiouy").find(c) != std::string_view::npos; }

// Groups of vowels, less a silent final e: right for about nine in ten English words.
float syllables(std::string_view word) {
  int groups = 0;
  bool before = false;
  for (const char c : word) {
    const bool vowel = is_vowel(c);
    groups += vowel && !before ? 1 : 0;
    before = vowel;
  }
  if (groups > 1 && word.back() == 'e') --groups;
  return static_cast<float>(std::max(groups, 1));
}

float between(float value, float low, float high) { return value < low ? low : value > high ? high : value; }

struct Counts {
  float words = 0.0f, sentences = 0.0f, characters = 0.0f, syllables = 0.0f, function_words = 0.0f, letters = 0.0f,
        capitals = 0.0f, shouts = 0.0f;
};

Counts count(ByteView text) {
  Counts out;
  std::array<char, 32> word{};
  std::size_t size = 0;
  const auto end_word = [&] {
    if (size == 0) return;
    const std::string_view lower(word.data(), std::min(size, word.size()));
    out.words += 1.0f;
    out.syllables += syllables(lower);
    if (std::binary_search(kFunctionWords.begin(), kFunctionWords.end(), lower)) out.function_words += 1.0f;
    size = 0;
  };
  std::uint8_t before = 0;
  for (const std::uint8_t c : text.first(std::min<std::size_t>(text.size(), kTextBytesMax))) {
    if (is_word(c)) {
      if (size < word.size()) word[size] = static_cast<char>(is_letter(c) ? c | 32 : c);
      ++size;
      out.characters += 1.0f;
      out.letters += is_letter(c) ? 1.0f : 0.0f;
      out.capitals += c >= 'A' && c <= 'Z' ? 1.0f : 0.0f;
    } else {
      end_word();
      const bool mark = c == '!' || c == '?';
      if (mark && (before == '!' || before == '?')) out.shouts += 1.0f;
      if ((mark || c == '.') && is_word(before)) out.sentences += 1.0f;
    }
    before = c;
  }
  end_word();
  if (is_word(before) || out.sentences < 1.0f) out.sentences += 1.0f;
  return out;
}

}  // namespace

ContentParts score_content(ByteView text, float clickbait) {
  const Counts n = count(text);
  ContentParts out;
  out.clickbait = clickbait;
  if (n.words < 1.0f) return out;
  out.words = n.words;
  out.sentences = n.sentences;
  const float per_sentence = n.words / n.sentences;
  out.flesch = between(206.835f - 1.015f * per_sentence - 84.6f * (n.syllables / n.words), 0.0f, 100.0f);
  out.ari = between(4.71f * (n.characters / n.words) + 0.5f * per_sentence - 21.43f, 0.0f, 30.0f);
  out.density = 1.0f - n.function_words / n.words;
  out.length = between(n.words / 300.0f, 0.0f, 1.0f);
  const float loud = n.letters > 0.0f ? n.capitals / n.letters : 0.0f;
  out.format = between(1.0f - between(loud - 0.3f, 0.0f, 0.7f) - 0.2f * n.shouts, 0.0f, 1.0f);
  out.score =
      35.0f * (1.0f - clickbait) + 0.25f * out.flesch + 15.0f * out.density + 10.0f * out.length + 15.0f * out.format;
  return out;
}

}  // namespace oas::infer

OAS_COLD_END
