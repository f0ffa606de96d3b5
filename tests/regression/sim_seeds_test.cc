// Worlds in which the simulator once found something. A seed tells the same story only as long as neither the simulator nor the
// core draws other numbers, so each line says what the story was; the rules themselves have tests of their own. All of them
// happened before there were events of analytics.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "sim/run.h"

namespace {

struct Story {
  const char* seed;
  const char* sentence;
};

constexpr Story kSafety[] = {
    {"54", "a third server answers while a device compares its streams with the second"},
    {"358", "a page read before a slow tab stored hides numbers, and they are given up"},
    {"612", "a bit turns over in the record of numbers that were given up"},
    {"1170", "deferred at the server, and passed by a copy that does not hold it"},
    {"2048", "as 1170"},
    {"2103", "two damaged records in a row, whose content the server had taken"},
    {"2291", "restored again before a device has sent again what it kept"},
    {"3027", "restored again while a copy compares: it never passes what it keeps as settled"},
    {"3448", "as 1170"},
    {"4774", "numbers given up cover a deferred event, and count as its content"},
    {"4939", "as 1170"},
    {"5023", "as 3027"},
    {"5489", "as 3027"},
    {"6708", "as 3027"},
    {"8887", "a copy gives up as lost what the other still keeps"},
    {"8952", "as 1170"},
    {"10168", "the server asks to wait, and there is no room to write that down"},
    {"11476", "an engine whose seed is mostly zeros draws one nonce twice"},
};

constexpr Story kDocuments[] = {
    {"3", "an edit waits though its event is gone and its tab is dead"},
    {"89", "a tab stores changes without being told so, and the other one hears only that an edit waits no longer"},
    {"54", "a restored server does not know a document that a device holds"},
    {"1172", "a tab reads an edit between the word that it is refused and the end of its record"},
    {"862", "a refused edit is removed by somebody whose profile went back to before it was refused"},
    {"864", "a power cut takes back a cursor that the device has acknowledged, under its next edit"},
    {"1666", "a refused edit is sent again after somebody has removed what it had made"},
};

const std::vector<Story> kFolded{
    {"44", "a repair request arrives twice, long after what it offers was folded"},
    {"144", "a device acknowledges a restored server's cursor, and sends its edits again later"},
    {"337", "a device comes back when a restored server has folded on, past the numbers of what only this device has"},
    {"101459", "a score goes back to what it was, while somebody lowers it"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(worlds_that_once_went_wrong_come_out_right) {
  for (const Story& story : kSafety) {
    BOOST_TEST_CONTEXT(story.seed << ": " << story.sentence)
    BOOST_TEST(oas::sim::simulate({"--seed", story.seed, "--lanes", "4"}) == 0);
  }
}

// A tab that begins with marks from before another one's answer cannot go on in some streams; what shares an entity waited for nobody.
BOOST_AUTO_TEST_CASE(an_urgent_event_does_not_overtake_one_that_its_sender_cannot_send) {
  for (const char* seed : {"10754", "15518"}) BOOST_TEST(oas::sim::simulate({"--seed", seed}) == 0, seed);
}

// A damaged record is given up while its writer, who does not know whether it was stored, writes it again.
BOOST_AUTO_TEST_CASE(nothing_is_left_of_a_record_that_was_given_up_and_written_again) {
  BOOST_TEST(oas::sim::simulate({"--mode", "liveness", "--seed", "14545"}) == 0);
}

// After a restore the server's answer passed what was held below a gap, without its copies; the next restore then lost it.
BOOST_AUTO_TEST_CASE(a_server_that_is_restored_twice_gets_back_what_it_had_answered_between) {
  BOOST_TEST(oas::sim::simulate({"--mode", "liveness", "--seed", "14444"}) == 0);
}

BOOST_AUTO_TEST_CASE(who_insists_while_the_lease_is_given_back_is_heard) {
  BOOST_TEST(oas::sim::simulate({"--seed", "4119"}) == 0);
}

BOOST_AUTO_TEST_CASE(worlds_of_documents_that_once_went_wrong_come_out_right) {
  for (const Story& story : kDocuments) {
    BOOST_TEST_CONTEXT(story.seed << ": " << story.sentence)
    BOOST_TEST(oas::sim::simulate({"--documents", "--seed", story.seed}) == 0);
  }
}

// Numbers of changes that a restored server folds are not those of the history that its replicas have seen.
BOOST_AUTO_TEST_CASE(folded_worlds_whose_server_was_restored_come_out_right) {
  for (const Story& story : kFolded) {
    BOOST_TEST_CONTEXT(story.seed << ": " << story.sentence)
    BOOST_TEST(oas::sim::simulate({"--documents", "--folds", "--seed", story.seed}) == 0);
  }
}

// A device gives back what a restored server has lost and whoever made it has lost, too; without that, these worlds go wrong.
BOOST_AUTO_TEST_CASE(a_restored_server_gets_back_what_a_lost_writer_had_made) {
  for (const char* seed : {"44", "74", "79"}) {
    BOOST_TEST_CONTEXT(seed) {
      BOOST_TEST(oas::sim::simulate({"--documents", "--seed", seed}) == 0);
      BOOST_TEST(oas::sim::simulate({"--documents", "--seed", seed, "--mutant", "kDocRepairLeftOut"}) == 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_tab_that_is_woken_before_its_time_reads_what_it_was_told) {
  BOOST_TEST(oas::sim::simulate({"--documents", "--mode", "liveness", "--seed", "31"}) == 0);
}

// A dictionary that the server has lost, or never got, costs a request and nothing else.
BOOST_AUTO_TEST_CASE(pushes_packed_with_dictionaries_lose_nothing) {
  BOOST_TEST(oas::sim::simulate({"--dictionaries", "--seeds", "20"}) == 0);
  BOOST_TEST(oas::sim::simulate({"--dictionaries", "--mode", "liveness", "--seeds", "20"}) == 0);
}

// Streams go on behind numbers that were given up, whatever else goes wrong; what is not analytics loses nothing.
BOOST_AUTO_TEST_CASE(withdrawn_consent_harms_no_other_event) {
  BOOST_TEST(oas::sim::simulate({"--withdraw", "--seeds", "20"}) == 0);
  BOOST_TEST(oas::sim::simulate({"--withdraw", "--mode", "liveness", "--seeds", "20"}) == 0);
}
