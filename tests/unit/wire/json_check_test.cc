// The checker accepts exactly RFC 8259 within our limits. The oracle is nlohmann's parser on the same bytes.
#include <array>
#include <boost/test/unit_test.hpp>
#include <string>

#include "base/limits.h"
#include "base/prng.h"
#include "json_oracle.h"
#include "wire/json_check.h"

using namespace oas;
using namespace oas::wire;

namespace {

std::string verdict(std::string_view text) {
  const Result<void> checked = check_json(as_bytes(text));
  return checked ? "accepted" : std::string(error_info(checked.error().code).name);
}

std::string repeat(std::string_view part, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += part;
  return out;
}

// Our limits do not apply to the oracle.
void compare(const std::string& text) {
  const Opinion opinion = second_opinion(text);
  const Result<void> checked = check_json(as_bytes(text));
  if (opinion == Opinion::kNone || (!checked && checked.error().code == ErrorCode::kTooDeep)) return;
  BOOST_TEST(checked.has_value() == (opinion == Opinion::kAccepted), text);
  if (!checked) BOOST_TEST(checked.error().detail <= text.size());
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_rfc_8259_allows_is_accepted) {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "1",
                           "-12.5e+3",
                           "1E400",
                           "0.1e-999999999",
                           "\"\"",
                           "\"a\\u0000b\"",
                           " [ ] ",
                           "{}",
                           "\t{\"a\" : 1 ,\r\n\"a\":2}",
                           "[1,[2,{\"x\":[]}],\"\\\\\\\"\\/\\b\\f\\n\\r\\t\"]",
                           "\"\\ud83d\\ude00\"",
                           "\"\\uD83D\\uDE00\"",
                           "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
                           "\"\x7F\"",
                           "{\"__proto__\":{\"a\":1}}",
                           "123456789012345678901234567890123456789012345678901234567890"})
    BOOST_TEST(verdict(text) == "accepted", text);
}

BOOST_AUTO_TEST_CASE(what_it_does_not_allow_has_a_reason) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "nulll",
                           "True",
                           "NaN",
                           "Infinity",
                           "-",
                           "01",
                           "-01",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "+1",
                           "0x1",
                           "1 2",
                           "[",
                           "]",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{",
                           "}",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{1:1}",
                           "{\"a\" 1}",
                           "[}",
                           "{]",
                           "[1}",
                           "\"",
                           "\"a",
                           "\"\\\"",
                           "\"\\",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "\"\\ud83d\\u12\"",
                           "\"\t\"",
                           "\"\n\"",
                           "'a'",
                           "// c\n1",
                           "1//",
                           "undefined",
                           "[1]]",
                           "\xEF\xBB\xBF{}"})
    BOOST_TEST(verdict(text) == "invalid_json", text);
  for (const char* text : {"\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\ud83d\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"",
                           "\"\\ude00\\ud83d\"", "\"\xED\xA0\x80\"", "\"\xED\xBF\xBF\""})
    BOOST_TEST(verdict(text) == "lone_surrogate", text);
  for (const char* text :
       {"\"\x80\"", "\"\xC0\xAF\"", "\"\xC1\xBF\"", "\"\xE0\x9F\xBF\"", "\"\xF0\x8F\xBF\xBF\"", "\"\xF4\x90\x80\x80\"",
        "\"\xF5\x80\x80\x80\"", "\"\xC3\"", "\"\xE2\x82\"", "\"\xFF\"", "\"\xE2\x28\xA1\""})
    BOOST_TEST(verdict(text) == "invalid_utf8", text);
}

