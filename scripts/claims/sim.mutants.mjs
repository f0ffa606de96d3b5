import { nativeProgram } from "../lib/native.mjs";
import { runSimulator } from "../lib/simulate.mjs";

const seeds_max = 200;
const mutants_min = 40;

export const claim = {
  name: "sim.mutants",
  title: "Every known protocol mistake is noticed by the simulator, those of documents, too",
  bar: `at least ${mutants_min} mistakes, switched on one at a time, each noticed within ${seeds_max} seeds`,
  quickSeconds: 240,
  async run({ log }) {
    const { lines } = await runSimulator(await nativeProgram("sim"), [
      "--mutants",
      "--seeds",
      String(seeds_max),
      "--json",
    ]);
    for (const line of lines.slice(0, -1)) log(line);
    const figures = JSON.parse(lines.at(-1));
    return {
      ok: figures.mutants >= mutants_min && figures.alive === 0,
      scope: "one test build with all mistakes in it, absent from shipped builds; safety and liveness mode in turn",
      figures,
    };
  },
};
