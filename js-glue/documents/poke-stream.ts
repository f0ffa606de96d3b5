/** The stream of pokes: kept open, opened again after every loss, read line by line. */

import type { FetchTransport } from "../browser/transport.ts";
import { ReturnTime } from "./return-time.ts";

/** A stream says something every 20 s; longer silence is a dead connection. */
const SILENCE_MS_MAX = 50_000;
const LINE_CHARS_MAX = 100_000;

export interface PokeStreamOptions {
  readonly transport: FetchTransport;
  readonly signal: AbortSignal;
  /** Something may have happened that no poke has said: before the stream is opened, and after each loss. */
  readonly look: () => void;
  /** What a poke brought, as it came. */
  readonly poked: (data: string) => void;
}

/** Resolves when the signal is aborted. */
export async function followPokes(options: PokeStreamOptions): Promise<void> {
  const { signal, look } = options;
  const returnTime = new ReturnTime();
  look();
  while (!signal.aborted) {
    await listen(options, returnTime).catch(() => undefined); // it broke, or never began: it is tried again
    if (signal.aborted) return;
    await pause(returnTime.next(Math.random()), signal);
    if (globalThis.navigator?.onLine === false) continue;
    look();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    globalThis.addEventListener?.("online", end);
    signal.addEventListener("abort", end);
  });
}

/** Ends when the stream does. */
async function listen({ transport, signal, poked }: PokeStreamOptions, returnTime: ReturnTime): Promise<void> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  signal.addEventListener("abort", end, { once: true });
  let watchdog = setTimeout(end, SILENCE_MS_MAX);
  try {
    const response = await transport.get("/sync/stream", "text/event-stream", Number.POSITIVE_INFINITY, stop.signal);
    if (!response.ok) returnTime.refused(response.headers.get("retry-after"));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!response.ok || !reader) return;
    let rest = "";
    let event = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(end, SILENCE_MS_MAX);
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LINE_CHARS_MAX) return;
      for (const line of lines) {
        returnTime.heard(line);
        const [, field, text = ""] = /^(event|data): ?(.*?)\s*$/.exec(line) ?? [];
        if (field === "event") event = text;
        else if (line.trim() === "") event = "";
        if (event === "bye") return;
        if (field === "data" && event === "poke") poked(text);
      }
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", end);
    stop.abort();
  }
}
