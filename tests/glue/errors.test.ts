// The package's entries are bundled apart, and an error goes from one to another.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";

const root = process.env["OAS_ROOT"] ?? process.cwd();
interface Entries {
  readonly OfflineSyncError: new () => Error;
  withDocuments(engine: object): { collection(name: string): unknown };
}
const entry = (name: string): Promise<Entries> => import(pathToFileURL(join(root, "dist", `${name}.js`)).href);

describe("errors", () => {
  test("of one entry are errors to another one", async () => {
    const [{ OfflineSyncError }, { withDocuments }] = await Promise.all([entry("index"), entry("documents")]);
    const engine = withDocuments({});
    assert.throws(
      () => engine.collection("no collection"),
      (error) => error instanceof OfflineSyncError,
    );
    assert.equal(({} as object) instanceof OfflineSyncError, false);
    assert.equal(new Error("other") instanceof OfflineSyncError, false);
  });
});
