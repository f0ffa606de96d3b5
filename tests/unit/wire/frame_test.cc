// A frame is opened whole or not at all, and nothing that is not ours looks like one.
#include <boost/test/unit_test.hpp>

#include "base/prng.h"
#include "wire/frame.h"
#include "wire/writer.h"

using namespace oas;
using namespace oas::wire;

namespace {

Bytes frame_of(FrameKind kind, std::uint64_t nonce, std::string_view payload) {
  Bytes bytes{1, 2, 3};  // begin_frame clears
  begin_frame(bytes, kind, nonce);
  Writer(bytes).raw(as_bytes(payload));
  finish_frame(bytes);
  return bytes;
}

ErrorCode code(ByteView bytes) { return open_frame(bytes, FrameKind::kSyncReply).error().code; }

}  // namespace

BOOST_AUTO_TEST_CASE(frames_come_back) {
  for (const FrameKind kind : {FrameKind::kSyncRequest, FrameKind::kSyncReply, FrameKind::kPeer})
    for (const std::string_view payload : {"", "x", "a longer payload"}) {
      const Bytes bytes = frame_of(kind, 0xFEDCBA9876543210ULL, payload);
      const Result<Frame> frame = open_frame(bytes, kind);
      BOOST_REQUIRE(frame.has_value());
      BOOST_TEST(frame->nonce == 0xFEDCBA9876543210ULL);
      BOOST_TEST(frame->version == kProtocolVersion);
      BOOST_TEST(as_text(frame->payload) == payload);
    }
}

BOOST_AUTO_TEST_CASE(a_captive_portal_is_not_our_server) {
  BOOST_TEST((code(as_bytes("<!doctype html><title>Please log in</title>")) == ErrorCode::kForeignReply));
  BOOST_TEST((code({}) == ErrorCode::kForeignReply));
  BOOST_TEST((code(frame_of(FrameKind::kSyncRequest, 1, "x")) == ErrorCode::kForeignReply));
}

BOOST_AUTO_TEST_CASE(a_newer_version_is_told_apart_from_damage) {
  Bytes bytes = frame_of(FrameKind::kSyncReply, 1, "x");
  bytes[4] = 0xFF;
  BOOST_TEST((open_frame(bytes, FrameKind::kSyncReply).error() == Error{ErrorCode::kUnknownVersion, 0xFF}));
  bytes[4] = 0;
  BOOST_TEST((code(bytes) == ErrorCode::kUnknownVersion));
}

BOOST_AUTO_TEST_CASE(damage_to_a_frame_is_always_noticed) {
  const Bytes whole = frame_of(FrameKind::kSyncReply, 77, "a payload of some length");
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes bytes = whole;
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    BOOST_TEST(!open_frame(bytes, FrameKind::kSyncReply).has_value());
  }
  for (std::size_t size = 0; size < whole.size(); ++size)
    BOOST_TEST(!open_frame(ByteView(whole).first(size), FrameKind::kSyncReply).has_value());
}
