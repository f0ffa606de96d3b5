// The words of an engine's trace, as tests of the devtools need them: one stream, normal urgency.

import type { Input, Output } from "../../js-glue/core/io.ts";

const EPOCH = 0xabcn;
const NORMAL = 2;
const text = (types: readonly string[], entity: string): Uint8Array =>
  new TextEncoder().encode(types.map((type) => `${NORMAL}2\0${type}\0m\0${entity}\0\0{}\0`).join(""));

export const enqueue = (first: number, types: readonly string[], entity = "e/1"): Input => ({
  ...{ kind: "enqueue", first, count: types.length, text: text(types, entity) },
});
export const persist = (tx: number, first?: number, seq = 0, count = 1): Output => ({
  kind: "persist",
  tx,
  batch: { level: "strict", expects: [], deletes: [], puts: [] },
  covers: first === undefined ? [] : [{ first, count, epoch: EPOCH, lane: NORMAL, seq }],
});
export const send = (request: number): Output => ({
  ...{ kind: "send", request, pull: false, timeoutMs: 1, body: new Uint8Array(0) },
});
export const response = (request: number, status = 200, body = new Uint8Array(0), retryAfterMs = 0): Input => ({
  ...{ kind: "response", request, status, retryAfterMs, body },
});
export const settled = (from: number, upto: number, rejected: readonly number[] = [], late = false): Output => ({
  kind: "deliver",
  notice: {
    ...{ notice: "settled", epoch: EPOCH, lane: NORMAL, from, upto, late },
    exceptions: rejected.map((seq) => ({ seq, verdict: 1, code: 1 })),
  },
});
