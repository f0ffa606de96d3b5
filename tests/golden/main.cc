// `golden`: writes the vectors, checks them, and prints a digest per kind, so that builds can be compared.
#include <cstdio>
#include <string>

#include "base/hash.h"
#include "kind.h"

namespace {

using namespace oas;
using namespace oas::golden;

constexpr std::string_view kUsage =
    "usage: golden check FOLDER   runs the stored vectors; one line a kind: name, vectors, digest of the answers\n"
    "       golden write FOLDER   makes them anew; look at the difference before you commit it\n";

constexpr std::uint32_t kVectorsMax = 10'000;
constexpr std::uint32_t kVectorBytesMax = 1'000'000;

std::vector<Kind> all_kinds() {
  std::vector<Kind> kinds;
  for (const auto part : {base_kinds(), wire_kinds(), queue_kinds(), merge_kinds(), sync_kinds(), engine_kinds()})
    kinds.insert(kinds.end(), part.begin(), part.end());
  return kinds;
}

Bytes read_file(const std::string& path) {
  Bytes bytes;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return bytes;
  std::uint8_t buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
    bytes.insert(bytes.end(), buffer, buffer + n);
  std::fclose(file);
  return bytes;
}

bool write_file(const std::string& path, ByteView bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const bool whole = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  return std::fclose(file) == 0 && whole;
}

Bytes make(const Kind& kind) {
  const std::vector<Bytes> inputs = kind.inputs();
  Bytes file;
  wire::Writer out(file);
  out.raw(as_bytes("OASV"));
  out.u8(1);
  out.varint(inputs.size());
  for (const Bytes& input : inputs) {
    out.bytes(input);
    out.bytes(kind.run(input));
  }
  return file;
}

struct Tally {
  std::uint32_t vectors = 0;
  std::uint32_t wrong = 0;
  std::uint64_t digest = 0;
};

Result<Tally> check(const Kind& kind, ByteView file) {
  wire::Reader in(file);
  OAS_TRY(const ByteView magic, in.raw(5));
  if (as_text(magic) != std::string_view("OASV\x01")) return fail(ErrorCode::kMalformed);
  Tally tally;
  OAS_TRY(tally.vectors, in.count(kVectorsMax));
  for (std::uint32_t i = 0; i < tally.vectors; ++i) {
    OAS_TRY(const ByteView input, in.bytes(kVectorBytesMax));
    OAS_TRY(const ByteView wanted, in.bytes(kVectorBytesMax));
    const Bytes given = kind.run(input);
    if (as_text(given) != as_text(wanted)) ++tally.wrong;
    tally.digest = hash64(given, tally.digest);
  }
  OAS_CHECK(in.end());
  return tally;
}

int check_all(const std::string& folder) {
  bool good = true;
  for (const Kind& kind : all_kinds()) {
    const std::string name(kind.name);
    const Result<Tally> tally = check(kind, read_file(folder + "/" + name + ".bin"));
    if (!tally) {
      std::printf("%s cannot be read\n", name.c_str());
      good = false;
      continue;
    }
    std::printf("%s %u %016llx", name.c_str(), tally->vectors, static_cast<unsigned long long>(tally->digest));
    if (tally->wrong > 0) std::printf(" WRONG %u", tally->wrong);
    std::printf("\n");
    good = good && tally->wrong == 0;
  }
  return good ? 0 : 1;
}

int write_all(const std::string& folder) {
  for (const Kind& kind : all_kinds()) {
    const std::string path = folder + "/" + std::string(kind.name) + ".bin";
    if (!write_file(path, make(kind))) {
      std::fprintf(stderr, "golden: cannot write %s\n", path.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc == 3 ? argv[1] : "";
  if (command == "check") return check_all(argv[2]);
  if (command == "write") return write_all(argv[2]);
  std::fwrite(kUsage.data(), 1, kUsage.size(), stderr);
  return 2;
}
