/** Parts of a JSON text come out as they were written, and are the parts that JSON.parse sees. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { elementTexts, memberText } from "../../js-glue/server/http/raw-json.ts";

describe("parts of a JSON text", () => {
  test("digits stay", () => {
    assert.equal(memberText('{"a":1,"value" : 9007199254740993.10 ,"b":2}', "value"), "9007199254740993.10");
    assert.equal(
      memberText('{ "value":{"n":[123456789012345678901, "}]\\"" ]}}', "value"),
      '{"n":[123456789012345678901, "}]\\"" ]}',
    );
    assert.equal(memberText('{"v\\u0061lue":1e400,"value":2}', "value"), "2");
    assert.equal(memberText('{"value":2,"v\\u0061lue":-0}', "value"), "-0");
    assert.equal(memberText('{"other":{"value":1}}', "value"), undefined);
    assert.equal(memberText('["value"]', "value"), undefined);
    assert.deepEqual(elementTexts('[ 1.0 , {"a":[]}, "x,]" ]'), ["1.0", '{"a":[]}', '"x,]"']);
    assert.deepEqual(elementTexts("[]"), []);
  });

  test("any JSON, however it is spaced", () => {
    const text = fc
      .tuple(fc.jsonValue(), fc.constantFrom(0, 1, "\t"))
      .map(([value, space]) => JSON.stringify(value, null, space));
    fc.assert(
      fc.property(text, (json) => {
        const value = JSON.parse(json) as unknown;
        if (Array.isArray(value))
          assert.deepEqual(
            elementTexts(json).map((one) => JSON.parse(one) as unknown),
            value,
          );
        else if (typeof value === "object" && value !== null)
          for (const [name, member] of Object.entries(value))
            assert.deepEqual(JSON.parse(memberText(json, name) ?? ""), member);
        else assert.deepEqual(elementTexts(json), []);
      }),
    );
  });
});
