import { runProgram } from "../lib/program.mjs";

export const claim = {
  name: "examples.e2e",
  title:
    "Quiz, shop and field notes work without a network from the second visit on and lose nothing when their tab dies",
  bar: "real Chromium and Service Worker, every app used offline, its renderer killed, back online: 0 lost, 0 doubled, answers in order, every conflict settled on both devices by one answer",
  quickSeconds: 90,
  needs: ["build", "browser"],
  async run({ quick }) {
    const [figures] = await runProgram("tests/browser/examples.main.ts", [{ args: [quick ? 1 : 5] }]);
    const { rounds, ...wrong } = figures;
    return {
      ok: rounds > 0 && Object.values(wrong).every((count) => count === 0),
      scope: `${rounds} rounds on fresh profiles: a quiz game, an order, a note with a photo that two devices rewrite`,
      figures,
    };
  },
};
