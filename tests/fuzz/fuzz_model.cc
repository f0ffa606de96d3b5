// The model loader and the session against arbitrary bytes. The first byte chooses; a model gets its checksum made right,
// because an attacker could do that too.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "infer/run.h"
#include "infer/session.h"
#include "infer/sha256.h"

namespace {

void fuzz_model(oas::Bytes file) {
  using namespace oas::infer;
  if (file.size() >= 32) {
    const Sha256 hash = sha256(oas::ByteView(file).first(file.size() - 32));
    std::copy(hash.begin(), hash.end(), file.end() - 32);
  }
  const auto model = load_model(std::move(file));
  if (!model) return;
  Runner runner;
  const std::vector<float> row(model->inputs, 0.5f);
  const std::uint32_t ids[] = {0, 1, 2, 70'000};
  for (std::uint32_t view = 0; view < model->views.size(); ++view) {
    if (model->kind == ModelKind::kText) (void)runner.text(*model, oas::as_bytes("Fuzz me, ÄÖÜ 日本!"), view);
    if (model->kind == ModelKind::kNumeric) (void)runner.numeric(*model, row, view);
    if (model->kind == ModelKind::kHistory) (void)runner.history(*model, ids, view);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const oas::ByteView rest(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    fuzz_model(oas::to_bytes(rest));
    return 0;
  }
  oas::infer::Session session;
  // Several requests, each behind one byte of length, so that handles made by one are used by the next.
  for (std::size_t at = 0; at < rest.size();) {
    const std::size_t count = std::min<std::size_t>(rest[at], rest.size() - at - 1);
    (void)session.call(rest.subspan(at + 1, count));
    at += count + 1;
  }
  return 0;
}
