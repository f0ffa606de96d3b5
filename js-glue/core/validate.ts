/**
 * Checks an application value and turns it into JSON text, before anything is stored.
 *
 * One walk, then one JSON.stringify, which is also the deep copy. The walk refuses by name whatever JSON would drop or
 * bend: NaN, infinities, BigInt, undefined, functions, symbols, cycles, class instances, anything with a toJSON, holes.
 * Own keys named `__proto__` are ordinary text to both. -0 stays -0, which JSON.stringify alone would make 0.
 */

import { type ErrorCode, failure } from "./errors.ts";
import { ENVELOPE_FIELD_BYTES_MAX, EVENT_JSON_BYTES_MAX, JSON_DEPTH_MAX, JSON_KEYS_MAX } from "./events.ts";

type Fields = Readonly<Record<string, unknown>>;

const lone_surrogate = /\p{Surrogate}/u;
const native = (String.prototype as { isWellFormed?: () => boolean }).isWellFormed;

/** True for text that UTF-8 can carry. */
export const isWellFormed = (text: string): boolean => (native ? native.call(text) : !lone_surrogate.test(text));

class Walk {
  readonly ancestors: object[] = [];
  readonly path: (string | number)[] = [];
  keys = 0;
  negative_zero = false;

  refuse(code: ErrorCode, what: string): never {
    const path = this.path.reduce<string>(
      (text, step) =>
        typeof step === "number"
          ? `${text}[${step}]`
          : /^[\w$]+$/.test(step)
            ? `${text}.${step}`
            : `${text}[${JSON.stringify(step)}]`,
      "$",
    );
    throw failure(code, `${path}: ${what}`, { path });
  }

  value(value: unknown): void {
    switch (typeof value) {
      case "string":
        if (!isWellFormed(value)) this.refuse("lone_surrogate", "half of a surrogate pair");
        return;
      case "number":
        if (!Number.isFinite(value)) this.refuse("unsupported_value", String(value));
        if (value === 0 && Object.is(value, -0)) this.negative_zero = true;
        return;
      case "boolean":
        return;
      case "object":
        if (value !== null) this.object(value);
        return;
      default:
        this.refuse("unsupported_value", `a value of type ${typeof value}`);
    }
  }

  object(value: object): void {
    if (this.ancestors.length >= JSON_DEPTH_MAX) {
      if (this.ancestors.includes(value)) this.refuse("unsupported_value", "a cycle");
      this.refuse("too_deep", `nested deeper than ${JSON_DEPTH_MAX} levels`);
    }
    if (this.ancestors.includes(value)) this.refuse("unsupported_value", "a cycle");
    if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
      this.refuse("unsupported_value", "an object that decides about its JSON itself (toJSON)");
    }
    this.ancestors.push(value);
    if (Array.isArray(value)) this.array(value);
    else this.record(value);
    this.ancestors.pop();
  }

  array(items: readonly unknown[]): void {
    const depth = this.path.length;
    for (let i = 0; i < items.length; i++) {
      this.path[depth] = i;
      this.value(items[i]);
    }
    this.path.length = depth;
  }

  record(value: object): void {
    const prototype: unknown = Object.getPrototypeOf(value);
    // An object literal of another frame has that frame's Object.prototype: plain all the same, it inherits from null.
    if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null) {
      this.refuse("unsupported_value", `an instance of ${value.constructor?.name ?? "a class"}`);
    }
    for (const symbol of Object.getOwnPropertySymbols(value)) {
      if (Object.prototype.propertyIsEnumerable.call(value, symbol))
        this.refuse("unsupported_value", "a symbol as key");
    }
    const depth = this.path.length;
    for (const key of Object.keys(value)) {
      this.path[depth] = key;
      if (++this.keys > JSON_KEYS_MAX) this.refuse("too_many_keys", `more than ${JSON_KEYS_MAX} keys`);
      if (!isWellFormed(key)) this.refuse("lone_surrogate", "half of a surrogate pair in a key");
      this.value((value as Fields)[key]);
    }
    this.path.length = depth;
  }
}

/** What JSON.stringify writes, but for -0. Only for values that have been walked. */
function stringifyExactly(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(stringifyExactly).join(",")}]`;
  const fields = Object.keys(value).map((key) => `${JSON.stringify(key)}:${stringifyExactly((value as Fields)[key])}`);
  return `{${fields.join(",")}}`;
}

/** Length in UTF-8 of well-formed text. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Two units of a pair make four bytes: two more than their number.
    if (unit > 0x7f) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

/** The JSON of a value, checked. Throws unsupported_value, lone_surrogate, too_deep, too_many_keys, event_too_large. */
export function toJson(value: unknown): string {
  const walk = new Walk();
  walk.value(value);
  const text = walk.negative_zero ? stringifyExactly(value) : JSON.stringify(value);
  if (text.length * 3 > EVENT_JSON_BYTES_MAX) {
    const bytes = utf8Length(text);
    if (bytes > EVENT_JSON_BYTES_MAX) {
      throw failure("event_too_large", `${bytes} bytes of JSON; at most ${EVENT_JSON_BYTES_MAX}`, { detail: bytes });
    }
  }
  return text;
}

/** A field of the envelope, checked. Throws invalid_envelope, lone_surrogate. */
export function toEnvelopeField(name: string, value: unknown, required = false): string {
  if (value === undefined && !required) return "";
  if (typeof value !== "string") throw failure("invalid_envelope", `${name} is not a string`, { path: name });
  if (required && value === "") throw failure("invalid_envelope", `${name} is empty`, { path: name });
  if (value.includes("\0")) throw failure("invalid_envelope", `${name} holds U+0000`, { path: name });
  if (!isWellFormed(value)) throw failure("lone_surrogate", `${name} holds half of a surrogate pair`, { path: name });
  if (value.length * 3 > ENVELOPE_FIELD_BYTES_MAX && utf8Length(value) > ENVELOPE_FIELD_BYTES_MAX) {
    throw failure("invalid_envelope", `${name} is longer than ${ENVELOPE_FIELD_BYTES_MAX} bytes`, { path: name });
  }
  return value;
}
