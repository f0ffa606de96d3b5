// Values are refused by name, with the place, or kept exactly: never bent in silence.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeEvent } from "../../js-glue/core/calls.ts";
import { OfflineSyncError } from "../../js-glue/core/errors.ts";
import { formatEventId } from "../../js-glue/core/events.ts";
import { toJson, utf8Length } from "../../js-glue/core/validate.ts";
import { parseEventId } from "../../js-glue/core/verdicts.ts";

const refused = (code: string, path?: string) => (error: unknown) =>
  error instanceof OfflineSyncError && error.code === code && (path === undefined || error.path === path);

class Point {
  x = 1;
}
const cycle: Record<string, unknown> = { a: {} };
(cycle["a"] as Record<string, unknown>)["back"] = cycle;
const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 ? { a: value } : [value];
  return value;
};

const refusals: readonly [string, unknown, string, string][] = [
  ["NaN", { a: [1, Number.NaN] }, "unsupported_value", "$.a[1]"],
  ["Infinity", Number.POSITIVE_INFINITY, "unsupported_value", "$"],
  ["BigInt", { a: 1n }, "unsupported_value", "$.a"],
  ["undefined", { a: { "b c": undefined } }, "unsupported_value", '$.a["b c"]'],
  ["undefined itself", undefined, "unsupported_value", "$"],
  ["a hole in an array", new Array(3).fill(1, 0, 1), "unsupported_value", "$[1]"],
  ["function", { f: () => 1 }, "unsupported_value", "$.f"],
  ["symbol", [Symbol("s")], "unsupported_value", "$[0]"],
  ["symbol as key", { [Symbol("s")]: 1 }, "unsupported_value", "$"],
  ["cycle", cycle, "unsupported_value", "$.a.back"],
  ["Date", { at: new Date(0) }, "unsupported_value", "$.at"],
  ["Map", new Map([[1, 2]]), "unsupported_value", "$"],
  ["Set", [new Set()], "unsupported_value", "$[0]"],
  ["typed array", { a: new Uint8Array(2) }, "unsupported_value", "$.a"],
  ["class instance", { p: new Point() }, "unsupported_value", "$.p"],
  ["boxed number", new Number(1), "unsupported_value", "$"],
  ["toJSON", { a: { toJSON: () => 1 } }, "unsupported_value", "$.a"],
  ["lone surrogate", { a: "x\ud800y" }, "lone_surrogate", "$.a"],
  ["lone surrogate in a key", { "\udc00": 1 }, "lone_surrogate", '$["\\udc00"]'],
  ["65 levels", nested(65), "too_deep", ""],
  ["too many keys", Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [i, 0])), "too_many_keys", ""],
  ["too large", "x".repeat(39_999), "event_too_large", ""],
  ["too large in UTF-8", "é".repeat(20_000), "event_too_large", ""],
];

describe("toJson", () => {
  for (const [name, value, code, path] of refusals) {
    test(`refuses ${name}`, () => {
      assert.throws(() => toJson(value), refused(code, path || undefined));
    });
  }

  test("takes what lies just inside the limits", () => {
    toJson(nested(64));
    assert.equal(toJson("x".repeat(39_998)).length, 40_000);
  });

  test("keeps -0, and only that is not JSON.stringify's", () => {
    assert.equal(toJson(-0), "-0");
    assert.equal(toJson({ a: [-0, 0, { b: -0 }], "é\n": "é\u0000" }), '{"a":[-0,0,{"b":-0}],"é\\n":"é\\u0000"}');
  });

  test("takes top-level scalars, objects without prototype, and inert __proto__ keys", () => {
    for (const value of [null, true, "a", 0, 1e308, 5e-324]) assert.equal(toJson(value), JSON.stringify(value));
    assert.equal(toJson(Object.assign(Object.create(null), { a: 1 })), '{"a":1}');
    const hostile = JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as unknown;
    assert.equal(toJson(hostile), '{"__proto__":{"polluted":true},"constructor":1}');
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  test("one object at two places is no cycle", () => {
    const shared = { a: 1 };
    assert.equal(toJson([shared, shared]), '[{"a":1},{"a":1}]');
  });

  test("agrees with JSON.parse on everything it takes", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false } as never), (value) => {
        let text: string;
        try {
          text = toJson(value);
        } catch (error) {
          return refused("lone_surrogate")(error);
        }
        assert.deepEqual(JSON.parse(text), value);
        assert.equal(utf8Length(text), new TextEncoder().encode(text).length);
        return true;
      }),
      { numRuns: 500, seed: 7 },
    );
  });
});

describe("encodeEvent", () => {
  const event = { eventType: "a", moduleId: "m", eventData: 1 };

  test("writes six fields, each ended by U+0000", () => {
    const { text, lane } = encodeEvent({ ...event, priority: "critical", entity: "e", dedupeKey: "d" }, "strict");
    assert.equal(text, "02\0a\0m\0e\0d\u00001\0");
    assert.equal(lane, 0);
    assert.equal(encodeEvent(event, "durable").text, "21\0a\0m\0\0\u00001\0");
    assert.equal(encodeEvent(event, "replicated").text.slice(0, 2), "22");
  });

  test("refuses a bad envelope by name", () => {
    const bad: readonly [Record<string, unknown>, string][] = [
      [{ eventType: "" }, "invalid_envelope"],
      [{ eventType: undefined }, "invalid_envelope"],
      [{ moduleId: 5 }, "invalid_envelope"],
      [{ entity: "a\0b" }, "invalid_envelope"],
      [{ entity: "é".repeat(129) }, "invalid_envelope"],
      [{ dedupeKey: "\ud800" }, "lone_surrogate"],
      [{ priority: "urgent" }, "unknown_priority"],
    ];
    for (const [change, code] of bad) {
      assert.throws(
        () => encodeEvent({ ...event, ...change } as never, "strict"),
        refused(code),
        JSON.stringify(change),
      );
    }
    assert.throws(() => encodeEvent(event, "eternal" as never), refused("invalid_argument"));
    encodeEvent({ ...event, entity: "é".repeat(128) }, "strict");
  });
});

describe("event ids", () => {
  test("are UUID-shaped and come back", () => {
    const position = { epoch: 0x0123456789abcdefn, lane: 4, seq: 0x1234567 };
    const id = formatEventId(position);
    assert.equal(id, "01234567-89ab-cdef-0400-000001234567");
    assert.deepEqual(parseEventId(id.toUpperCase()), position);
    for (const bad of ["", `${id}0`, id.replace("-", ""), id.replace("04", "05"), id.slice(0, -7) + "0000000"]) {
      assert.equal(parseEventId(bad), undefined);
    }
  });
});
