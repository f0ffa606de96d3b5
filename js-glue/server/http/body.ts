/** Reads a request's body with a cap on what it decodes to, kept while inflating: a small bomb never becomes large. */

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

/** Rejects with `payload_too_large`, `unsupported_encoding`, or `invalid_request` for a body that does not inflate. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > bytesMax) throw tooLarge(bytesMax);
  const encoding = request.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  const chunks: Buffer[] = [];
  let size = 0;
  let over = false;
  const collect = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) {
      size += chunk.length;
      over = size > bytesMax;
      if (over) throw tooLarge(bytesMax);
      chunks.push(chunk);
    }
  };
  if (encoding === "identity" || encoding === "") {
    await collect(request);
  } else {
    const decoder = decoders[encoding as keyof typeof decoders];
    if (!decoder) throw new HttpProblem("unsupported_encoding", `content-encoding ${encoding} is not supported`);
    try {
      await pipeline(request, decoder(), collect);
    } catch {
      // A pipeline that we end early may report the end instead of our reason for it.
      if (over) throw tooLarge(bytesMax);
      throw new HttpProblem("invalid_request", `the body is not ${encoding}`);
    }
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
}

const tooLarge = (bytesMax: number): HttpProblem =>
  new HttpProblem("payload_too_large", `the decoded body is larger than ${bytesMax} bytes`, { limits: LIMITS });
