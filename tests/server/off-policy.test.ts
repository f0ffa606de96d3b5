/** Off-policy reports: the estimator against a known truth, and the report over stored events on every database. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import { createModels } from "../../js-glue/models/client.ts";
import { readDecisions } from "../../js-glue/server/models/decision-log.ts";
import { OffPolicy, type PolicyEstimate } from "../../js-glue/server/models/off-policy.ts";
import { databaseKinds } from "./databases.ts";
import { type Mark, START, segment, type TestEvent } from "./frames.ts";
import { TestServer } from "./harness.ts";
import { Random } from "./supply-faults.ts";

const ACTIONS = ["news", "games", "music"];
/** The chance of a reward, by context and action. */
const TRUTH = [
  [0.7, 0.2, 0.4],
  [0.1, 0.6, 0.4],
] as const;
const EXPLORE = 0.3;
const mean = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0) / list.length;
const alwaysTruth = ACTIONS.map((_, action) => mean(TRUTH.map((row) => row[action] ?? 0)));
// The log takes the best action of each context, but explores.
const loggingTruth = 0.7 * mean([0.7, 0.6]) + EXPLORE * mean(alwaysTruth);

const uniform = (random: Random): number => random.below(1 << 30) / (1 << 30);

interface Logged {
  readonly action: number;
  readonly propensity: number;
  readonly reward: number;
}

function decide(random: Random): Logged {
  const context = random.below(2) as 0 | 1;
  const best = context === 0 ? 0 : 1;
  const action = uniform(random) < EXPLORE ? random.below(ACTIONS.length) : best;
  const propensity = EXPLORE / ACTIONS.length + (action === best ? 1 - EXPLORE : 0);
  return { action, propensity, reward: uniform(random) < (TRUTH[context][action] ?? 0) ? 1 : 0 };
}

const policyOf = (policies: readonly PolicyEstimate[], policy: string, action?: string): PolicyEstimate =>
  policies.find((one) => one.policy === policy && (action === undefined || one.actions[0] === action)) ??
  assert.fail(`no estimate for ${policy} ${action}`);

const within = (estimate: { low: number; high: number } | null, truth: number): boolean =>
  estimate !== null && estimate.low <= truth && truth <= estimate.high;

