/** A value that has to be asked for, as something one can follow: asked again whenever what it depends on has changed. */

import { Subject, type Subscribable } from "../core/subscribable.ts";

/** An answer that is followed: what is known of it now. */
export interface Live<T> {
  /** Undefined until the first answer; the last good one when a later one fails. */
  readonly value: T | undefined;
  /** Of the last answer; undefined when it was a good one. */
  readonly error: Error | undefined;
  /** There was no answer yet, good or bad. */
  readonly loading: boolean;
}

export const FIRST: Live<never> = /* @__PURE__ */ Object.freeze({ value: undefined, error: undefined, loading: true });

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/**
 * Asks nothing before somebody follows, and nothing after the last one has left: a render at a server loads nothing.
 * At most one question is under way; however many changes come meanwhile, one more follows it.
 */
export function live<T>(
  load: () => Promise<T>,
  follow: (changed: () => void) => () => void = () => () => undefined,
): Subscribable<Live<T>> {
  const subject = new Subject<Live<T>>(FIRST);
  let followers = 0;
  let asking = false;
  let changed = false;
  let unfollow: () => void = () => undefined;

  const ask = async (): Promise<void> => {
    changed = true;
    if (asking) return;
    asking = true;
    await undefined; // whoever only looks for a moment, as frameworks do, has left by then
    while (changed && followers > 0) {
      changed = false;
      try {
        subject.set({ value: await load(), error: undefined, loading: false });
      } catch (error) {
        subject.set({ value: subject.get().value, error: asError(error), loading: false });
      }
    }
    asking = false;
  };

  return {
    get: subject.get,
    subscribe(heard) {
      const leave = subject.subscribe(heard);
      if (followers++ === 0) {
        unfollow = follow(ask);
        void ask();
      }
      let left = false;
      return () => {
        if (left) return;
        left = true;
        leave();
        if (--followers === 0) unfollow();
      };
    },
  };
}
