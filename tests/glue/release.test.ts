/** What stands between a checkout and a published version: each fault is named. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";

type Manifest = Readonly<Record<string, unknown>>;
interface Release {
  readVersion(text: string): object | null;
  isAfter(a: string, b: string): boolean;
  changelogFaults(text: string, version: string): readonly string[];
  manifestFaults(manifest: Manifest): readonly string[];
  namedFiles(manifest: Manifest): readonly string[];
  contentFaults(paths: readonly string[], manifest: Manifest): readonly string[];
}

const root = process.env["OAS_ROOT"] ?? process.cwd();
const release = (await import(pathToFileURL(join(root, "scripts/lib/release.mjs")).href)) as Release;
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

describe("a release", () => {
  test("versions are semantic, and in order", () => {
    for (const text of ["1.2", "v1.2.3", "1.2.3-", "latest"]) assert.equal(release.readVersion(text), null, text);
    const ordered = ["0.1.0-beta.2", "0.1.0-beta.10", "0.1.0", "0.1.1-rc.1", "0.2.0", "0.10.0", "1.0.0"];
    for (const [at, later] of ordered.entries())
      for (const [before, earlier] of ordered.entries())
        assert.equal(release.isAfter(later, earlier), at > before, `${later} after ${earlier}`);
  });

  test("the changelog has a section of the day for it, which is the newest and says something", () => {
    const good = "# Changelog\n\n## 0.2.0 (2030-01-31)\n- It does more.\n\n## 0.1.0 (2029-01-31)\n- It is there.\n";
    assert.deepEqual(release.changelogFaults(good, "0.2.0"), []);
    assert.match(release.changelogFaults(good, "0.1.0").join(), /not the newest/);
    assert.match(release.changelogFaults(good, "0.3.0").join(), /no section/);
    assert.match(release.changelogFaults("## 0.2.0 (unreleased)\n- more", "0.2.0").join(), /must name the day/);
    assert.match(release.changelogFaults("## 0.2.0 (2030-01-31)\n", "0.2.0").join(), /says nothing/);
  });

  test("this package runs nothing at installation and pulls nothing in", () => {
    assert.deepEqual(release.manifestFaults(manifest), []);
    assert.match(release.manifestFaults({ ...manifest, scripts: { postinstall: "x" } }).join(), /postinstall/);
    assert.match(release.manifestFaults({ ...manifest, dependencies: { left: "1" } }).join(), /dependencies/);
  });

  test("what is packed is what is meant to be", () => {
    const named = release.namedFiles(manifest);
    assert.ok(named.includes("dist/cli.js") && named.includes("dist/index.d.ts") && named.includes("dist/core.wasm"));
    const good = [
      ...named,
      "LICENSE",
      "NOTICE",
      "README.md",
      "dist/starter/gitignore",
      "dist/models/intent/model.oasm",
    ];
    assert.deepEqual(release.contentFaults(good, manifest), []);
    assert.match(release.contentFaults(good.slice(1), manifest).join(), /would lack/);
    for (const path of [
      "src/base/limits.h",
      "dist/key.pem",
      "dist/.env",
      "dist/demo/runtimes/x.wasm",
      "dist/a.test.js",
    ])
      assert.deepEqual(release.contentFaults([...good, path], manifest), [`the package would hold ${path}`]);
  });
});
