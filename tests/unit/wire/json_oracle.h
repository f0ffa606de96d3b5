// The second opinion on JSON: nlohmann's parser, which shares no code with ours.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace oas::wire {

enum class Opinion { kAccepted, kRefused, kNone };

class Listener : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool overflow = false;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    constexpr int kNumberOverflow = 406;
    overflow = error.id == kNumberOverflow;
    return false;
  }
};

// No opinion on what it handles otherwise on purpose: it refuses numbers beyond a double and skips a byte order mark.
inline Opinion second_opinion(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) return Opinion::kNone;
  Listener listener;
  if (nlohmann::json::sax_parse(text, &listener)) return Opinion::kAccepted;
  return listener.overflow ? Opinion::kNone : Opinion::kRefused;
}

}  // namespace oas::wire
