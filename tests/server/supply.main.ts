/**
 * The way of a model from the real server to a device, attacked and cut: mutated manifests and files, a power cut at every
 * commit, a broken connection at every request. Arguments: number of mutations. Prints one JSON line.
 */

import { generateKeyPairSync } from "node:crypto";
import { systemCrypto } from "../../js-glue/browser/contexts.ts";
import { sameBytes, utf8 } from "../../js-glue/core/bytes.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import type { KeyRange, Store, StoredRecord, WriteBatch } from "../../js-glue/core/ports.ts";
import { ModelStore } from "../../js-glue/models/model-store.ts";
import { fetchRegistry, webVerifier } from "../../js-glue/models/registry.ts";
import { ModelUpdater, type Registry, type UpdateReport } from "../../js-glue/models/updater.ts";
import { ModelKey } from "../../js-glue/server/models/signing.ts";
import { databaseKinds } from "./databases.ts";
import { TestServer } from "./harness.ts";
import { caller, newKey, nextVersion, publish, shippedModel, statementOf } from "./model-files.ts";
import { endless, mutateManifest, mutateReply, outlived, Random } from "./supply-faults.ts";

const mutations = Number(process.argv[2] ?? 1_000);
const problems: string[] = [];
const key = newKey();
const server = await TestServer.start(databaseKinds[0]!, { models: { key } });
const admin = caller(server.url, (await server.client("acme", "root", ["admin"])).key);
const token = (await server.client("acme", "ann")).key;
const registry = fetchRegistry({ url: server.url, auth: () => token });
const choice = { device: utf8("device"), caps: {}, quant: "int8" } as const;
const name = "intent";

const oldFile = shippedModel(name);
// A fifth of the blocks differ, spread over all records.
const changed = Array.from({ length: 25 }, (_, i) => 30_000 + i * 5 * 4_096);
const newFile = nextVersion(oldFile, "1.1.0", changed);
await publish(admin, oldFile, await statementOf(name, oldFile));

interface Device {
  readonly memory: MemoryStore;
  /** What may be in use: the version before, if there is one. */
  readonly before: Uint8Array | undefined;
}
const everything: KeyRange = { from: utf8("o"), to: utf8("p") };

async function copyOf(records: readonly StoredRecord[]): Promise<MemoryStore> {
  const memory = new MemoryStore();
  await memory.commit({ level: "strict", expects: [], deletes: [], puts: records });
  return memory;
}
// Devices' clocks go with the server's, unless one is said to be elsewhere.
const updaterOf = (store: Store, from: Registry, now = (): number => server.clock.now): ModelUpdater =>
  new ModelUpdater({
    store: new ModelStore(store, systemCrypto),
    registry: from,
    verifier: webVerifier,
    keys: [Buffer.from(key.publicKey, "base64")],
    now,
  });
const fileIn = async (memory: MemoryStore): Promise<Uint8Array | undefined> =>
  (await new ModelStore(memory, systemCrypto).open(name))?.file;
const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameBytes(a, b);

const base = new MemoryStore();
const first = await updaterOf(base, registry).update(name, choice);
if (first?.loaded !== oldFile.length) problems.push(`the first download took ${first?.loaded} bytes`);
const oldManifest = await registry.manifest();
const stored = await base.scan(everything, 1_000);
server.clock.now += 1_000;
await publish(admin, newFile, await statementOf(name, newFile, { version: "1.1.0" }));
const newManifest = await registry.manifest();

const oldDevice = async (): Promise<Device> => ({ memory: await copyOf(stored), before: oldFile });
const emptyDevice = async (): Promise<Device> => ({ memory: new MemoryStore(), before: undefined });

// --- what was changed on its way is refused by name ----------------------------------------------------------------------

const NAMES = new Set(["signature", "malformed", "limit_exceeded", "checksum", "truncated", "version_not_supported"]);
const refusals: Record<string, number> = {};

