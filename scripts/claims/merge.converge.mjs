import { spawn } from "node:child_process";
import { nativeProgram } from "../lib/native.mjs";

function drive(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args.map(String), { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`merge_converge ${args.join(" ")} ended with ${code}`));
    });
  });
}

const sum = (rows) =>
  rows.reduce((total, row) => {
    for (const [name, value] of Object.entries(row)) total[name] = (total[name] ?? 0) + value;
    return total;
  }, {});

export const claim = {
  name: "merge.converge",
  title: "Equal operations give equal bytes: states, documents and conflict records, in every order of delivery",
  bar: "every history of <= 4 operations by <= 3 writers in every delivery order (quick: <= 3), and >= 1,000,000 random schedules over 3 to 5 replicas (quick: 20,000): equal bytes, and what the brute-force model shows",
  needs: ["native"],
  test: true,
  async run({ quick, log }) {
    const program = await nativeProgram("merge_converge");
    const lengths = quick ? [1, 2, 3] : [1, 2, 3, 4];
    const small = {};
    for (const length of lengths) {
      const shards = length < 4 ? 1 : 2;
      const runs = Array.from({ length: shards }, (_, shard) => drive(program, ["small", length, shard, shards]));
      small[length] = sum(await Promise.all(runs));
      log(`histories of ${length}: ${JSON.stringify(small[length])}`);
    }
    const each = quick ? 10_000 : 500_000;
    const random = sum(await Promise.all([1, 2].map((half) => drive(program, ["random", each, half * 10_000_000]))));
    log(`random: ${JSON.stringify(random)}`);
    return {
      ok: random.schedules >= (quick ? 20_000 : 1_000_000) && random.records > 0,
      scope:
        "native core; writers may know any set of earlier operations, also out of causal order; every delta twice, whole-state joins, partitions, stamps, voids, resolutions; schedules count only when all replicas end equal",
      figures: { small, random },
    };
  },
};
