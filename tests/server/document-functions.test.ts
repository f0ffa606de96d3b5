/** Merge functions of the application: asked at the server, told to everybody, and no answer is a question for a person. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { DocumentsCore } from "../../js-glue/core/documents-core.ts";
import type { MergeFunction } from "../../js-glue/server/documents/functions.ts";
import { databaseKinds } from "./databases.ts";
import { Device, documentsCore } from "./document-device.ts";
import { TestServer } from "./harness.ts";

const sum: MergeFunction = ({ base, siblings }) =>
  (siblings as readonly number[]).reduce((total, value) => total + value - (base as number), base as number);

const NO_ANSWER: Readonly<Record<string, MergeFunction>> = {
  throws: () => {
    throw new Error("not today");
  },
  endless: ({ siblings }) => {
    for (;;) if (siblings[0] === siblings) return 1;
  },
  nothing: () => undefined,
  later: () => Promise.resolve(1),
  large: () => "x".repeat(200_000),
  sly: ({ siblings }) => {
    (siblings as unknown[])[0] = 9;
    return 9;
  },
};

for (const kind of databaseKinds) {
  describe(`merge functions, ${kind.name}`, { skip: kind.skip }, () => {
    let server: TestServer;
    let core: DocumentsCore;
    before(async () => {
      server = await TestServer.start(kind);
      core = await documentsCore();
      server.sync.collection("score", {
        functions: { sum, ...NO_ANSWER },
        validators: { "below a thousand": (value) => ((value as { n?: number }).n ?? 0) < 1_000 },
      });
    });
    after(() => server.end());

    /** Two devices that change `n` of one document, from 10 to these values, without knowing of each other. */
    async function contest(principal: string, words: string, values: readonly [unknown, unknown]) {
      const device = async () => new Device(await server.client("acme", principal), "~", core);
      const devices = [await device(), await device()] as const;
      const [one] = devices;
      const schema = { "/n": words };
      one.put("$schema/score", schema);
      one.put("score/1", { n: 10, note: "" });
      await one.push();
      for (const each of devices) {
        each.rules = core.rules(JSON.stringify(schema));
        await each.pull();
      }
      for (const [i, each] of devices.entries()) each.put("score/1", { n: values[i], note: "" });
      for (const each of devices) await each.push();
      for (const each of devices) await each.pull();
      const late = new Device(one.client, "~", core);
      late.rules = one.rules;
      await late.snapshot();
      for (const each of devices) assert.equal(each.state("score/1"), late.state("score/1"));
      return { one, late };
    }

    test("the answer is a change that everybody has, and says whose it is", async () => {
      const { one, late } = await contest("f-1", "fn:sum", [13, 15]);
      assert.deepEqual(late.show("score/1"), { n: 18, note: "" });
      assert.deepEqual(late.conflicts("score/1"), []);
      const rows = await server.query(
        "SELECT class, resolver, resolved_at FROM conflict_resolution_log WHERE space_id = '~f-1'",
      );
      assert.deepEqual(
        rows.map((row) => [row["class"], row["resolver"], row["resolved_at"] !== null]),
        [["failed", "fn:sum", true]],
      );
      // It goes on from there, and can be changed like anything else.
      one.put("score/1", { n: 1, note: "mine" });
      await one.push();
      await one.pull();
      assert.deepEqual(one.show("score/1"), { n: 1, note: "mine" });
    });

    test("no answer, no such function, or one that breaks a rule: the agreed value, until a person decides", async () => {
      for (const [i, name] of [...Object.keys(NO_ANSWER), "unknown", "constructor"].entries()) {
        const { late } = await contest(`f-2-${i}`, `fn:${name}`, [13, 15]);
        assert.deepEqual(late.show("score/1"), { n: 10, note: "" }, name);
        assert.deepEqual(
          late.conflicts("score/1").map((record) => record.class),
          ["failed"],
          name,
        );
      }
      const { late } = await contest("f-3", "fn:sum", [600, 700]);
      assert.deepEqual(late.show("score/1"), { n: 10, note: "" });
      assert.equal(late.conflicts("score/1").length, 1);
    });

    test("names that are none are refused", () => {
      const functions = { "a b": () => 1 };
      assert.throws(() => server.sync.collection("bad", { functions }), { code: "invalid_argument" });
    });
  });
}
