/**
 * JSON values for functions of the application that must end: every look at one is counted, and nothing of it can be changed.
 * What loops without looking at its arguments is not stopped by this; it is the application's own code.
 */

/** Thrown in the middle of a function that looked too often, or tried to change what it was given. */
export class TooMuch extends Error {
  override readonly name = "TooMuch";
}

/** `value` as parsed from JSON. All that is reached from it shares one count; throws `TooMuch` behind `stepsMax`. */
export function counted(value: unknown, stepsMax: number): unknown {
  let steps = 0;
  const step = (): void => {
    if (++steps > stepsMax) throw new TooMuch(`more than ${stepsMax} steps`);
  };
  const refuse = (): never => {
    throw new TooMuch("what is looked at cannot be changed");
  };
  const seen = new WeakMap<object, object>();
  const wrap = (inner: unknown): unknown => {
    if (typeof inner !== "object" || inner === null) return inner;
    const known = seen.get(inner);
    if (known) return known;
    const guarded = new Proxy(inner, {
      get(target, key) {
        step();
        return wrap(Reflect.get(target, key));
      },
      has(target, key) {
        step();
        return Reflect.has(target, key);
      },
      ownKeys(target) {
        const keys = Reflect.ownKeys(target);
        for (const _ of keys) step();
        return keys;
      },
      set: refuse,
      defineProperty: refuse,
      deleteProperty: refuse,
      setPrototypeOf: refuse,
    });
    seen.set(inner, guarded);
    return guarded;
  };
  return wrap(value);
}
