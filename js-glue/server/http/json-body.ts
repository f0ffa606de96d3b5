/** JSON from strangers: strict UTF-8, a bounded depth before any parser recurses, no names that reach prototypes. */

import { failure } from "../../core/errors.ts";

/** An event's 64 levels and what a request wraps around them. */
const DEPTH_MAX = 72;

/** Throws `invalid_utf8`, `too_deep` or `invalid_json`. */
export function parseJson(bytes: Uint8Array): unknown {
  checkDepth(bytes);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw failure("invalid_utf8", "the body is not UTF-8", { cause: error });
  }
  try {
    return JSON.parse(text, text.includes("__proto__") ? withoutPrototype : undefined);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw failure("invalid_json", "the body is not JSON");
  }
}

// JSON.parse makes "__proto__" an own property, but code that copies objects would set the prototype with it.
function withoutPrototype(key: string, value: unknown): unknown {
  return key === "__proto__" ? undefined : value;
}

const Byte = { quote: 34, backslash: 92, open: 91, close: 93, openBrace: 123, closeBrace: 125 } as const;

function checkDepth(bytes: Uint8Array): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (quoted) {
      if (byte === Byte.backslash) i++;
      else if (byte === Byte.quote) quoted = false;
    } else if (byte === Byte.quote) {
      quoted = true;
    } else if (byte === Byte.open || byte === Byte.openBrace) {
      if (++depth > DEPTH_MAX) throw failure("too_deep", `deeper than ${DEPTH_MAX} levels`, { detail: i });
    } else if (byte === Byte.close || byte === Byte.closeBrace) {
      depth--;
    }
  }
}