describe("the estimator on a simulated log with known truth", () => {
  const random = new Random(11);
  const runs = Array.from({ length: 600 }, () => {
    const policy = new OffPolicy({ clip: 4, actionsMax: 10 });
    const actions = policy.placesOf(ACTIONS) ?? assert.fail();
    for (let i = 0; i < 2_000; i++) policy.add(i % 2 === 0 ? 0 : 1, { actions, ...decide(random) });
    return { logging: policy.logging(), policies: policy.policies() };
  });
  /** Bias in standard errors of the mean over all runs, and how often the interval holds the truth. */
  const judge = (
    truth: number,
    read: (run: (typeof runs)[number]) => { value: number; low: number; high: number } | null,
  ) => {
    const found = runs.map((run) => read(run) ?? assert.fail("no estimate"));
    const values = found.map(({ value }) => value);
    const middle = mean(values);
    const deviation = Math.sqrt(mean(values.map((value) => (value - middle) ** 2)) / values.length);
    return {
      bias: middle - truth,
      inErrors: (middle - truth) / deviation,
      cover: mean(found.map((one) => +within(one, truth))),
    };
  };

  test("is unbiased for every policy, and its intervals hold the truth as often as they say", () => {
    const cases = [
      ["logging", loggingTruth, judge(loggingTruth, (run) => run.logging)],
      ["uniform", mean(alwaysTruth), judge(mean(alwaysTruth), ({ policies }) => policyOf(policies, "uniform").ips)],
      ...ACTIONS.map((name, i) => {
        const truth = alwaysTruth[i] ?? 0;
        return [name, truth, judge(truth, ({ policies }) => policyOf(policies, "always", name).ips)] as const;
      }),
    ] as const;
    for (const [name, truth, { inErrors, cover }] of cases) {
      assert.ok(Math.abs(inErrors) < 3.5, `${name}, truth ${truth}: ${inErrors} standard errors away`);
      assert.ok(cover > 0.91 && cover < 0.985, `${name}: ${cover} of the intervals hold the truth`);
    }
  });

  test("self-normalised is nearly unbiased and narrower; clipped is too low, never too high", () => {
    for (const [i, name] of ACTIONS.entries()) {
      const truth = alwaysTruth[i] ?? 0;
      const ratio = judge(truth, ({ policies }) => policyOf(policies, "always", name).selfNormalised);
      assert.ok(Math.abs(ratio.bias) < 0.01 && ratio.cover > 0.9, `${name}: ${JSON.stringify(ratio)}`);
      const clipped = judge(truth, ({ policies }) => policyOf(policies, "always", name).clipped);
      assert.ok(clipped.bias < 0.005, `${name}: ${JSON.stringify(clipped)}`);
    }
    // Weights of 10 are cut at 4, so what is rarely explored is judged too low, as it says.
    assert.ok(judge(0.4, ({ policies }) => policyOf(policies, "always", "music").clipped).bias < -0.1);
    for (const { policies } of runs)
      for (const { meanWeight, effectiveN, n } of policies) {
        assert.ok(effectiveN <= n + 1e-9 && effectiveN > 0);
        assert.ok(Math.abs(meanWeight - 1) < 0.5);
      }
  });

  test("whatever was chosen for its luck is judged by others: where all are equal, the best is not praised", () => {
    const luck = new Random(5);
    const names = Array.from({ length: 10 }, (_, i) => `a${i}`);
    const values = Array.from({ length: 300 }, () => {
      const policy = new OffPolicy({ clip: 100, actionsMax: 10 });
      const actions = policy.placesOf(names) ?? assert.fail();
      for (let i = 0; i < 200; i++) {
        const reward = uniform(luck) < 0.5 ? 1 : 0;
        policy.add(i % 2 === 0 ? 0 : 1, { actions, action: luck.below(10), propensity: 0.1, reward });
      }
      return policyOf(policy.policies(), "most-rewarded").ips?.value ?? 0;
    });
    assert.ok(Math.abs(mean(values) - 0.5) < 0.03, `${mean(values)}`); // judged by itself it would be about .65
  });

  test("what the log never did has no estimate, and a table that is full says so", () => {
    const policy = new OffPolicy({ clip: 10, actionsMax: 2 });
    const actions = policy.placesOf(["a", "b"]) ?? assert.fail();
    assert.equal(policy.placesOf(["a", "c"]), undefined);
    policy.add(0, { actions, action: 0, propensity: 1, reward: 1 });
    const never = policyOf(policy.policies(), "always", "b");
    assert.deepEqual([never.n, never.effectiveN, never.ips, never.selfNormalised], [1, 0, null, null]);
    const chosen = new OffPolicy({ clip: 10, actionsMax: 2, actions: ["a"] });
    assert.equal(chosen.placesOf(["b"]), undefined);
    assert.deepEqual(chosen.placesOf(["a"]), Uint8Array.of(0));
  });
});

interface Report {
  readonly complete: boolean;
  readonly devices: number;
  readonly decisions: number;
  readonly matched: number;
  readonly leftOut: Readonly<Record<string, number>>;
  readonly badFeedback: number;
  readonly logging: { value: number; low: number; high: number } | null;
  readonly policies: readonly PolicyEstimate[];
}

const NOTHING = { malformed: 0, propensity: 0, noFeedback: 0, repeated: 0, aboveLimits: 0 };
const event = (name: string, data: object | string): TestEvent => ({
  type: `personalization.${name}`,
  module: "personalization",
  json: typeof data === "string" ? data : JSON.stringify(data),
});
const hex = (n: number): string => n.toString(16).padStart(16, "0");

