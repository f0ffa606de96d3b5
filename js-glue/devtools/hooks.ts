/** How panels follow what they show, and how their buttons act. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { OfflineSync } from "../browser/client.ts";
import type { SyncStatus } from "../browser/status.ts";
import { asFailure } from "../core/errors.ts";

/** A burst of changes is shown this often: looking must not slow down what is looked at. */
const REFRESH_MS = 300;

export interface Live<T> {
  readonly value: T | undefined;
  /** What went wrong the last time, in words. */
  readonly trouble: string;
  refresh(): void;
}

export const inWords = (error: unknown): string => {
  const { code, message } = asFailure(error, "internal");
  return message.startsWith(code) ? message : `${code}: ${message}`;
};

/**
 * The newest result of `load`: now, and again after `follow` was told of a change, one run at a time and not more often than
 * every 300 ms. Both are taken anew when `about` changes.
 */
export function useLive<T>(
  load: () => Promise<T>,
  follow: (changed: () => void) => (() => void) | undefined,
  about: readonly unknown[],
): Live<T> {
  const [state, setState] = useState<Omit<Live<T>, "refresh">>({ value: undefined, trouble: "" });
  const again = useRef<() => void>(() => undefined);
  useEffect(() => {
    let over = false;
    let running = false;
    let wanted = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      running = true;
      wanted = false;
      try {
        const value = await load();
        if (!over) setState({ value, trouble: "" });
      } catch (error) {
        if (!over) setState((before) => ({ ...before, trouble: inWords(error) }));
      }
      if (!over) timer = setTimeout(rest, REFRESH_MS);
    };
    const rest = (): void => {
      running = false;
      if (wanted) void run();
    };
    const ask = (): void => {
      wanted = true;
      if (!running) void run();
    };
    again.current = ask;
    ask();
    const leave = follow(ask);
    return () => {
      over = true;
      clearTimeout(timer);
      leave?.();
    };
  }, about);
  return { ...state, refresh: useCallback(() => again.current(), []) };
}

/** The engine's figures, a few times a second at most. */
export function useStatus(engine: OfflineSync): SyncStatus {
  const { value } = useLive(
    async () => engine.status.get(),
    (changed) => engine.status.subscribe(changed),
    [engine],
  );
  return value ?? engine.status.get();
}

/** Renders again every second while `on`, for what depends on the time. */
export function useSeconds(on: boolean): void {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 1_000);
    return () => clearInterval(timer);
  }, [on]);
}

export interface Acting {
  /** The last action's outcome, for people. */
  readonly word: string;
  readonly busy: boolean;
  /** One at a time; `done` is said when it has worked. */
  act(work: () => Promise<unknown>, done?: string): void;
}

export function useActing(after?: () => void): Acting {
  const [state, setState] = useState({ word: "", busy: false });
  const act = (work: () => Promise<unknown>, done = "Done."): void => {
    if (state.busy) return;
    setState({ word: "", busy: true });
    work()
      .then(
        () => setState({ word: done, busy: false }),
        (error: unknown) => setState({ word: inWords(error), busy: false }),
      )
      .then(after);
  };
  return { ...state, act };
}