BOOST_AUTO_TEST_CASE(limits_hold_at_their_borders) {
  BOOST_TEST(verdict(repeat("[", kJsonDepthMax) + repeat("]", kJsonDepthMax)) == "accepted");
  BOOST_TEST(verdict(repeat("[", kJsonDepthMax + 1) + repeat("]", kJsonDepthMax + 1)) == "too_deep");
  BOOST_TEST(verdict(repeat("{\"a\":", kJsonDepthMax) + "1" + repeat("}", kJsonDepthMax)) == "accepted");
  BOOST_TEST(verdict(repeat("{\"a\":", kJsonDepthMax + 1) + "1" + repeat("}", kJsonDepthMax + 1)) == "too_deep");
  BOOST_TEST(verdict(repeat("[", 40'000)) == "too_deep");

  const auto object = [](std::size_t keys) { return "{\"\":1" + repeat(R"(,"":1)", keys - 1) + "}"; };
  static_assert(kJsonKeysMax * 5 > kEventJsonBytesMax, "the next two lines would run into the size first");
  BOOST_TEST(verdict(object(7'000)) == "accepted");
  BOOST_TEST(verdict(object(8'000)) == "event_too_large");

  BOOST_TEST(verdict('"' + std::string(kEventJsonBytesMax - 2, 'a') + '"') == "accepted");
  BOOST_TEST(verdict('"' + std::string(kEventJsonBytesMax - 1, 'a') + '"') == "event_too_large");
}

BOOST_AUTO_TEST_CASE(the_detail_is_the_offset) {
  const auto at = [](std::string_view text) { return check_json(as_bytes(text)).error().detail; };
  BOOST_TEST(at("[1, x]") == 4U);
  BOOST_TEST(at("\"abcdefghijk\x80\"") == 12U);
  BOOST_TEST(at("[\"abcdefghijk\\ud800\"]") == 13U);
  BOOST_TEST(at("[1] 2") == 4U);
  BOOST_TEST(check_utf8(as_bytes("0123456789\xFFz")).error().detail == 10U);
}

// A special byte is found wherever it stands in the words that the fast path reads.
BOOST_AUTO_TEST_CASE(every_byte_at_every_place_of_a_string_agrees_with_the_oracle) {
  for (std::size_t length = 1; length <= 19; ++length)
    for (std::size_t place = 0; place < length; ++place)
      for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::string text = '"' + std::string(length, 'a') + '"';
        text[place + 1] = static_cast<char>(byte);
        compare(text);
      }
}

BOOST_AUTO_TEST_CASE(every_text_of_four_tokens_agrees_with_the_oracle) {
  constexpr std::array<std::string_view, 14> kTokens{"{", "}", "[", "]",  ",",  ":",    "\"k\"",
                                                     "1", "-", "0", ".5", "e2", "true", " "};
  for (const auto a : kTokens)
    for (const auto b : kTokens)
      for (const auto c : kTokens)
        for (const auto d : kTokens) compare(std::string(a) + std::string(b) + std::string(c) + std::string(d));
}

BOOST_AUTO_TEST_CASE(mutated_texts_agree_with_the_oracle) {
  const std::string valid =
      R"({"url":"https://example.org/ä?q=\"x\"","n":[1,-2.5e3,0],"deep":{"a":{"b":[[],{}]}},"emoji":"😀\ud83d\ude00","t":true,"z":null})";
  BOOST_TEST(verdict(valid) == "accepted");
  Prng prng(3);
  for (int i = 0; i < 40'000; ++i) {
    std::string text = valid;
    for (std::uint32_t n = 1 + prng.below(3); n > 0; --n) {
      const std::size_t at = prng.below(static_cast<std::uint32_t>(text.size()));
      switch (prng.below(4)) {
        case 0: text[at] = static_cast<char>(prng.next()); break;
        case 1: text.erase(at, 1 + prng.below(3)); break;
        case 2: text.insert(at, 1, R"({}[]",:\u0e-)"[prng.below(12)]); break;
        default: text.resize(at + 1); break;
      }
    }
    compare(text);
  }
}

BOOST_AUTO_TEST_CASE(utf8_of_every_scalar_value_is_valid_and_nothing_beside_it) {
  for (std::uint32_t c = 0x80; c <= 0x10FFFF; ++c) {
    std::string text;
    if (c < 0x800) {
      text = {static_cast<char>(0xC0 | c >> 6)};
    } else if (c < 0x10000) {
      text = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63))};
    } else {
      text = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
              static_cast<char>(0x80 | (c >> 6 & 63))};
    }
    text += static_cast<char>(0x80 | (c & 63));
    const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    if (check_utf8(as_bytes(text)).has_value() == surrogate) BOOST_ERROR("scalar value " << c);
    text.pop_back();
    if (check_utf8(as_bytes(text)).has_value()) BOOST_ERROR("cut scalar value " << c);
  }
}
