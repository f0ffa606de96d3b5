/**
 * The example apps, round after round on fresh profiles: `examples.main.js <rounds>`. Prints what was lost and doubled as one
 * JSON line.
 */

import { Browser } from "./chromium.ts";
import { Demo } from "./demo.ts";
import { goShopping, playQuiz, QUESTIONS, writeNotes } from "./example-apps.ts";

const rounds = Number(process.argv[2] ?? 1);
const figures = {
  ...{ rounds, answersLost: 0, answersDoubled: 0, disorder: 0, ordersLost: 0, ordersDoubled: 0 },
  ...{ cartsLost: 0, unsettled: 0, photosLost: 0, photosDoubled: 0 },
};

async function quiz(browser: Browser, demo: Demo, round: number): Promise<void> {
  const { events } = await playQuiz(browser, demo, 1 + (round % (QUESTIONS - 1)));
  const answers = events.filter(({ eventType }) => eventType === "quiz.answer");
  const ids = answers.map(({ eventData }) => String(eventData["questionId"]));
  const completed = events.filter(({ eventType }) => eventType === "quiz.completed").length;
  const distinct = new Set(ids).size;
  figures.answersLost += QUESTIONS - distinct + (completed === 0 ? 1 : 0);
  figures.answersDoubled += ids.length - distinct + Math.max(0, completed - 1);
  if (ids.join() !== [...ids].sort().join()) figures.disorder++;
}

async function shop(browser: Browser, demo: Demo): Promise<void> {
  const { total, afterKill, orders } = await goShopping(browser, demo);
  if (afterKill !== total) figures.cartsLost++;
  if (orders.length === 0) figures.ordersLost++;
  figures.ordersDoubled += Math.max(0, orders.length - 1);
}

async function notes(browsers: readonly [Browser, Browser], demo: Demo): Promise<void> {
  const { texts, doubtsLeft, photos } = await writeNotes(browsers, demo);
  if (new Set(texts).size !== 1 || doubtsLeft > 0) figures.unsettled++;
  if (photos.length === 0) figures.photosLost++;
  figures.photosDoubled += Math.max(0, photos.length - 1);
}

for (let round = 0; round < rounds; round++) {
  const demo = new Demo();
  const browsers = [new Browser(), new Browser(), new Browser(), new Browser()] as const;
  try {
    await demo.start();
    await Promise.all(browsers.map((browser) => browser.start()));
    await Promise.all([
      quiz(browsers[0], demo, round),
      shop(browsers[1], demo),
      notes([browsers[2], browsers[3]], demo),
    ]);
  } finally {
    await Promise.all(browsers.map((browser) => browser.stop()));
    await demo.stop();
  }
}
console.log(JSON.stringify(figures));
