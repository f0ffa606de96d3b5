// Finds committed test files whatever the working folder is.
#pragma once

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <string>

#include "base/bytes.h"

namespace oas::test {

// The checkout's root, from the path this header was compiled from.
inline std::string repo_folder() {
  const std::string here = __FILE__;
  const std::size_t at = here.rfind("tests/unit/infer/");
  return at == std::string::npos || at == 0 ? "./" : here.substr(0, at);
}

inline Bytes repo_file(const std::string& path) {
  for (const std::string& root : {repo_folder(), std::string("./"), std::string("../../"), std::string("../../../")}) {
    std::ifstream in(root + path, std::ios::binary);
    if (in) return Bytes(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  BOOST_FAIL("cannot find " << path);
  return {};
}

inline Bytes golden_file(const std::string& name) { return repo_file("tests/golden/" + name); }

}  // namespace oas::test
