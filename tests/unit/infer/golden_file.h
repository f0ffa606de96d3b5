// Finds committed test files whatever the working folder is.
#pragma once

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <string>

#include "base/bytes.h"

namespace oas::test {

inline Bytes repo_file(const std::string& path) {
  std::ifstream in(std::string(OAS_SOURCE_DIR) + "/" + path, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(in, "cannot open " << path);
  return Bytes(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

inline Bytes golden_file(const std::string& name) { return repo_file("tests/golden/" + name); }

}  // namespace oas::test
