import { loadCrypto, recordStore, repeatedNonces } from "../lib/crypto-proof.mjs";

const bytes = (text) => new TextEncoder().encode(text);
const code = (promise) =>
  promise.then(
    () => "opened",
    (error) => error.code ?? error.message,
  );

/** Attempts on a handful of records: every answer that is not an error of ours is counted as opened. */
async function attack({ KeyRing, MemoryCabinet }, tries) {
  const ring = await KeyRing.open(new MemoryCabinet(), { kind: "device" });
  const other = await KeyRing.open(new MemoryCabinet(), { kind: "device" });
  const place = (record, version = 1) => ({ tenant: "t", device: "d", store: "cache", record, version });
  const records = [];
  for (let i = 0; i < 40; i++) {
    const plain = bytes(`content ${i} `.repeat(1 + (i % 9)));
    records.push({ plain, place: place(`r${i}`), sealed: await ring.seal(place(`r${i}`), plain) });
  }
  let state = 1;
  const below = (n) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % n;
  };
  const kinds = {
    swapped: ({ place }) => [ring, place, records.find((other) => other.place !== place).sealed],
    truncated: ({ place, sealed }) => [ring, place, sealed.subarray(0, below(sealed.length))],
    extended: ({ place, sealed }) => [ring, place, new Uint8Array([...sealed, below(256)])],
    flipped: ({ place, sealed }) => {
      const changed = sealed.slice();
      changed[below(changed.length)] ^= 1 << below(8);
      return [ring, place, changed];
    },
    replayed: ({ place, sealed }) => [ring, { ...place, version: place.version + 1 + below(9) }, sealed],
    moved: ({ place, sealed }) => [
      ring,
      { ...place, [["tenant", "device", "store", "record"][below(4)]]: `x${below(99)}` },
      sealed,
    ],
    foreign: ({ place, sealed }) => [other, place, sealed],
  };
  const opened = {};
  let refused = 0;
  const codes = new Set();
  for (const [kind, make] of Object.entries(kinds)) {
    opened[kind] = 0;
    for (let i = 0; i < tries; i++) {
      const [by, at, sealed] = make(records[1 + below(records.length - 1)]);
      const answer = await code(by.open(at, sealed));
      codes.add(answer);
      if (answer === "seal_broken" || answer === "key_missing") refused++;
      else opened[kind]++;
    }
  }
  let intact = true;
  for (const { place, sealed, plain } of records)
    intact &&= Buffer.from(await ring.open(place, sealed)).equals(Buffer.from(plain));
  return { opened: Object.values(opened).reduce((a, b) => a + b, 0), refused, intact, codes: [...codes] };
}

/** Kills a rotation at its n-th step, for every n, then reads everything, goes on, and reads everything again. */
async function killRotations({ KeyRing, MemoryCabinet, rotate }) {
  let unreadable = 0;
  let kills = 0;
  let unfinished = 0;
  for (let dieAt = 1; ; dieAt++) {
    const cabinet = new MemoryCabinet();
    const ring = await KeyRing.open(cabinet, { kind: "device" });
    const records = [];
    for (let i = 0; i < 20; i++) {
      const place = { tenant: "t", device: "d", store: "cache", record: `r${i}`, version: 1 };
      records.push({ place, sealed: await ring.seal(place, bytes(`content ${i}`)) });
    }
    const died = await rotate(ring, recordStore(records, dieAt), { fresh: true }).then(
      () => false,
      () => true,
    );
    if (!died) return { unreadable, kills, unfinished };
    kills++;
    const again = await KeyRing.open(cabinet, { kind: "device" });
    const read = async () => {
      for (const [i, { place, sealed }] of records.entries())
        if (Buffer.from(await again.open(place, sealed).catch(() => bytes(""))).toString() !== `content ${i}`)
          unreadable++;
    };
    await read();
    await rotate(again, recordStore(records), { fresh: false });
    await read();
    if (again.ids.length !== 1) unfinished++;
  }
}

export const claim = {
  name: "crypto.place",
  title: "A sealed record opens in its place, with its key, unchanged, or not at all",
  bar: "100 % of swapped, truncated, bit-flipped, replayed and moved records refused by a named error; 0 repeated nonces in 10,000,000; a rotation killed at every step stays readable and finishes",
  quickSeconds: 40,
  test: true,
  async run({ quick, log }) {
    const code = await loadCrypto();
    const attacks = await attack(code, quick ? 300 : 5_000);
    log(`${attacks.refused} attempts refused (${attacks.codes.join(", ")}), ${attacks.opened} opened`);
    const rotations = await killRotations(code);
    log(
      `${rotations.kills} rotations killed, ${rotations.unreadable} records unreadable after, ${rotations.unfinished} not finished`,
    );
    const count = quick ? 500_000 : 10_000_000;
    const repeats = repeatedNonces(code.drawNonce, count);
    log(`${count} nonces, ${repeats} repeated`);
    return {
      ok:
        attacks.opened === 0 &&
        attacks.intact &&
        repeats === 0 &&
        rotations.kills > 20 &&
        rotations.unreadable === 0 &&
        rotations.unfinished === 0,
      scope:
        "WebCrypto of Node; nonces as every record draws them: nothing is counted, so a rolled-back or cloned profile draws others; rotation over 20 records in pages of 7, in memory",
      figures: {
        refused: attacks.refused,
        opened: attacks.opened,
        nonces: count,
        repeats,
        rotations_killed: rotations.kills,
      },
    };
  },
};
