import { dataFolder, skippedWithoutData } from "../lib/data.mjs";
import { evaluate, find, folders, models } from "../models-lib.mjs";

// name, report, data set, metric, the least that holds, and the figure the project began with.
const bars = [
  ["intent_top1", "intent", "CLINC150", "top-1 of 150", 92.0, 88.3],
  ["intent_oos_auroc", "intent", "CLINC150", "out-of-scope AUROC", 0.955],
  ["banking77_top1", "intent", "Banking77", "top-1 of 77", 90],
  ["emotion_top1", "emotion", "GoEmotions", "top-1 of 4", 80.5, 79.2],
  ["emotion_macro_f1", "emotion", "GoEmotions", "macro-F1", 0.69],
  ["content_top1", "content", "Stop Clickbait", "top-1 of 2", 97.0, 82.1],
  ["recommendation_hr10_99", "recommendation", "MSWeb", "HR@10 of 99 negatives", 88.3, 85.7],
  ["recommendation_hr10_full", "recommendation", "MSWeb", "HR@10 full catalogue", 78.0],
  ["personalization_auc", "personalization", "Online Shoppers", "ROC AUC", 0.928, 0.925],
];
const lifts = [
  ["recommendation_full_lift", "recommendation", "MSWeb", "HR@10 full catalogue", 13],
  ["learner_hr5_lift", "personalization", "MSWeb", "HR@5", 12],
];

export const claim = {
  name: "models.accuracy",
  title: "The five models on named public test data, judged by the shipped files and kernels",
  bar: "Intent >= 92.0 and AUROC >= .955, Banking77 >= 90; Emotion >= 80.5, macro-F1 >= .69; Content >= 97.0; Recommendation >= 88.3 and full >= 78.0, >= 13 above popularity; Personalization AUC >= .928, learner HR@5 lift >= 12",
  quickSeconds: 120,
  async run({ log }) {
    const missing = models.find((name) => !dataFolder(folders[name]));
    if (missing) return skippedWithoutData(folders[missing], log);
    const reports = {};
    for (const name of models) {
      reports[name] = await evaluate(name);
      for (const { dataset, split, metric, value, baseline, baselineName, n, ci95 } of reports[name]) {
        log(`${name}: ${dataset}, ${split}: ${metric} ${value} (± ${ci95}, n ${n}; ${baselineName} ${baseline})`);
      }
    }
    const figures = {};
    let ok = true;
    for (const [key, report, dataset, metric, least, seed] of bars) {
      const figure = find(reports[report], dataset, metric);
      figures[key] = figure?.value;
      if (seed !== undefined) figures[`${key}_seed`] = seed;
      if (!(figure?.value >= least)) {
        ok = false;
        log(`${key}: ${figure?.value} is below ${least}`);
      }
    }
    for (const [key, report, dataset, metric, least] of lifts) {
      const figure = find(reports[report], dataset, metric);
      figures[key] = figure?.lift;
      if (!(figure?.lift >= least)) {
        ok = false;
        log(`${key}: ${figure?.lift} is below ${least}`);
      }
    }
    return { ok, scope: "official or hashed test splits, whole; each figure with baseline, n and 95 % above", figures };
  },
};
