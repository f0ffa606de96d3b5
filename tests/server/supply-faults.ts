/** What an attacker on the way, or bad luck, may do to the answers of a registry. */

import type { Registry } from "../../js-glue/models/updater.ts";
import type { ModelKey } from "../../js-glue/server/models/signing.ts";

/** xorshift32: the same faults in every run. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed || 1;
  }
  below(bound: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % bound;
  }
}

interface Envelope {
  body: string;
  signature: string;
}
interface Entry {
  status: string;
  statement: string;
  signature: string;
  rollout: { percent: number; salt: string };
}
interface Body {
  format: number;
  issuedAt: number;
  expiresAt?: number;
  models: Entry[];
}

const bytesAsText = (text: string, random: Random): string => {
  const at = random.below(text.length);
  switch (random.below(4)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(7))) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + String.fromCharCode(32 + random.below(95)) + text.slice(at);
    default:
      return text.slice(0, at);
  }
};

/** The same to a JSON parser: white space between members changes nothing that was signed. */
function isSame(a: string, b: string): boolean {
  try {
    const [left, right] = [JSON.parse(a), JSON.parse(b)] as [Envelope, Envelope];
    return left.body === right.body && left.signature === right.signature;
  } catch {
    return false; // no JSON any more
  }
}

/** Attackers that know the format: they write a good-looking manifest, but own no pinned key. */
const FORGERIES: Readonly<Record<string, (body: Body, envelope: Envelope, stranger: ModelKey) => void>> = {
  "signed by a stranger": (_, envelope, stranger) => {
    envelope.signature = base64(stranger.signManifest(envelope.body));
  },
  "another roll-out under the old signature": (body, envelope) => {
    for (const model of body.models) model.rollout.percent = 0;
    envelope.body = JSON.stringify(body);
  },
  "a stranger's statement in a list of his": (body, envelope, stranger) => {
    for (const model of body.models) {
      model.statement = model.statement.replace("1.1.0", "6.6.6");
      model.signature = base64(stranger.signStatement(model.statement));
    }
    envelope.body = JSON.stringify(body);
    envelope.signature = base64(stranger.signManifest(envelope.body));
  },
  "a statement's signature on the list": (body, envelope) => {
    envelope.signature = body.models[0]?.signature ?? "";
  },
  "the list signed as a statement": (_, envelope, stranger) => {
    envelope.signature = base64(stranger.signStatement(envelope.body));
  },
  "no signature": (_, envelope) => {
    envelope.signature = "";
  },
  "a later end under the old signature": (body, envelope) => {
    body.expiresAt = (body.expiresAt ?? 0) + 1_000_000_000;
    envelope.body = JSON.stringify(body);
  },
  "no end under the old signature": (body, envelope) => {
    delete body.expiresAt;
    envelope.body = JSON.stringify(body);
  },
  "a later time under the old signature": (body, envelope) => {
    body.issuedAt += 1_000_000;
    envelope.body = JSON.stringify(body);
  },
};

/** Signed by the registry itself, as its earlier releases did: a list that names no end. */
export function endless(
  manifest: string,
  own: ModelKey,
  later: number,
): { readonly text: string; readonly what: string } {
  const { expiresAt: _, ...body } = JSON.parse((JSON.parse(manifest) as Envelope).body) as Body;
  const text = JSON.stringify({ ...body, issuedAt: body.issuedAt + later });
  return { text: signedList(text, own), what: "a list without an end" };
}

/** Today's list of statements that ended at `expiresAt`, all signed by the right keys. */
export function outlived(manifest: string, own: ModelKey, expiresAt: number): string {
  const body = JSON.parse((JSON.parse(manifest) as Envelope).body) as Body;
  for (const model of body.models) {
    model.statement = JSON.stringify({ ...(JSON.parse(model.statement) as object), expiresAt });
    model.signature = base64(own.signStatement(model.statement));
  }
  return signedList(JSON.stringify(body), own);
}

const signedList = (body: string, own: ModelKey): string =>
  JSON.stringify({ body, signature: base64(own.signManifest(body)) });

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

export function mutateManifest(
  manifest: string,
  random: Random,
  stranger: ModelKey,
): { readonly text: string; readonly what: string } {
  if (random.below(4) === 0) {
    const names = Object.keys(FORGERIES);
    const what = names[random.below(names.length)] ?? "";
    const envelope = JSON.parse(manifest) as Envelope;
    FORGERIES[what]?.(JSON.parse(envelope.body) as Body, envelope, stranger);
    return { text: JSON.stringify(envelope), what };
  }
  for (;;) {
    const text = bytesAsText(manifest, random);
    if (!isSame(text, manifest)) return { text, what: "bytes" };
  }
}

const flipped = (bytes: Uint8Array, at: number, random: Random): Uint8Array => {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  return copy;
};

/** A registry whose file or block list is another one than was signed, in each of its answers. */
export function mutateReply(
  honest: Registry,
  fileBytes: number,
  random: Random,
  isDelta: boolean,
): { readonly registry: Registry; readonly what: string } {
  const kind = random.below(isDelta ? 4 : 3);
  const place = random.below(fileBytes);
  const range = honest.range.bind(honest);
  switch (kind) {
    case 0:
      // Every range holds one wrong bit, wherever the device begins.
      return {
        what: "a bit of every range",
        registry: {
          ...honest,
          range: async (id, from, to) => flipped(await range(id, from, to), place % (to - from), random),
        },
      };
    case 1: {
      const less = 1 + random.below(100);
      return {
        what: "ranges cut short",
        registry: { ...honest, range: async (id, from, to) => (await range(id, from, to)).slice(0, -less) },
      };
    }
    case 2:
      return {
        what: "other ranges of the same file",
        registry: {
          ...honest,
          range: async (id, from, to) =>
            from >= to - from
              ? range(id, from - (to - from), to - (to - from))
              : flipped(await range(id, from, to), 0, random),
        },
      };
    default:
      return {
        what: "a bit of the block list",
        registry: {
          ...honest,
          blocks: async (id) => {
            const list = await honest.blocks(id);
            return flipped(list, place % list.length, random);
          },
        },
      };
  }
}
