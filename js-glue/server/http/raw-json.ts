/**
 * Parts of a JSON text as they were written. JSON.parse makes numbers doubles, so an integer above 2^53 or a long fraction comes
 * back with other digits; what belongs to the caller is handed on as the caller wrote it.
 *
 * Texts must be valid JSON already (`parseJson`, or the core has made them): nothing here checks it again.
 */

const BLANK = /\s*/y;
const SCALAR = /[^\s,\]}]+/y;
const STRING = /"(?:[^"\\]|\\.)*"/sy;

const skip = (text: string, at: number, what: RegExp): number => {
  what.lastIndex = at;
  return what.test(text) ? what.lastIndex : at;
};

/** Where the value that begins at `at` ends. */
function endOf(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return skip(text, at, STRING);
  if (first !== "{" && first !== "[") return skip(text, at, SCALAR);
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const char = text[i];
    if (char === '"') i = skip(text, i, STRING) - 1;
    else if (char === "{" || char === "[") depth++;
    else if ((char === "}" || char === "]") && --depth === 0) return i + 1;
  }
  return text.length;
}

/** Calls `each` for every member of an object, or element of an array, with its name and its text. */
function walk(text: string, open: "{" | "[", each: (value: string, name: string) => void): void {
  let at = skip(text, 0, BLANK);
  if (text[at] !== open) return;
  at = skip(text, at + 1, BLANK);
  while (at < text.length && text[at] !== "}" && text[at] !== "]") {
    let name = "";
    if (open === "{") {
      const end = endOf(text, at);
      name = JSON.parse(text.slice(at, end)) as string;
      at = skip(text, skip(text, end, BLANK) + 1, BLANK); // over the colon
    }
    const end = endOf(text, at);
    each(text.slice(at, end), name);
    at = skip(text, end, BLANK);
    if (text[at] === ",") at = skip(text, at + 1, BLANK);
  }
}

/** The member of an object with this name, the last one as for JSON.parse; undefined when there is none. */
export function memberText(object: string, name: string): string | undefined {
  let found: string | undefined;
  walk(object, "{", (value, member) => {
    if (member === name) found = value;
  });
  return found;
}

export function elementTexts(array: string): readonly string[] {
  const found: string[] = [];
  walk(array, "[", (value) => found.push(value));
  return found;
}
