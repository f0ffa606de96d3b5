// Public data sets as rows, with the official or hashed splits, and a check that the bytes are the known ones.
//
// Layering: executables may use the standard library's files; src/ may not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oas::train {

struct TextRow {
  std::string text;
  std::vector<std::uint32_t> labels;  // one, except in GoEmotions
};

struct TextSet {
  std::string name;
  std::string sha256;  // of the files, in the order read
  std::vector<std::string> labels;
  std::vector<TextRow> train, validation, test;
  std::vector<TextRow> outside_train, outside_validation, outside_test;  // out of scope: CLINC150 only
};

struct Visits {
  std::string sha256;
  std::uint32_t items = 0;
  std::vector<std::string> names;
  std::vector<std::vector<std::uint32_t>> train, test;  // one row a user, in order of visit
};

struct Sessions {
  std::string sha256;
  std::vector<std::string> names;
  std::vector<std::vector<float>> rows;  // categories as small numbers
  std::vector<std::uint8_t> positive;
};

[[nodiscard]] std::optional<std::string> read_file(const std::string& path);
[[nodiscard]] bool write_file(const std::string& path, const std::string& text);
[[nodiscard]] std::string hex_sha256(const std::string& bytes);

// $OAS_DATA, or ../shared/data beside the checkout.
[[nodiscard]] std::string data_folder();

// Empty when the files are not there.
[[nodiscard]] std::optional<TextSet> read_clinc150();
[[nodiscard]] std::optional<TextSet> read_banking77();
[[nodiscard]] std::optional<TextSet> read_goemotions();
[[nodiscard]] std::optional<TextSet> read_clickbait();
[[nodiscard]] std::optional<Visits> read_msweb();
[[nodiscard]] std::optional<Visits> read_movielens();
[[nodiscard]] std::optional<Sessions> read_shoppers();

}  // namespace oas::train
