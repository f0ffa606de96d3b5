// The example apps: usable without a network from the second visit on, and safe when their tab dies.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Browser, chromiumPath } from "./chromium.ts";
import { Demo } from "./demo.ts";
import { goShopping, playQuiz, QUESTIONS, writeNotes } from "./example-apps.ts";

// Each waits ten seconds for the lease of a tab that died, so they wait together.
const options = { skip: chromiumPath() ? false : "there is no Chromium", concurrency: true };

describe("the example apps", options, () => {
  const demo = new Demo();
  const browsers = [new Browser(), new Browser(), new Browser(), new Browser()] as const;
  before(async () => {
    await demo.start();
    await Promise.all(browsers.map((browser) => browser.start()));
  });
  after(async () => {
    await Promise.all(browsers.map((browser) => browser.stop()));
    await demo.stop();
  });

  test("quiz: a game without a network outlives its tab, and its answers arrive once, in order", async () => {
    const { afterKill, done, events } = await playQuiz(browsers[2], demo, 3);
    assert.deepEqual(afterKill, { question: "3 of 3 right", pending: 3 });
    assert.equal(done, `${QUESTIONS} of ${QUESTIONS} right`);
    const answers = events.filter(({ eventType }) => eventType === "quiz.answer");
    assert.deepEqual(
      answers.map(({ eventData }) => eventData["questionId"]),
      ["q1", "q2", "q3", "q4", "q5", "q6"],
    );
    const completed = events.filter(({ eventType }) => eventType === "quiz.completed");
    assert.deepEqual(
      completed.map(({ eventData }) => eventData["score"]),
      [QUESTIONS],
    );
    assert.ok(events.every(({ verdict }) => verdict === "applied"));
  });

  test("shop: cart and order without a network outlive the tab; recommendations are learned there", async () => {
    const { total, afterKill, recommended, orders, cart } = await goShopping(browsers[3], demo);
    assert.match(total, /6\.19/);
    assert.equal(afterKill, total);
    // What is like the things looked at, and not in the cart yet.
    assert.ok(recommended.includes("white-bread"), recommended.join());
    assert.ok(!recommended.includes("green-tea"));
    assert.deepEqual(
      orders.map(({ eventType, eventData }) => [eventType, eventData]),
      [
        [
          "order.place",
          {
            lines: [
              { sku: "green-tea", quantity: 2 },
              { sku: "rye-bread", quantity: 1 },
            ],
          },
        ],
      ],
    );
    assert.deepEqual(cart, { lines: [] });
  });

  test("notes: two texts are put before a person, one answer settles both devices, the photo arrives once", async () => {
    const { asked, texts, doubtsLeft, photos, afterKill } = await writeNotes([browsers[0], browsers[1]], demo);
    assert.equal(afterKill, "two of them at the weir");
    for (const question of asked) assert.match(question, /Before: seen at the weir/);
    assert.deepEqual(texts, ["one, and a kingfisher", "one, and a kingfisher"]);
    assert.equal(doubtsLeft, 0);
    assert.deepEqual(
      photos.map(({ eventType, verdict }) => [eventType, verdict]),
      [["note.photo", "applied"]],
    );
  });
});
