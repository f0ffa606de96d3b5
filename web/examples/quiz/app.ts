/** A quiz: questions from the content cache, answers as events in order, progress that outlives the page. */

import { open } from "offline-ai-sync";
import { openCache } from "offline-ai-sync/cache";
import { button, element, setText } from "../../src/dom.ts";
import { showSync } from "../sync-line.ts";

interface Question {
  readonly id: string;
  readonly text: string;
  readonly choices: readonly string[];
  readonly answer: number;
}
interface Progress {
  /** Names one game; its answers are applied in the order in which they were given. */
  readonly game: string;
  readonly answers: readonly number[];
}

const wasmUrl = "/core.wasm";
const engine = open({ name: "quiz", url: "/api/offline-ai", wasmUrl, worker: "/examples/quiz/sw.js" });
const cache = await openCache({ name: "quiz", wasmUrl });
showSync(engine, element("sync"));

// Asked of the server at the first visit, renewed when older than a week, and answered from here in between.
const load = async (): Promise<readonly Question[]> =>
  (await cache.cachedContent("quiz", "capitals", () => fetch("/examples/quiz/questions.json"), {
    ttl: "7d",
    priority: 9,
  })) as readonly Question[];

const fresh = (): Progress => ({ game: crypto.randomUUID(), answers: [] });
let progress = ((await cache.cachedContent("quiz", "progress")) as Progress | undefined) ?? fresh();

const keep = (): Promise<void> =>
  cache.cacheContent({ contentType: "quiz", contentId: "progress", contentData: progress, pinned: true });

// A tab that dies between queue and progress asks the question again; the key makes both answers one event.
const queue = (action: string, key: string, data: object, priority: "high" | "critical") =>
  engine.queueEvent({
    eventType: `quiz.${action}`,
    moduleId: "quiz",
    eventData: { action, game: progress.game, ...data },
    entity: `quiz/${progress.game}`,
    dedupeKey: `${progress.game}/${key}`,
    priority,
  });

const right = (questions: readonly Question[]): number =>
  progress.answers.filter((answer, i) => answer === questions[i]?.answer).length;

async function answer(questions: readonly Question[], choice: number): Promise<void> {
  const at = progress.answers.length;
  const question = questions[at];
  if (!question) return;
  progress = { ...progress, answers: [...progress.answers, choice] };
  // Shown at once; what was stored is stored when the promise resolves, and sent whenever there is a network.
  show(questions);
  setText("word", choice === question.answer ? "Right." : `No: ${question.choices[question.answer] ?? ""}.`);
  await queue("answer", question.id, { questionId: question.id, choice }, "high");
  // Not by how far the game is now: the last answers may have been given while an earlier one was being stored.
  if (at + 1 === questions.length)
    await queue("completed", "completed", { score: right(questions), of: questions.length }, "critical");
  await keep();
}

function show(questions: readonly Question[]): void {
  const at = progress.answers.length;
  const question = questions[at];
  const bar = element<HTMLProgressElement>("progress");
  bar.max = questions.length;
  bar.value = at;
  setText("score", `${right(questions)} of ${at} right`);
  setText("question", question?.text ?? "Done!");
  element("choices").replaceChildren(
    ...(question?.choices ?? []).map((choice, i) => {
      const row = document.createElement("li");
      row.append(button(choice, () => act(answer(questions, i))));
      return row;
    }),
  );
}

function act(work: Promise<unknown>): void {
  work.catch((error: unknown) => setText("word", error instanceof Error ? error.message : String(error)));
}

async function start(): Promise<void> {
  const questions = await load();
  element("again").addEventListener("click", () => {
    progress = fresh();
    setText("word", "");
    show(questions);
    act(keep());
  });
  show(questions);
}

act(start());
Object.assign(globalThis, { engine });