async function expectRefusal(
  device: Device,
  from: Registry,
  what: string,
  { names = NAMES, now }: { readonly names?: ReadonlySet<string>; readonly now?: () => number } = {},
): Promise<void> {
  let outcome: UpdateReport | undefined | { readonly code: string };
  try {
    outcome = await updaterOf(device.memory, from, now).update(name, choice);
  } catch (error) {
    outcome = { code: String((error as { code?: unknown }).code) };
  }
  const code = outcome && "code" in outcome ? outcome.code : "taken";
  refusals[code] = (refusals[code] ?? 0) + 1;
  if (!names.has(code)) problems.push(`${what}: ${code}`);
  if (!same(await fileIn(device.memory), device.before)) problems.push(`${what}: another model is in use now`);
}

const random = new Random(4);
const stranger = new ModelKey(generateKeyPairSync("ed25519").privateKey);
const cached = new Map<string, Promise<Uint8Array>>();
// The bytes come over HTTP once; what the attacker does with them differs.
const once = (id: string, load: () => Promise<Uint8Array>): Promise<Uint8Array> => {
  const found = cached.get(id) ?? load();
  cached.set(id, found);
  return found;
};
const honest: Registry = {
  name: registry.name,
  manifest: () => Promise.resolve(newManifest),
  blocks: (id) => once(`${id} blocks`, () => registry.blocks(id)),
  range: (id, from, to) => once(`${id} ${from} ${to}`, () => registry.range(id, from, to)),
};
for (let i = 0; i < mutations; i++) {
  const device = await (random.below(2) === 0 ? oldDevice() : emptyDevice());
  if (i % 2 === 0) {
    const { text, what } = mutateManifest(newManifest, random, stranger);
    await expectRefusal(device, { ...honest, manifest: () => Promise.resolve(text) }, `${i}: manifest, ${what}`);
  } else {
    const { registry: changedRegistry, what } = mutateReply(
      honest,
      newFile.length,
      random,
      device.before !== undefined,
    );
    await expectRefusal(device, changedRegistry, `${i}: file, ${what}`);
  }
}

// --- nothing was changed, but it is old: held back, played back, or not renewed ------------------------------------------

const DAY_MS = 86_400_000;
const only = (code: string): { readonly names: ReadonlySet<string> } => ({ names: new Set([code]) });
const showing = (manifest: string): Registry => ({ ...honest, manifest: () => Promise.resolve(manifest) });
const REPLAYS = 100;
for (let i = 0; i < REPLAYS; i++) {
  const later = (1 + random.below(1_000)) * DAY_MS;
  // Frozen: the very list that was good a fortnight ago, for ever.
  const frozen = await (i % 2 === 0 ? oldDevice() : emptyDevice());
  const now = (): number => server.clock.now + 15 * DAY_MS + later;
  await expectRefusal(frozen, honest, `${i}: a list that expired`, { ...only("expired"), now });
  // Rolled back: a newer list was seen; no clock makes the older one good again.
  const seen = await oldDevice();
  await updaterOf(seen.memory, honest).manifest();
  const back = (): number => server.clock.now - later;
  await expectRefusal(seen, showing(oldManifest), `${i}: an older list`, { ...only("rewound"), now: back });
  // Signed by the registry's own key, but before lists had an end.
  const { text, what } = endless(newManifest, key, i);
  await expectRefusal(seen, showing(text), `${i}: ${what}`, only("rewound"));
  // The list is of today, the publisher's word for the file is not.
  const stale = await (i % 2 === 0 ? oldDevice() : emptyDevice());
  const ended = server.clock.now - random.below(10_000);
  await expectRefusal(
    stale,
    showing(outlived(newManifest, key, ended)),
    `${i}: a statement that expired`,
    only("expired"),
  );
}

// --- cut at every step: the old model or the new one ---------------------------------------------------------------------