for (const kind of databaseKinds) {
  describe(`off-policy report, ${kind.name}`, { skip: kind.skip ?? false }, () => {
    const withServer = async (work: (server: TestServer) => Promise<void>): Promise<void> => {
      const server = await TestServer.start(kind);
      try {
        await work(server);
      } finally {
        await server.end();
      }
    };
    const send = async (client: Awaited<ReturnType<TestServer["client"]>>, events: readonly TestEvent[]) => {
      let mark: Mark = START;
      for (let at = 0; at < events.length; at += 200) {
        const one = segment(3n, 3, mark, events.slice(at, at + 200));
        await client.sync({ items: [one], stored: [{ epoch: 3n, lane: 3, ...mark }] });
        mark = one.after;
      }
    };
    const reportOf = async (server: TestServer, query = "", tenant = "acme"): Promise<Report> => {
      const root = await server.client(tenant, "root", ["admin"]);
      const response = await root.json("GET", `/models/personalize/report${query}`);
      assert.equal(response.status, 200, await response.clone().text());
      return (await response.json()) as Report;
    };

    test("finds the truth of a simulated log within its intervals, per tenant, and without whoever was erased", () =>
      withServer(async (server) => {
        const random = new Random(23);
        const people = ["ann", "bob", "eve", "kim"];
        for (const person of people) {
          const events = Array.from({ length: 300 }, (_, i) => {
            const { action, propensity, reward } = decide(random);
            const decision = event("decision", { id: hex(i), action: ACTIONS[action], propensity, actions: ACTIONS });
            // Feedback comes before its decision, too: another tab may send it first.
            const pair = [decision, event("feedback", { id: hex(i), reward })];
            return i % 5 === 0 ? pair.reverse() : pair;
          }).flat();
          await send(await server.client("acme", person), events);
        }
        const report = await reportOf(server);
        assert.deepEqual(
          [report.complete, report.devices, report.decisions, report.matched, report.leftOut],
          [true, 4, 1_200, 1_200, NOTHING],
        );
        assert.ok(within(report.logging, loggingTruth), JSON.stringify(report.logging));
        assert.ok(within(policyOf(report.policies, "uniform").ips, mean(alwaysTruth)));
        for (const [i, name] of ACTIONS.entries()) {
          const found = policyOf(report.policies, "always", name);
          for (const one of [found.ips, found.selfNormalised])
            assert.ok(within(one, alwaysTruth[i] ?? 0), `${name}: ${JSON.stringify(found)}`);
        }
        assert.equal((await reportOf(server, "", "other")).decisions, 0);
        assert.equal((await (await server.client()).json("GET", "/models/personalize/report")).status, 403);

        const gone = await server.client("acme", "eve");
        assert.equal((await gone.json("POST", "/privacy/erase", { confirm: "erase" })).status, 202);
        await server.sync.maintenance.tick();
        const after = await reportOf(server);
        assert.deepEqual([after.devices, after.decisions, after.matched], [3, 900, 900]);
      }));

    test("what a device makes up is left out by reason; windows and limits hold", () =>
      withServer(async (server) => {
        const good = { action: "a", propensity: 0.5, actions: ["a", "b"] };
        const bad: readonly TestEvent[] = [
          event("decision", "no JSON"),
          event("decision", "null"),
          event("decision", { ...good, id: "1" }),
          event("decision", { ...good, id: hex(1), action: "c" }),
          event("decision", { ...good, id: hex(1), actions: ["a", "a"] }),
          event("decision", { ...good, id: hex(1), propensity: "0.5" }),
          event("feedback", { id: hex(9), reward: 1.5 }),
          event("feedback", { id: hex(9), reward: null }),
        ];
        await send(await server.client(), [
          ...bad,
          ...[0, -0.5, 1.01, 1e-300].map((propensity, i) =>
            event("decision", { ...good, id: hex(20 + i), propensity }),
          ),
          event("decision", { ...good, id: hex(30) }),
          event("decision", { ...good, id: hex(30), action: "b" }),
          event("feedback", { id: hex(30), reward: 1 }),
          event("feedback", { id: hex(30), reward: 0 }),
          event("feedback", { id: hex(31), reward: 0 }), // nobody decided this
          event("decision", { ...good, id: hex(32) }),
          event("decision", {
            ...good,
            id: hex(33),
            actions: ["a", ...Array.from({ length: 100 }, (_, i) => `x${i}`)],
          }),
        ]);
        const report = await reportOf(server);
        // Text that is no JSON never becomes a stored event.
        const expected = { malformed: 5, propensity: 4, noFeedback: 1, repeated: 1, aboveLimits: 1 };
        assert.deepEqual([report.matched, report.leftOut, report.badFeedback], [1, expected, 3]);
        assert.equal(report.decisions, 1 + 5 + 4 + 1 + 1 + 1);
        assert.equal(report.logging?.value, 1);

        // One device has its say, and no more than that.
        const loud = await server.client("loud");
        const many = Array.from({ length: 2_100 }, (_, i) => [
          event("decision", { ...good, id: hex(i) }),
          event("feedback", { id: hex(i), reward: 1 }),
        ]);
        await send(loud, many.flat());
        const said = await reportOf(server, "", "loud");
        assert.deepEqual(
          [said.decisions, said.matched, said.leftOut, said.badFeedback],
          [2_100, 2_000, { ...NOTHING, aboveLimits: 100 }, 0],
        );

        const late = await server.client();
        server.clock.now += 10_000;
        await send(late, [event("decision", { ...good, id: hex(1) }), event("feedback", { id: hex(1), reward: 0 })]);
        const { now } = server.clock;
        server.clock.now += 10_000;
        assert.equal((await reportOf(server, `?from=${now - 1}`)).matched, 1);
        assert.equal((await reportOf(server, `?from=${now - 20_000}&to=${now}`)).matched, 1);
        assert.equal((await reportOf(server)).matched, 2);
        assert.equal((await reportOf(server, `?actions=${encodeURIComponent('["z"]')}`)).matched, 0);
        const root = await server.client("acme", "root", ["admin"]);
        for (const query of ["from=5&to=5", "from=0", "clip=0", "actions=x", "actions=[]", "from=x"])
          assert.equal((await root.json("GET", `/models/personalize/report?${query}`)).status, 400, query);

        const policy = new OffPolicy({ clip: 10, actionsMax: 100 });
        const cut = await readDecisions(server.sync.store, "acme", { from: 0, to: now + 1 }, policy, 1);
        assert.equal(cut.complete, false);
        assert.equal(cut.devices, 1);
      }));

    test("takes what the package's own client logs", () =>
      withServer(async (server) => {
        const queued: TestEvent[] = [];
        const engine = {
          inspect: () => ({ database: "oas:shop" }),
          queueEvent: ({ eventType, eventData }: { eventType: string; eventData: unknown }) =>
            Promise.resolve(queued.push({ type: eventType, json: JSON.stringify(eventData) })),
        };
        const kernels = new Uint8Array(readFileSync(`${process.env["OAS_ROOT"] ?? "."}/dist/infer.wasm`));
        const options = { store: new MemoryStore(), kernelBinary: kernels, explore: 0.4, logDecisions: true };
        const models = createModels(engine, options);
        for (let i = 0; i < 40; i++) {
          const decision = await models.personalize({ hour: i % 2 }, ["news", "games"]);
          if (i < 30) await models.feedback(decision, decision.action === "news" ? 1 : 0);
        }
        await models.models.close();
        await send(await server.client(), queued);
        const report = await reportOf(server);
        assert.deepEqual([report.matched, report.leftOut], [30, { ...NOTHING, noFeedback: 10 }]);
        assert.ok(policyOf(report.policies, "uniform").effectiveN > 0);
      }));
  });
}
