import { runProgram } from "../lib/program.mjs";

const mutations = 1_000;
const replays = 400;

export const claim = {
  name: "models.supply",
  title:
    "A model on its way from the registry: what was changed or is old is refused by name, a cut leaves the old model or the new one",
  bar: `${mutations} mutated artefacts and manifests refused by name, and ${replays} lists that expired, were rolled back or name no end; interrupted update at every step leaves the old or the new model, never neither`,
  quickSeconds: 90,
  needs: ["build", "browser"],
  test: true,
  async run({ quick, log }) {
    const [node] = await runProgram("tests/server/supply.main.ts", [{ args: [mutations] }]);
    log(`Node: ${JSON.stringify(node)}`);
    const kills = quick ? 6 : 24;
    const [chromium] = await runProgram("tests/browser/supply.main.ts", [{ args: [kills] }]);
    log(`Chromium: ${JSON.stringify(chromium)}`);
    return {
      ok:
        node.problems === 0 &&
        node.mutations === mutations &&
        node.replays === replays &&
        chromium.problems === 0 &&
        chromium.kills === kills,
      scope: `Node and the real server over HTTP: ${mutations} mutations, ${replays} old but well-signed answers, a power cut before and after every commit, every request cut, of a delta and of a whole download. Chromium and the packaged server: a swapped bit, another key, a cut answer, rollback, canary, ${kills} kills of the browser during an update`,
      figures: { node, chromium },
    };
  },
};
