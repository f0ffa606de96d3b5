import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { runProgram } from "../lib/program.mjs";
import { at, capture } from "../lib/run.mjs";

const routes_min = 45;

/** The JSON Schema of OpenAPI 3.1 documents is large; these are its rules that a generator breaks first. */
function shapeProblems(document) {
  const problems = [];
  if (!/^3\.1\.\d+$/.test(document.openapi)) problems.push("openapi is not 3.1");
  if (!document.info?.title || !document.info?.version) problems.push("info lacks title or version");
  const ids = new Set();
  for (const [path, methods] of Object.entries(document.paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const [method, operation] of Object.entries(methods)) {
      const where = `${method} ${path}`;
      if (ids.has(operation.operationId)) problems.push(`${where}: operationId is used twice`);
      ids.add(operation.operationId);
      const given = operation.parameters.filter((one) => one.in === "path").map(({ name }) => name);
      if (given.sort().join() !== named.sort().join())
        problems.push(`${where}: path parameters are ${given}, not ${named}`);
      if (Object.keys(operation.responses).length === 0) problems.push(`${where}: no responses`);
      for (const response of Object.values(operation.responses))
        if (!response.description) problems.push(`${where}: a response without a description`);
      if (operation.summary === `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`)
        problems.push(`${where}: no summary`);
      for (const need of operation.security)
        for (const scheme of Object.keys(need))
          if (!document.components.securitySchemes[scheme])
            problems.push(`${where}: unknown security scheme ${scheme}`);
    }
  }
  return problems;
}

export const claim = {
  name: "server.routes",
  title: "Every endpoint answers as the OpenAPI document says, called through the client made from that document",
  bar: `at least ${routes_min} operations on SQLite and PostgreSQL; the document is valid OpenAPI 3.1, the generated client passes tsc --strict, every operation is called through it and its answer fits its schema`,
  needs: ["build", "databases"],
  async run({ log }) {
    const folder = at("build", `routes-${process.pid}`);
    mkdirSync(folder, { recursive: true });
    try {
      const document = JSON.parse(capture(process.execPath, [at("dist/cli.js"), "openapi"]).stdout);
      const problems = shapeProblems(document);
      for (const problem of problems) log(problem);
      const source = `${folder}/client.ts`;
      writeFileSync(source, capture(process.execPath, [at("dist/cli.js"), "client"]).stdout);
      const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noUnusedLocals"];
      const target = [
        "--target",
        "es2022",
        "--lib",
        "es2023,dom",
        "--module",
        "esnext",
        "--moduleResolution",
        "bundler",
      ];
      const tsc = capture(at("node_modules/.bin/tsc"), [...strict, ...target, "--outDir", `${folder}/out`, source], {
        check: false,
      });
      if (tsc.code !== 0) log(tsc.stdout);
      writeFileSync(`${folder}/out/package.json`, '{"type":"module"}');
      const args = (kind) => [kind, `${folder}/out/client.js`];
      const results = await runProgram("tests/server/routes.main.ts", [
        { args: args("sqlite") },
        { args: args("postgresql"), postgres: true },
      ]);
      const well = ({ operations, roundTripped, problems: wrong }) => operations === roundTripped && wrong === 0;
      return {
        ok: problems.length === 0 && tsc.code === 0 && results.every(well) && results[0].operations >= routes_min,
        scope: "the operations are read from the document, the document from the route table",
        figures: { documentProblems: problems.length, clientCompiles: tsc.code === 0, results },
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
