/** Documents at the server: edits as events, the change order, replicas that agree to the byte, and who may see what. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { DocumentsCore } from "../../js-glue/core/documents-core.ts";
import { errorInfo } from "../../js-glue/core/error-codes.ts";
import { numberOf } from "../../js-glue/core/errors.ts";
import { Reject } from "../../js-glue/server/handlers.ts";
import { Kind } from "../../js-glue/server/session.ts";
import { databaseKinds } from "./databases.ts";
import { Device, documentsCore } from "./document-device.ts";
import type { Reply } from "./frames.ts";
import { TestServer } from "./harness.ts";
import { Listener } from "./stream-listener.ts";

const codesOf = (reply: Reply): readonly string[] =>
  reply.streams.flatMap(({ verdicts }) => verdicts.map(({ code }) => String(errorInfo(code)?.code)));

interface Documents {
  readonly items: readonly { readonly id: string; readonly value: unknown; readonly digest: string }[];
}

for (const kind of databaseKinds) {
  describe(`documents, ${kind.name}`, { skip: kind.skip }, () => {
    let server: TestServer;
    let core: DocumentsCore;
    before(async () => {
      server = await TestServer.start(kind);
      core = await documentsCore();
      server.sync.collection("account", {
        validate: (value) => {
          if ((value as { balance?: number }).balance === 13) throw new Error("an unlucky number");
          if ((value as { balance?: number }).balance === 14) throw new Reject("forbidden");
        },
      });
    });
    after(() => server.end());

    const device = async (principal: string, space = "~"): Promise<Device> =>
      new Device(await server.client("acme", principal), space, core);
    const shared = async (id: string, owner: Device, members: Readonly<Record<string, string>>): Promise<void> => {
      assert.equal((await owner.client.json("POST", "/spaces", { spaceId: id })).status, 201);
      for (const [principal, role] of Object.entries(members)) {
        const path = `/spaces/${id}/members/${principal}`;
        assert.equal((await owner.client.json("PUT", path, { role })).status, 200);
      }
    };
    const documents = async (from: Device, query = ""): Promise<Documents["items"]> => {
      const response = await from.get(`/spaces/${from.space}/documents${query}`);
      assert.equal(response.status, 200);
      return ((await response.json()) as Documents).items;
    };

    test("an edit is an event: record, change, and the value for anybody", async () => {
      const ann = await device("ann-1");
      assert.deepEqual((await ann.page()).changes, []);
      ann.put("note/1", { title: "milk", tags: ["a"] });
      assert.deepEqual(codesOf(await ann.push()), []);
      assert.equal(ann.pending("note/1"), 1);
      const { changes } = await ann.page();
      assert.deepEqual(
        changes.map(({ n, key, from }) => ({ n, key, from })),
        [{ n: 1, key: "note/1", from: ann.client.deviceId }],
      );
      assert.equal(await ann.pull(), 1);
      assert.equal(ann.pending("note/1"), 0);
      const [item] = await documents(ann, "?collection=note");
      assert.deepEqual(item?.value, { title: "milk", tags: ["a"] });
      assert.equal(item?.digest, ann.digest("note/1"));
      assert.deepEqual(await documents(ann, "?collection=not"), []);
    });

    test("two devices of one person, every order, doubles and an offline spell", async () => {
      const one = await device("ann-2");
      const two = await device("ann-2");
      one.put("list/1", { items: ["bread"], n: 1 });
      await one.push();
      await two.pull();
      one.put("list/1", { items: ["bread", "milk"], n: 1 });
      two.put("list/1", { items: ["bread", "eggs"], n: 2 });
      two.put("list/2", { other: true });
      const event = two.outbox[0]!;
      await two.push();
      await one.push();
      await two.push([event]); // another number, the same dots
      await two.pull(1);
      assert.equal(await one.pull(), 4);
      one.take((await new Device(one.client, "~", core).page()).changes); // all of it once more
      for (const key of ["list/1", "list/2"]) assert.equal(one.state(key), two.state(key));
      const { items, n } = one.show("list/1") as { items: readonly string[]; n: number };
      assert.deepEqual([items[0], [...items].sort(), n], ["bread", ["bread", "eggs", "milk"], 2]);
      two.put("list/2", undefined);
      await two.push();
      await one.pull();
      assert.equal(one.show("list/2"), undefined);
      assert.equal((await documents(one)).length, 1);
    });

    test("a late joiner takes a snapshot and ends with the same bytes", async () => {
      const one = await device("ann-3");
      for (let i = 0; i < 7; i++) one.put(`note/${i}`, { i });
      one.put("note/3", { i: 33 });
      await one.push();
      const late = await device("ann-3");
      await late.snapshot(3);
      one.put("note/5", { i: 55 });
      await one.push();
      await one.pull();
      assert.equal(await late.pull(), 1);
      for (let i = 0; i < 7; i++) assert.equal(late.digest(`note/${i}`), one.digest(`note/${i}`));
      assert.equal(late.state("note/5"), one.state("note/5"));
    });

    test("a page holds what was asked for, and a waiting one ends with the next change", async () => {
      const one = await device("ann-4");
      for (let i = 0; i < 5; i++) one.put(`note/${i}`, { i });
      await one.push();
      const page = await one.page("&limit=2");
      assert.equal(page.changes.length, 2);
      assert.equal(page.more, true);
      await one.pull();
      const waiting = one.page("&wait=20000");
      one.put("note/9", {});
      await new Promise((resolve) => setTimeout(resolve, 50));
      await one.push();
      assert.equal((await waiting).changes.length, 1);
      const empty = await device("ann-4b");
      const start = performance.now();
      assert.deepEqual((await empty.page("&wait=100")).changes, []);
      assert.ok(performance.now() - start >= 90);
    });

    test("a refused edit is void: everybody moves on without it", async () => {
      const one = await device("ann-5");
      one.put("account/1", { name: "a", balance: 1 });
      one.put("account/1", { name: "a", balance: 13 });
      one.put("account/1", { name: "a", balance: 14 });
      one.put("account/1", { name: "a", balance: 2 });
      assert.deepEqual(codesOf(await one.push()), ["invalid_document", "forbidden"]);
      assert.equal(await one.pull(), 4);
      assert.equal(one.pending("account/1"), 0);
      const two = await device("ann-5");
      await two.pull();
      assert.deepEqual(two.show("account/1"), { name: "a", balance: 2 });
      const late = await device("ann-5");
      await late.snapshot();
      for (const replica of [one, two]) assert.equal(replica.state("account/1"), late.state("account/1"));
      assert.deepEqual(codesOf(await one.push([one.event("account/1", Uint8Array.of(1, 2, 3))])).length, 1);
      assert.equal(await one.pull(), 0);
    });

    test("a shared space is for its members, by their roles; for others it is not there", async () => {
      const ann = await device("ann-7", "team");
      const bob = await device("bob-7", "team");
      const eve = await device("eve-7", "team");
      await shared("team", ann, { "bob-7": "reader" });
      ann.put("plan/1", { a: 1 });
      await ann.push();
      assert.equal(await bob.pull(), 1);
      bob.put("plan/1", { a: 2 });
      assert.deepEqual(codesOf(await bob.push()), ["read_only"]);
      assert.equal((await bob.client.json("PUT", "/spaces/team/members/eve-7", { role: "owner" })).status, 403);
      assert.equal((await ann.client.json("PUT", "/spaces/team/members/bob-7", { role: "writer" })).status, 200);
      bob.put("plan/1", { a: 3 });
      assert.deepEqual(codesOf(await bob.push()), []);
      await ann.pull();
      assert.deepEqual(ann.show("plan/1"), { a: 3 });

      eve.put("plan/1", { a: 666 });
      assert.deepEqual(codesOf(await eve.push()), ["not_a_member"]);
      const answers: string[] = [];
      for (const space of ["team", "nothing"]) {
        for (const path of [
          `/sync/changes?space=${space}`,
          `/sync/snapshot?space=${space}`,
          `/spaces/${space}/documents`,
        ])
          answers.push(await stripped(await eve.get(path)));
        answers.push(await stripped(await eve.client.json("DELETE", `/spaces/${space}/members/eve-7`)));
        const resolve = { space, conflictId: "0".repeat(32), choice: "server" };
        answers.push(await stripped(await eve.client.json("POST", "/conflicts/resolve", resolve)));
      }
      assert.deepEqual(answers.slice(0, 5), answers.slice(5));
      assert.ok(answers.every((answer) => answer.startsWith("404 ")));
      assert.equal((await eve.client.json("POST", "/spaces", { spaceId: "team" })).status, 409);
      for (const named of ["~ann-7", "~eve-7"])
        assert.equal((await eve.get(`/sync/changes?space=${encodeURIComponent(named)}`)).status, 400);
      const ours = (await (await ann.get("/spaces")).json()) as { items: object[] };
      assert.deepEqual(ours.items, [{ spaceId: "team", name: null, role: "owner", head: 2 }]);

      assert.equal((await bob.client.json("DELETE", "/spaces/team/members/bob-7")).status, 204);
      assert.equal((await bob.get(`/sync/changes?space=team&cursor=${bob.cursor}`)).status, 404);
      assert.equal((await ann.client.json("DELETE", "/spaces/team/members/ann-7")).status, 403);
      const stranger = new Device(await server.client("other", "ann-7"), "team", core);
      assert.equal((await stranger.get("/sync/changes?space=team")).status, 404);
    });

    test("members are poked, whoever wrote", async () => {
      const ann = await device("ann-8", "poked");
      const bob = await device("bob-8", "poked");
      await shared("poked", ann, { "bob-8": "writer" });
      const waiting = bob.page("&wait=20000");
      await new Promise((resolve) => setTimeout(resolve, 50));
      ann.put("plan/1", { a: 1 });
      await ann.push();
      assert.equal((await waiting).changes.length, 1);
    });

    test("a poke brings a few small changes, as a page behind the cursor that they follow", async () => {
      const ann = await device("ann-20", "news");
      const bob = await device("bob-20", "news");
      await shared("news", ann, { "bob-20": "reader" });
      const stranger = await device("cat-20");
      const [his, hers] = [await Listener.open(bob.client), await Listener.open(stranger.client)];
      const told = async (count: number): Promise<object> => {
        await his.until(count);
        return JSON.parse(his.news[count - 1] ?? "") as object;
      };
      const before = (await bob.page()).cursor;
      ann.put("plan/1", { a: 1 });
      ann.put("plan/2", { b: 1 });
      await ann.push();
      assert.deepEqual(await told(2), { ...(await bob.page(`&cursor=${before}`)), after: before });
      // Read anew after the commit: a refused edit says that its numbers are void.
      const then = (await bob.page()).cursor;
      ann.put("account/1", { balance: 14 });
      assert.deepEqual(codesOf(await ann.push()), ["forbidden"]);
      assert.deepEqual(await told(3), { ...(await bob.page(`&cursor=${then}`)), after: then });
      // Large ones, and many, are pulled.
      ann.put("plan/1", { a: "large".repeat(2_000) });
      await ann.push();
      assert.deepEqual(await told(4), {});
      for (let i = 0; i < 21; i++) ann.put(`plan/${i}`, { i });
      await ann.push();
      assert.deepEqual(await told(5), {});
      assert.deepEqual(hers.news, ["{}"]);
      assert.match(await server.sync.metrics.text(), /oas_pokes_total\{from="local",brought="changes"\} 2\n/);
      await Promise.all([his.close(), hers.close()]);
    });

    test("whose key was revoked is told nothing any more by a stream that is still open", async () => {
      const ann = await device("ann-21");
      const lost = await device("ann-21");
      const stream = await Listener.open(lost.client);
      for (const held of [true, false]) {
        if (!held)
          await server.execute(`UPDATE api_key SET revoked_at = 1 WHERE prefix = '${lost.client.key.slice(4, 16)}'`);
        server.clock.now += 20_000;
        const count = stream.news.length + 1;
        ann.put("note/1", { held });
        await ann.push();
        await stream.until(count);
        assert.equal(stream.news[count - 1] === "{}", !held);
      }
      assert.equal((await lost.get("/sync/changes?space=~")).status, 401);
      await stream.close();
    });

    test("a conflict is listed, explained, settled once, and gone everywhere", async () => {
      const ann = await device("ann-9", "c9");
      const bob = await device("bob-9", "c9");
      await shared("c9", ann, { "bob-9": "writer" });
      ann.put("$schema/plan", { "/state": "manual" });
      ann.put("plan/1", { state: "draft" });
      await ann.push();
      const rules = core.rules(JSON.stringify({ "/state": "manual" }));
      for (const one of [ann, bob]) {
        one.rules = rules;
        await one.pull();
      }
      ann.put("plan/1", { state: "open" });
      bob.put("plan/1", { state: "closed" });
      await ann.push();
      await bob.push();
      await Promise.all([ann.pull(), bob.pull()]);
      assert.deepEqual(ann.show("plan/1"), { state: "draft" });
      const list = async (query = "") =>
        (await (await bob.get(`/conflicts/${bob.client.deviceId}${query}`)).json()) as {
          items: { conflictId: string; class: string; record: { id: string; siblings: object[] } }[];
          nextCursor: string | null;
        };
      const { items } = await list("?limit=1");
      assert.equal(items.length, 1);
      const [{ conflictId, class: name, record }] = items as [(typeof items)[0]];
      assert.deepEqual([name, record.id, record.siblings.length], ["manual", conflictId, 2]);
      assert.deepEqual(JSON.parse(ann.conflicts("plan/1")[0]?.json ?? ""), record);
      assert.equal((await ann.get(`/conflicts/item/${conflictId}?space=c9`)).status, 200);
      assert.equal((await ann.get(`/conflicts/item/${conflictId}?space=~`)).status, 404);
      assert.equal((await ann.get(`/conflicts/${bob.client.deviceId}`)).status, 404);

      const settle = { space: "c9", conflictId, choice: "server" };
      assert.equal((await bob.client.json("POST", "/conflicts/resolve", { ...settle, value: 1 })).status, 400);
      assert.equal((await bob.client.json("POST", "/conflicts/resolve", settle)).status, 200);
      assert.equal((await bob.client.json("POST", "/conflicts/resolve", settle)).status, 409);
      await Promise.all([ann.pull(), bob.pull()]);
      assert.deepEqual(ann.show("plan/1"), { state: "open" });
      assert.equal(ann.state("plan/1"), bob.state("plan/1"));
      assert.deepEqual((await list()).items, []);
      assert.equal((await list("?all=1")).items.length, 1);
      assert.deepEqual(
        (await documents(ann, "?collection=plan")).map(({ value }) => value),
        [{ state: "open" }],
      );
      const root = await server.client("acme", "root", ["admin"]);
      const overview = (await (await root.json("GET", "/status/overview")).json()) as {
        conflicts: { total: number; byClass: Record<string, number> };
      };
      assert.equal(overview.conflicts.byClass["manual"], 1);
    });

    test("a conflict is settled with the caller's digits, and an edit's own come back as they were", async () => {
      const large = ["9007199254740993", "9007199254740995", "12345678901234567"];
      for (const choice of ["server", "local", "value"] as const) {
        const space = `digits-${choice}`;
        const ann = await device("ann-digits", space);
        const bob = await device("bob-digits", space);
        await shared(space, ann, { "bob-digits": "writer" });
        ann.put("$schema/plan", { "/n": "manual" });
        ann.put("plan/1", { n: 0 });
        await ann.push();
        for (const one of [ann, bob]) {
          one.rules = core.rules(JSON.stringify({ "/n": "manual" }));
          await one.pull();
        }
        for (const [i, one] of [ann, bob].entries()) one.putText("plan/1", `{"n":${large[i]}}`);
        await ann.push();
        await bob.push();
        const list = (await (await bob.get(`/conflicts/${bob.client.deviceId}`)).json()) as {
          items: { conflictId: string; space: string }[];
        };
        const conflictId = list.items.find((item) => item.space === space)?.conflictId;
        const value = choice === "value" ? `,"value":${large[2]}` : "";
        const answer = await fetch(`${bob.client.url}/conflicts/resolve`, {
          method: "POST",
          headers: { authorization: `Bearer ${bob.client.key}`, "content-type": "application/json" },
          body: `{"space":"${space}","conflictId":"${conflictId}","choice":"${choice}"${value}}`,
        });
        assert.equal(answer.status, 200, await answer.clone().text());
        await ann.pull();
        const chosen = { server: large[0], local: large[1], value: large[2] }[choice];
        assert.equal(ann.showText("plan/1"), `{"n":${chosen}}`);
      }
    });

    test("edits, pulls, conflicts and cursors are seen by operators", async () => {
      const figures = async (): Promise<Map<string, number>> => {
        const lines = (await server.sync.metrics.text())
          .split("\n")
          .filter((line) => /^oas_(document|conflicts)/.test(line));
        return new Map(lines.map((line) => [line.split(" ")[0] ?? "", Number(line.split(" ")[1])]));
      };
      const before = await figures();
      const ann = await device("ann-seen", "seen");
      const bob = await device("bob-seen", "seen");
      await shared("seen", ann, { "bob-seen": "writer" });
      ann.put("$schema/plan", { "/state": "manual" });
      ann.put("plan/1", { state: "draft" });
      await ann.push();
      for (const one of [ann, bob]) {
        one.rules = core.rules(JSON.stringify({ "/state": "manual" }));
        await one.pull();
      }
      ann.put("plan/1", { state: "open" });
      bob.put("plan/1", { state: "closed" });
      ann.put("account/1", { balance: 13 });
      await ann.push();
      await bob.push();
      assert.equal(await bob.pull(), 3);
      assert.equal(await bob.pull(), 0);
      await new Device(ann.client, "seen", core).snapshot();
      const after = await figures();
      const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
      assert.equal(grown('oas_document_edits_total{verdict="applied"}'), 4);
      assert.equal(grown('oas_document_edits_total{verdict="rejected"}'), 1);
      assert.equal(grown('oas_conflicts_total{class="manual"}'), 1);
      assert.equal(grown('oas_document_pulls_total{result="changes"}'), 3);
      assert.equal(grown('oas_document_pulls_total{result="nothing"}'), 1);
      assert.equal(grown('oas_document_pulls_total{result="snapshot"}'), 1);
      assert.equal(grown("oas_document_changes_sent_total"), 7);

      const status = (await (await bob.get(`/device/${bob.client.deviceId}/status`)).json()) as { spaces: object[] };
      const [{ seenAt, ...cursor }] = status.spaces as [{ seenAt: number }];
      assert.deepEqual(cursor, { space: "seen", stored: 5, head: 5, behind: 0 });
      assert.equal(seenAt, server.clock.now);
    });

    test("a fold leaves every replica with the same bytes, and old cursors start again", async () => {
      const one = await device("ann-10");
      const two = await device("ann-10");
      for (let i = 0; i < 70; i++) one.put("count/1", { i, same: "x" });
      await one.push();
      await Promise.all([one.pull(), two.pull()]);
      await Promise.all([one.pull(), two.pull()]); // says that the pages are stored
      server.clock.now += 25 * 3_600_000;
      await server.sync.maintenance.cleanUp("acme", false);
      assert.equal(await one.pull(), 1);
      assert.equal(await two.pull(), 1);
      assert.equal(one.state("count/1"), two.state("count/1"));
      const late = await device("ann-10");
      await late.snapshot();
      assert.equal(late.state("count/1"), one.state("count/1"));
      assert.deepEqual(late.show("count/1"), { i: 69, same: "x" });
      one.put("count/1", { i: 100, same: "x" });
      await one.push();
      const behind = (await new Device(one.client, "~", core).page("&limit=10")).cursor;
      for (const replica of [one, two, late]) await replica.pull();
      for (const replica of [one, two, late]) await replica.pull();
      assert.equal(late.state("count/1"), one.state("count/1"));
      server.clock.now += 15 * 24 * 3_600_000;
      await server.sync.maintenance.cleanUp("acme", false);
      assert.equal((await one.get("/sync/changes?space=~")).status, 410);
      assert.equal((await one.get(`/sync/changes?space=~&cursor=${behind}`)).status, 410);
      assert.equal(await one.pull(), 0);
    });

    test("an edit older than what is folded is refused by name, and brings nothing back", async () => {
      const one = await device("ann-12");
      const two = await device("ann-12");
      one.put("list/1", { keep: 1, gone: { deep: 1 } });
      await one.push();
      for (const replica of [one, two, one, two]) await replica.pull();
      two.put("list/1", { keep: 1, gone: { deep: 2 } }); // and then two is away for a long time
      one.put("list/1", { keep: 1 });
      for (let i = 0; i < 70; i++) one.put("list/1", { keep: i });
      await one.push();
      await one.pull();
      server.clock.now += 15 * 24 * 3_600_000;
      await one.pull();
      await server.sync.maintenance.cleanUp("acme", false);
      const reply = await two.push();
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ kind: verdict, code }) => [verdict, code]),
        [[Kind.rejected, numberOf("stale_edit")]],
      );
      await one.pull();
      assert.deepEqual(one.show("list/1"), { keep: 69 });
      // Nor is it taken because its device has caught up meanwhile.
      await two.snapshot();
      await two.pull();
      await two.pull();
      const letters = (await (await two.client.json("GET", "/dead-letter")).json()) as { items: { id: string }[] };
      const again = await two.client.json("POST", `/dead-letter/${letters.items[0]?.id}/retry`, {});
      assert.equal(again.status, 409);
      await one.pull();
      assert.deepEqual(one.show("list/1"), { keep: 69 });
      // A device that was there all the time edits on, whether or not it has read of the fold.
      one.put("list/1", { keep: 70 });
      await one.push();
      await one.pull();
      assert.deepEqual(one.show("list/1"), { keep: 70 });
    });

    test("a history that was replaced answers 410", async () => {
      const one = await device("ann-11");
      one.put("note/1", { a: 1 });
      one.put("note/1", { a: 2 });
      await one.push();
      const page = await one.page("&limit=1");
      await one.pull();
      const status = async (cursor: string | undefined) =>
        (await one.get(`/sync/changes?space=~&cursor=${cursor}`)).status;
      assert.equal(await status(page.cursor), 200);
      assert.equal(await status(page.cursor.replace(/.$/, (c) => (c === "a" ? "b" : "a"))), 410);
      assert.equal(await status("nonsense"), 410);
      await server.execute("UPDATE change SET checksum = checksum + 1 WHERE space_id = '~ann-11'");
      assert.equal(await status(page.cursor), 410);
      await server.execute("UPDATE space SET checksum = checksum + 1 WHERE space_id = '~ann-11'");
      const answer = await one.get(`/sync/changes?space=~&cursor=${one.cursor}`);
      assert.equal(answer.status, 410);
      assert.equal(((await answer.json()) as { code: string }).code, "cursor_expired");
    });

    test("a deferred edit is taken later, and its end is said, too", async () => {
      const fresh = await TestServer.start(kind, { triesMax: 2 });
      try {
        let ready = false;
        fresh.sync.on("gate", () => {
          if (!ready) throw new Error("not yet");
        });
        const one = new Device(await fresh.client(), "~", core);
        const edit = { ...one.put("note/1", { a: 1 }), entity: "same" };
        one.outbox.length = 0;
        await one.push([{ type: "gate", entity: "same" }, edit]);
        assert.equal(await one.pull(), 0);
        ready = true;
        const waiting = one.page("&wait=20000");
        await new Promise((resolve) => setTimeout(resolve, 50));
        fresh.clock.now += 5_000;
        await fresh.sync.release();
        assert.equal((await waiting).changes.length, 1);
        assert.equal(await one.pull(), 1);
        assert.throws(() => fresh.sync.on("oas:document", () => undefined), { code: "invalid_argument" });
      } finally {
        await fresh.end();
      }
    });
  });
}

/** Without what is a request's own. */
async function stripped(response: Response): Promise<string> {
  const { traceId, ...rest } = (await response.json()) as { traceId?: string };
  assert.notEqual(traceId, undefined);
  return `${response.status} ${JSON.stringify(rest)}`;
}
