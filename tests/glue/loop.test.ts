// The turn loop around the shipped core: traps, lost connections and failures become inputs, never losses.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../js-glue/browser/platform.ts";
import { failure } from "../../js-glue/core/errors.ts";
import { formatEventId } from "../../js-glue/core/events.ts";
import { Op } from "../../js-glue/core/io.ts";
import { EngineLoop } from "../../js-glue/core/loop.ts";
import { type DeadLetter, pageArgs, readPage } from "../../js-glue/core/pages.ts";
import type { Core, CreateCore, Store } from "../../js-glue/core/ports.ts";
import { CountingRandom, callOf, Listener, noNetwork, realCore, settle, TestStore } from "./helpers.ts";

const create = realCore();

async function running(store: Store, made: CreateCore = create): Promise<{ loop: EngineLoop; listener: Listener }> {
  const listener = new Listener();
  const loop = new EngineLoop(
    { create: made, store, transport: noNetwork, clock: systemClock, random: new CountingRandom() },
    { device: new Uint8Array(16).fill(3), drains: true },
    listener,
  );
  await loop.start(77n, [1, 1, 1, 1, 1]);
  await settle(); // the session has found nothing to send: no transaction of its own is in hand
  return { loop, listener };
}

async function pending(loop: EngineLoop): Promise<readonly DeadLetter[]> {
  const all: DeadLetter[] = [];
  let after: Uint8Array | undefined = new Uint8Array(0);
  while (after) {
    const page = readPage(await loop.command(Op.pending, pageArgs(after, 100)));
    all.push(...page.items);
    after = page.records === 100 ? page.last : undefined;
  }
  return all;
}

const trap = (loop: EngineLoop): Promise<unknown> =>
  loop.command(Op.trap).then(
    () => assert.fail("it answered"),
    (error: unknown) => error,
  );

/** A core that traps on every enqueue whose text holds `poison`. */
function poisoned(inner: CreateCore): CreateCore {
  return async () => {
    const core = await inner();
    let block = new Uint8Array(0);
    const wrapped: Core = {
      input: (bytes) => {
        block = core.input(bytes) as Uint8Array<ArrayBuffer>;
        return block;
      },
      step: (mono, wall) => {
        const text = new TextDecoder().decode(block);
        if (block[0] === 1 && text.includes("poison")) throw new WebAssembly.RuntimeError("unreachable");
        return core.step(mono, wall);
      },
      delete: () => core.delete(),
    };
    return wrapped;
  };
}

describe("EngineLoop", () => {
  test("calls are stored once, in order, with dense numbers", async () => {
    const store = new TestStore();
    const { loop } = await running(store);
    const fates = Array.from({ length: 500 }, (_, n) => callOf({ eventData: { n } }));
    for (const { call } of fates) loop.enqueue([call]);
    await Promise.all(fates.map(({ done }) => done));
    assert.deepEqual(
      fates.map(({ position, answers }) => [position?.seq, answers]),
      fates.map((_, i) => [i + 1, 1]),
    );
    assert.deepEqual(
      (await pending(loop)).map(({ eventData }) => eventData),
      fates.map((_, n) => ({ n })),
    );
    await loop.close();
  });

  test("what the core refuses is answered with its code, the others are stored", async () => {
    const { loop } = await running(new TestStore());
    const bad = callOf({ eventData: 1 });
    const raw = { ...bad.call, text: bad.call.text.replace("1\0", "{broken\0") };
    const good = callOf({ eventData: 2 });
    loop.enqueue([raw, good.call]);
    await Promise.all([bad.done, good.done]);
    assert.equal(bad.error?.code, "invalid_json");
    assert.equal(good.position?.seq, 1);
    await loop.close();
  });

  test("a full disk refuses the calls and their numbers return to use", async () => {
    const store = new TestStore();
    const { loop } = await running(store);
    let full = true;
    store.before = () => {
      if (full) throw failure("storage_quota", "full");
    };
    const refused = callOf({ eventData: 1 });
    loop.enqueue([refused.call]);
    await refused.done;
    full = false;
    const taken = callOf({ eventData: 2 });
    loop.enqueue([taken.call]);
    await taken.done;
    assert.equal(refused.error?.code, "storage_quota");
    assert.equal(taken.position?.seq, 1);
    await loop.close();
  });

  test("an unknown outcome is tried again with the same numbers and never reported early", async () => {
    const store = new TestStore();
    const { loop } = await running(store);
    let lose = true;
    store.behind = () => {
      const lost = lose;
      lose = false;
      if (lost) throw failure("storage_unknown", "the answer was lost");
    };
    const fate = callOf({ eventData: 1 });
    loop.enqueue([fate.call]);
    await settle();
    assert.equal(fate.answers, 0);
    await fate.done;
    assert.equal(fate.position?.seq, 1);
    assert.equal((await pending(loop)).length, 1);
    await loop.close();
  });
});

