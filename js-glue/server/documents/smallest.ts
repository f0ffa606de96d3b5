/** Which operations of an edit have to wait so that the rest may be applied. */

/** Groups that are tried; then all of the edit waits. */
const TRIES_MAX = 64;

/** Groups of `count` operations in the order they are tried: each alone, then pairs. */
export function* groups(count: number): Generator<readonly number[]> {
  let tries = 0;
  for (let a = 0; a < count && tries < TRIES_MAX; a++, tries++) yield [a];
  // Of two there is no pair that is less than all.
  if (count < 3) return;
  for (let b = 1; b < count; b++) for (let a = 0; a < b && tries < TRIES_MAX; a++, tries++) yield [a, b];
}

export const allOf = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
