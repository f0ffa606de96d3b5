/** Which operations of an edit have to wait so that the rest may be applied. */

/** Groups that are tried; then all of the edit waits. */
const TRIES_MAX = 64;
/** Bytes that are judged anew for one edit: a large document has fewer tries. */
const BYTES_MAX = 8_000_000;

/** Groups of `count` operations in the order they are tried: each alone, then pairs. `size`: bytes of one try. */
export function* groups(count: number, size = 0): Generator<readonly number[]> {
  let tries = Math.min(TRIES_MAX, Math.floor(BYTES_MAX / Math.max(size, 1)));
  for (let a = 0; a < count && tries > 0; a++, tries--) yield [a];
  // Of two there is no pair that is less than all.
  if (count < 3) return;
  for (let b = 1; b < count; b++) for (let a = 0; a < b && tries > 0; a++, tries--) yield [a, b];
}

export const allOf = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
