// Makes pushes smaller by a dictionary that the server holds too, and learns one while there is none.
//
//   none --learn()--> learning -----see()-----> none      both ways back to `none` leave a dictionary for the server, which
//    `---- use() ---> used ------refused()----> none      take_learned() gives away
//
// Only what travels is packed. What is stored at either end is readable alone, so a dictionary may be lost at any time: the
// server answers that it cannot read a stream, and the segments go out as they are stored.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sync/messages.h"
#include "sync/push_plan.h"
#include "wire/dictionary.h"

namespace oas::sync {

class Packer {
 public:
  // Events after which what they repeat is known well enough; a dictionary of a real web log is 4 kB as sent then.
  static constexpr std::uint32_t kLearnEvents = 100;
  static constexpr std::uint32_t kLearnedBytesMax = 16'000;
  // Of these, bytes for text seen once. It is worth little.
  static constexpr std::uint32_t kTailBytesMax = 4'000;
  // Longer segments repeat themselves enough to be small without help, and packing them anew takes time.
  static constexpr std::uint32_t kPackedEventsMax = 200;

  // `packed` (wire::pack_dictionary) is held by the server. Errors: those of unpack_dictionary; then nothing changed.
  Result<void> use(ByteView packed);
  // Learns from what the server is given from now on, unless there is a dictionary.
  void learn();
  // Puts smaller segments into the request where the dictionary makes them; their bytes live until the next call.
  void pack(SyncRequest& request);
  // The server has got these. It is not told of anything else: events may yet be given up before they reach it.
  void see(const std::vector<Planned>& sent);
  // The server could not read a stream of the last request. True if that may be for want of the dictionary, which is let go
  // and has to be brought to the server again.
  bool refused();
  // A packed dictionary that the server should have; it is given away once.
  std::optional<Bytes> take_learned();

 private:
  void replace(Item& item, const wire::SegmentHead& head, ByteView rows);
  void see(const wire::SegmentHead& head, ByteView rows);

  std::optional<wire::Dictionary> dictionary_;
  std::vector<Bytes> packed_;  // of the last request
  bool learning_ = false;
  wire::DictionaryBuilder builder_;
  std::uint32_t seen_ = 0;
  std::map<StreamId, Sequence> upto_;  // what was seen of each stream: some answers make the same events go out again
  std::optional<Bytes> learned_;
};

}  // namespace oas::sync