describe("a trap", () => {
  test("costs the instance, not the calls: those in the transaction in hand are answered, the rest is replayed", async () => {
    for (const written of [true, false]) {
      const store = new TestStore();
      const { loop } = await running(store);
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      let hold = true;
      store.before = async () => {
        if (!hold) return;
        hold = false;
        await held;
        if (!written) throw failure("storage_failed", "rolled back");
      };
      const first = Array.from({ length: 5 }, (_, n) =>
        callOf({ eventData: { n }, priority: n % 2 ? "low" : "normal" }),
      );
      loop.enqueue(first.map(({ call }) => call));
      const second = Array.from({ length: 5 }, (_, n) => callOf({ eventData: { n: n + 5 } }));
      loop.enqueue(second.map(({ call }) => call));
      const rejected = await trap(loop);
      assert.equal((rejected as { code?: string }).code, "internal");
      release();
      await Promise.all([...first, ...second].map(({ done }) => done));
      const items = await pending(loop);
      const numbers = items.map(({ eventData }) => (eventData as { n: number }).n).sort((a, b) => a - b);
      assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], `written: ${written}`);
      for (const { position, answers, error } of [...first, ...second]) {
        assert.equal(error, undefined);
        assert.equal(answers, 1);
        assert.ok(position && items.some(({ id }) => id === formatEventId(position)));
      }
      assert.equal(first[0]?.position?.epoch === 77n, written);
      assert.equal(loop.health.traps, 1);
      await loop.close();
    }
  });

  test("an unknown outcome is settled before anything is replayed", async () => {
    const store = new TestStore();
    const { loop } = await running(store);
    let lose = true;
    store.behind = async () => {
      if (!lose) return;
      lose = false;
      await settle();
      throw failure("storage_unknown", "the answer was lost");
    };
    const fate = callOf({ eventData: 1 });
    loop.enqueue([fate.call]);
    await trap(loop);
    await fate.done;
    assert.equal(fate.position?.epoch, 77n);
    assert.equal((await pending(loop)).length, 1);
    await loop.close();
  });

  test("an outcome that was reported as unknown is still settled before anything is replayed", async () => {
    const store = new TestStore();
    const { loop } = await running(store);
    let lost = 0;
    store.behind = () => {
      if (lost++ === 0) throw failure("storage_unknown", "the answer was lost");
    };
    const fate = callOf({ eventData: 1 });
    loop.enqueue([fate.call]);
    // The instance has been told that it cannot know, and waits to try again, when it traps.
    while (lost === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await trap(loop);
    await fate.done;
    assert.equal(fate.answers, 1);
    assert.deepEqual((await pending(loop)).length, 1);
    await loop.close();
  });

  for (const full of ["before the trap", "after it"])
    test(`a full disk says nothing of an attempt before it whose outcome is unknown, ${full}`, async () => {
      const store = new TestStore();
      const { loop } = await running(store);
      let tries = 0;
      store.before = () => {
        if (++tries === 2) throw failure("storage_quota", "the disk is full");
      };
      store.behind = () => {
        if (tries === 1) throw failure("storage_unknown", "the answer was lost");
      };
      const fate = callOf({ eventData: 1 });
      loop.enqueue([fate.call]);
      while (tries < (full === "after it" ? 1 : 2)) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      await trap(loop);
      await fate.done;
      assert.equal(fate.answers, 1);
      assert.equal(fate.position?.epoch, 77n, "what was stored is not given another number");
      assert.equal((await pending(loop)).length, 1);
      await loop.close();
    });

  test("a call's own records are written with its event, and with no other", async () => {
    const store = new TestStore();
    const { loop } = await running(store);
    const rider = { key: Uint8Array.of(0x64, 1), value: Uint8Array.of(7) };
    const [plain, ridden] = [callOf({ eventData: 1 }), callOf({ eventData: 2 })];
    loop.enqueue([plain.call]);
    loop.enqueue([{ ...ridden.call, riders: [rider] }]);
    await Promise.all([plain.done, ridden.done]);
    const found = await store.scan({ from: Uint8Array.of(0x64), to: Uint8Array.of(0x65) }, 10);
    assert.deepEqual(found, [rider]);
    await loop.close();
  });

  test("the event that causes it twice is refused, its neighbours are stored", async () => {
    const { loop, listener } = await running(new TestStore(), poisoned(create));
    const fates = ["a", "b", "poison", "c", "d"].map((text) => callOf({ eventData: text }));
    loop.enqueue(fates.map(({ call }) => call));
    await Promise.all(fates.map(({ done }) => done));
    assert.deepEqual(
      fates.map(({ error }) => error?.code),
      [undefined, undefined, "poison", undefined, undefined],
    );
    assert.deepEqual((await pending(loop)).map(({ eventData }) => eventData).sort(), ["a", "b", "c", "d"]);
    assert.ok(listener.logs.some(({ code }) => code === 501));
    await loop.close();
  });

  test("a hundred of them in a row lose nothing and leave nothing behind", async () => {
    const { loop } = await running(new TestStore());
    const fates: ReturnType<typeof callOf>[] = [];
    for (let round = 0; round < 100; round++) {
      const some = Array.from({ length: 3 }, (_, i) => callOf({ eventData: round * 3 + i }));
      loop.enqueue(some.map(({ call }) => call));
      fates.push(...some);
      await trap(loop);
      await Promise.all(some.map(({ done }) => done));
    }
    const numbers = (await pending(loop)).map(({ eventData }) => eventData as number).sort((a, b) => a - b);
    assert.deepEqual(
      numbers,
      fates.map((_, i) => i),
    );
    assert.ok(fates.every(({ answers, error }) => answers === 1 && !error));
    await loop.close();
  });
});

describe("close", () => {
  test("answers what is waiting and refuses what comes later", async () => {
    const store = new TestStore();
    const { loop } = await running(store);
    const fate = callOf({ eventData: 1 });
    loop.enqueue([fate.call]);
    await loop.close();
    await fate.done;
    assert.equal(fate.position?.seq, 1);
    const late = callOf({ eventData: 2 });
    loop.enqueue([late.call]);
    await late.done;
    assert.equal(late.error?.code, "closed");
    await assert.rejects(loop.command(Op.status), { code: "closed" });
  });
});
