/**
 * Reads a request's body with a cap on what it decodes to, kept while inflating: a small bomb never becomes large. All bodies
 * being read share one budget, so that a crowd of slow senders cannot fill the memory either.
 */

import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { HttpProblem, LIMITS } from "./problem.ts";

const decoders = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
} as const;

/** Bytes of unfinished bodies held at once, over all connections. */
export const BODIES_BYTES_MAX = 256_000_000;

export class BodyBudget {
  readonly #bytesMax: number;
  #held = 0;
  constructor(bytesMax = BODIES_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }
  /** Throws `overloaded` when there is no room. */
  take(bytes: number): void {
    if (this.#held + bytes > this.#bytesMax)
      throw new HttpProblem("overloaded", "too many bodies are being received", { retryAfterMs: 2_000 });
    this.#held += bytes;
  }
  give(bytes: number): void {
    this.#held -= bytes;
  }
  get held(): number {
    return this.#held;
  }
}

/**
 * Rejects with `payload_too_large`, `unsupported_encoding`, `overloaded`, or `invalid_request` for a body that does not
 * inflate or ends early.
 */
export async function readBody(
  request: IncomingMessage,
  bytesMax: number,
  budget = new BodyBudget(),
): Promise<Uint8Array> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > bytesMax) throw tooLarge(bytesMax);
  const encoding = request.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  const chunks: Buffer[] = [];
  let size = 0;
  // A pipeline that we end early may report the end instead of our reason for it.
  let reason: unknown;
  const collect = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) {
      try {
        if (size + chunk.length > bytesMax) throw tooLarge(bytesMax);
        budget.take(chunk.length);
      } catch (error) {
        reason = error;
        throw error;
      }
      size += chunk.length;
      chunks.push(chunk);
    }
  };
  try {
    if (encoding === "identity" || encoding === "") {
      await collect(request);
    } else {
      const decoder = decoders[encoding as keyof typeof decoders];
      if (!decoder) throw new HttpProblem("unsupported_encoding", `content-encoding ${encoding} is not supported`);
      await pipeline(request, decoder(), collect);
    }
  } catch (error) {
    if (reason) throw reason;
    if (error instanceof HttpProblem) throw error;
    throw new HttpProblem("invalid_request", `the body is not ${encoding}, or ended early`);
  } finally {
    budget.give(size);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
}

const tooLarge = (bytesMax: number): HttpProblem =>
  new HttpProblem("payload_too_large", `the decoded body is larger than ${bytesMax} bytes`, { limits: LIMITS });
