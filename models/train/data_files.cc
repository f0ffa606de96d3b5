#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "data.h"
#include "infer/sha256.h"

namespace oas::train {

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool write_file(const std::string& path, const std::string& text) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // a folder that cannot be made shows up as a file that cannot be opened
  if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
  std::ofstream out(path, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  return out.good();
}

std::string hex_sha256(const std::string& bytes) {
  std::string out;
  for (const std::uint8_t byte : infer::sha256(as_bytes(bytes))) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

std::string data_folder() {
  const char* set = std::getenv("OAS_DATA");
  return set != nullptr ? set : "../shared/data";
}

}  // namespace oas::train
