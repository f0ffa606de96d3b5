import { spawn } from "node:child_process";
import { nativeProgram } from "../lib/native.mjs";

/** { code, counts }; counts is null when the program died of the mutant. */
function drive(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args.map(String), { stdio: ["ignore", "pipe", "ignore"], timeout: 600_000 });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      const line = text.trim().split("\n").at(-1);
      resolve({ code: code ?? signal, text, counts: line?.startsWith("{") ? JSON.parse(line) : null });
    });
  });
}

const mutants_killed_min = 10;

export const claim = {
  name: "merge.typed-app",
  title: "Cart, todo list, profile, quiz and notes edited offline on 2 to 5 devices, judged by what people meant",
  bar: ">= 100,000 episodes (quick: 20,000): right >= 99.9 %, mean size of the acceptable set <= 1.5, 0 lost increments, 0 duplicated elements, 0 resurrections, 0 diverged replicas; all of >= 10 mutants of the merge core fail it",
  needs: ["native"],
  test: true,
  async run({ quick, log }) {
    const program = await nativeProgram("merge_apps");
    const { code, counts } = await drive(program, ["run", quick ? 20_000 : 200_000, 1]);
    log(JSON.stringify(counts));
    const names = (await drive(program, ["mutants"])).text.trim().split("\n");
    const survivors = [];
    for (const name of names) {
      const mutant = await drive(program, ["run", 2_000, 1, name]);
      if (mutant.code === 0) survivors.push(name);
    }
    log(`mutants killed: ${names.length - survivors.length} of ${names.length} ${survivors.join(" ")}`);
    const acceptableMean = counts === null ? 0 : counts.acceptableSum / counts.episodes;
    return {
      ok:
        code === 0 &&
        counts.right >= 0.999 * counts.episodes &&
        acceptableMean <= 1.5 &&
        survivors.length === 0 &&
        names.length >= mutants_killed_min,
      scope:
        "native core; typed schemas; single edits and whole values; clocks up to a year wrong, offline for up to months, every delta up to three times, exchanges of some devices with some others, then compaction. The oracle knows intentions only and shares no code with the core",
      figures: { ...counts, acceptableMean, mutants: names.length, survivors },
    };
  },
};
