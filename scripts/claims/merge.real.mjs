import { canonical, isWaiting, judge, loadCases, mergeAll } from "../lib/merge-cases.mjs";
import { nativeProgram } from "../lib/native.mjs";

const contended_share = 0.16; // of the merges that were mined; the file holds more of them
const macro_cases_min = 10;

const percent = (part, whole) => (whole === 0 ? 0 : Math.round((1000 * part) / whole) / 10);

function tally(cases, verdicts) {
  const total = { n: 0, auto: 0, exact: 0, right: 0, wrong: 0 };
  cases.forEach((one, index) => {
    const verdict = verdicts.get(one.id) ?? verdicts[index];
    total.n += 1;
    for (const name of ["auto", "exact", "right", "wrong"]) if (verdict[name]) total[name] += 1;
  });
  return total;
}

const rates = ({ n, auto, exact, right, wrong }) => ({
  n,
  auto: percent(auto, n),
  exact: percent(exact, n),
  right: percent(right, n),
  wrong: percent(wrong, n),
});

/** Mean over the repositories that have enough contended cases in the whole file, each with equal weight. */
function macro(all, cases, verdicts) {
  const counts = Map.groupBy?.(all, ({ repo }) => repo) ?? groupBy(all);
  const repos = [...counts].filter(([, list]) => list.length >= macro_cases_min).map(([repo]) => repo);
  const rows = repos
    .map((repo) =>
      tally(
        cases.filter((one) => one.repo === repo),
        verdicts,
      ),
    )
    .filter(({ n }) => n > 0);
  const mean = (name) =>
    Math.round((10 * rows.reduce((sum, row) => sum + (100 * row[name]) / row.n, 0)) / rows.length) / 10;
  return { repositories: rows.length, auto: mean("auto"), right: mean("right"), wrong: mean("wrong") };
}

function groupBy(all) {
  const groups = new Map();
  for (const one of all) groups.set(one.repo, [...(groups.get(one.repo) ?? []), one]);
  return groups;
}

/** Whether the accepted document holds a scalar or a key that neither side nor the base has: a person's own edit. */
function nobodyWrote({ base, ours, theirs, merged }) {
  const collect = (value, into) => {
    if (value === null || typeof value !== "object") return into.add(JSON.stringify(value));
    for (const [key, item] of Object.entries(value)) {
      if (!Array.isArray(value)) into.add(`key ${key}`);
      collect(item, into);
    }
    return into;
  };
  const known = new Set();
  for (const side of [base, ours, theirs]) collect(side, known);
  return [...collect(merged, new Set())].some((item) => !known.has(item));
}

function verdictsOf(cases, results) {
  return new Map(cases.map((one, index) => [one.id, judge(one, results[index])]));
}

async function peerRows(cases, log) {
  const { peers } = await import("../lib/merge-peers.mjs");
  const rows = {};
  for (const [name, merge] of Object.entries(peers)) {
    const results = cases.map(({ base, ours, theirs }) => {
      try {
        return { merged: JSON.parse(JSON.stringify(merge(base, ours, theirs))), waiting: false };
      } catch {
        return { merged: undefined, waiting: true }; // a patch that does not apply is work for a person
      }
    });
    const verdicts = verdictsOf(cases, results);
    rows[name] = Object.fromEntries(
      [0, 1].map((contended) => [
        contended ? "contended" : "disjoint",
        rates(
          tally(
            cases.filter((one) => one.contended > 0 === (contended === 1)),
            verdicts,
          ),
        ),
      ]),
    );
    log(`${name}: ${JSON.stringify(rows[name])}`);
  }
  return rows;
}