/** The process dies at one commit, before or after it took effect: nothing of this context happens afterwards. */
class DyingStore implements Store {
  commits = 0;
  readonly #store: Store;
  readonly #dies: { readonly at: number; readonly after: boolean } | undefined;
  #dead = false;
  constructor(store: Store, dies?: { readonly at: number; readonly after: boolean }) {
    this.#store = store;
    this.#dies = dies;
  }
  async commit(batch: WriteBatch): Promise<void> {
    if (this.#dead) throw new Error("dead");
    const isLast = this.commits++ === this.#dies?.at;
    this.#dead = isLast;
    if (!isLast || this.#dies?.after) await this.#store.commit(batch);
    if (isLast) throw new Error("dead");
  }
  async scan(range: KeyRange, limit: number): Promise<readonly StoredRecord[]> {
    if (this.#dead) throw new Error("dead");
    return this.#store.scan(range, limit);
  }
  close(): void {
    // The memory lives on, as a disk does.
  }
}

/** Counts requests; one of them breaks. */
function breaking(at: number): { readonly registry: Registry; count(): number } {
  let requests = 0;
  const maybe = <T>(work: () => Promise<T>): Promise<T> =>
    requests++ === at ? Promise.reject(Object.assign(new Error("cut"), { code: "offline" })) : work();
  return {
    registry: {
      name: honest.name,
      manifest: () => maybe(() => registry.manifest()),
      blocks: (id) => maybe(() => honest.blocks(id)),
      range: (id, from, to) => maybe(() => honest.range(id, from, to)),
    },
    count: () => requests,
  };
}

let cuts = 0;
let endedOld = 0;
let endedNew = 0;
let resumedBytesMax = 0;
/** Whatever happened: one whole model or, on a new device, perhaps none; and the next try ends well. */
async function judge(device: Device, what: string): Promise<number> {
  cuts++;
  const file = await fileIn(device.memory);
  if (same(file, newFile)) endedNew++;
  else if (same(file, device.before)) endedOld++;
  else problems.push(`${what}: neither the old model nor the new one`);
  const report = await updaterOf(device.memory, honest).update(name, choice);
  if (!same(await fileIn(device.memory), newFile)) problems.push(`${what}: the next try did not bring the new model`);
  resumedBytesMax = Math.max(resumedBytesMax, report?.loaded ?? 0);
  return report?.loaded ?? 0;
}

let delta: UpdateReport | undefined;
for (const make of [oldDevice, emptyDevice]) {
  const counted = await make();
  const counting = new DyingStore(counted.memory);
  const requests = breaking(-1);
  const report = await updaterOf(counting, requests.registry).update(name, choice);
  if (make === oldDevice) delta = report;
  for (let at = 0; at < counting.commits; at++)
    for (const after of [false, true]) {
      const device = await make();
      const what = `${device.before ? "delta" : "whole"}, power cut ${after ? "after" : "before"} commit ${at}`;
      await updaterOf(new DyingStore(device.memory, { at, after }), honest)
        .update(name, choice)
        .then(
          () => problems.push(`${what}: nothing was cut`),
          () => undefined, // it died, as it should
        );
      await judge(device, what);
    }
  let more = Number.POSITIVE_INFINITY;
  for (let at = 0; at < requests.count(); at++) {
    const device = await make();
    const what = `${device.before ? "delta" : "whole"}, request ${at} cut`;
    await updaterOf(device.memory, breaking(at).registry)
      .update(name, choice)
      .then(
        () => problems.push(`${what}: nothing was cut`),
        () => undefined, // offline
      );
    const left = await judge(device, what);
    // What has come before the cut is kept: never more to load than at an earlier cut.
    if (left > more) problems.push(`${what}: ${left} bytes to load, ${more} when it was cut earlier`);
    more = left;
  }
}

await server.end();
for (const problem of problems.slice(0, 20)) process.stderr.write(`${problem}\n`);
process.stdout.write(
  `${JSON.stringify({
    mutations,
    replays: 4 * REPLAYS,
    refusals,
    cuts,
    endedOld,
    endedNew,
    problems: problems.length,
    fileBytes: newFile.length,
    deltaBytes: delta?.loaded,
    changedBlocks: changed.length,
  })}\n`,
);
process.exit(0);
