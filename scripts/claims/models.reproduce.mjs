import { dataFolder, skippedWithoutData } from "../lib/data.mjs";
import { folders, models, train } from "../models-lib.mjs";

export const claim = {
  name: "models.reproduce",
  title: "Training again by the committed recipes gives the committed bytes",
  bar: "every model file equal, int8 and int4",
  quickSeconds: 120,
  async run({ log }) {
    const missing = models.find((name) => !dataFolder(folders[name]));
    if (missing) return skippedWithoutData(folders[missing], log);
    const { code, stdout } = await train("check", "all");
    log(stdout.trimEnd());
    const same = stdout.split("\n").filter((line) => line.startsWith("same ")).length;
    return {
      ok: code === 0 && same === 8,
      scope: "all five recipes, one thread, this machine's compiler",
      figures: { files_equal: same, files: 8 },
    };
  },
};
