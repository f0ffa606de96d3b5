/** What comes with a poke is looked at before it is believed. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { newsOf } from "../../js-glue/documents/pages.ts";

const news = { space: "~", after: "a", cursor: "b", more: false, changes: [{ n: 1, key: "note/1", body: "AQI=" }] };

describe("news that come with a poke", () => {
  test("are a page behind a cursor", () => {
    assert.deepEqual(newsOf(JSON.stringify(news)), {
      space: "~",
      after: "a",
      page: { cursor: "b", more: false, changes: [{ key: "note/1", body: Uint8Array.of(1, 2) }] },
    });
  });

  test("that are anything else are a plain poke", () => {
    const strange = [
      ...["", "{}", "null", "7", '"text"', "[]", "{", JSON.stringify(news).slice(0, -1)],
      ...[
        { ...news, space: 7 },
        { ...news, after: undefined },
        { ...news, cursor: null },
        { ...news, more: "no" },
        { ...news, changes: {} },
        { ...news, changes: [null] },
        { ...news, changes: [{ key: 1, body: "AQI=" }] },
        { ...news, changes: [{ key: "note/1", body: "no_base64!" }] },
        { ...news, changes: [{ key: "note/1" }] },
      ].map((one) => JSON.stringify(one)),
    ];
    for (const data of strange) assert.equal(newsOf(data), undefined, data);
  });
});