export const claim = {
  name: "merge.real",
  title: "Real merges of JSON files, judged by what the maintainers committed",
  bar: "half B: disjoint 100 / 100 / 0 (auto / right / silently wrong); contended with manual residue, macro: right >= 70 %, wrong <= 4 %; forced, macro: right >= 74 %; re-weighted to the mined mix: auto >= 96 %, wrong <= 0.9 %; sides swapped: equal",
  needs: ["native"],
  async run({ quick, log }) {
    const cases = loadCases();
    if (cases === null) {
      log("SKIPPED (no data)");
      return { ok: null, skipped: "json-merges is not here" };
    }
    const oas = await nativeProgram("oas");
    const asked = { policy: "merge:manual" };
    const out = mergeAll(oas, cases, asked);
    const swapped = mergeAll(oas, cases, { ...asked, flipped: true });
    const same = out.every((result, index) => canonical(result, false) === canonical(swapped[index], false));
    const results = out.map((result) => ({ merged: result.merged, waiting: isWaiting(result) }));
    const verdicts = verdictsOf(cases, results);
    // Forced: nothing waits; what no rule decides goes to the side that wrote later, once the one and once the other.
    const forced = ["ours", "theirs"].map((side) => {
      const decided = mergeAll(oas, cases, { policy: "merge", extra: ["--later", side] });
      return verdictsOf(
        cases,
        decided.map(({ merged }) => ({ merged, waiting: false })),
      );
    });
    const contended = cases.filter((one) => one.contended > 0);
    const figures = {};
    for (const half of ["A", "B"]) {
      const here = cases.filter((one) => one.half === half);
      const disjoint = rates(
        tally(
          here.filter((one) => one.contended === 0),
          verdicts,
        ),
      );
      const inHalf = here.filter((one) => one.contended > 0);
      const micro = rates(tally(inHalf, verdicts));
      const byRepository = macro(contended, inHalf, verdicts);
      const wrong = inHalf.filter((one) => verdicts.get(one.id).wrong);
      const weighted = (name) =>
        Math.round(10 * ((1 - contended_share) * disjoint[name] + contended_share * micro[name])) / 10;
      const forcedRows = forced.map((one) => macro(contended, inHalf, one));
      figures[half] = {
        disjoint,
        contended: micro,
        contendedMacro: byRepository,
        forcedMacro: { laterOurs: forcedRows[0], laterTheirs: forcedRows[1] },
        weighted: { auto: weighted("auto"), right: weighted("right"), wrong: weighted("wrong") },
        wrongWhereThePersonWroteSomethingNew: wrong.filter(nobodyWrote).length,
      };
      log(`half ${half}: ${JSON.stringify(figures[half])}`);
    }
    const residue = {};
    for (const { records } of out) {
      for (const record of records.filter((one) => one.class === "manual")) {
        const name = `${record.kind} ${record.rule}`;
        residue[name] = (residue[name] ?? 0) + 1;
      }
    }
    log(`waits for a person: ${JSON.stringify(residue)}`);
    const all = rates(tally(contended, verdicts));
    log(`both halves, contended: ${JSON.stringify(all)}`);
    const sample = quick ? cases.filter((_, index) => index % 8 === 0) : cases;
    log(`peers, ${sample.length} cases:`);
    const peers = await peerRows(sample, log);
    const { B } = figures;
    const forcedRight = (B.forcedMacro.laterOurs.right + B.forcedMacro.laterTheirs.right) / 2;
    const bars = {
      disjoint: B.disjoint.auto === 100 && B.disjoint.right === 100 && B.disjoint.wrong === 0,
      right: B.contendedMacro.right >= 70,
      wrong: B.contendedMacro.wrong <= 4,
      forced: forcedRight >= 74,
      weightedAuto: B.weighted.auto >= 96,
      weightedWrong: B.weighted.wrong <= 0.9,
      swapped: same,
    };
    log(`bars: ${JSON.stringify(bars)}`);
    return {
      ok: Object.values(bars).every(Boolean),
      scope: `${cases.length} merges (noisy oracles left out), ${contended.length} contended; rules were sought on half A. Two-parent merges in which both sides touched one JSON file over-represent package.json and lists; squash merges are invisible`,
      figures: { ...figures, contended: all, residue, bars, peers },
    };
  },
};
