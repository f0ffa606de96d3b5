import { readFileSync } from "node:fs";
import { at, capture } from "../lib/run.mjs";

export const claim = {
  name: "server.alerts",
  title: "Alert rules fire on recorded series of trouble, stay silent on a healthy one, and use metrics that exist",
  bar: "promtool: every rule test passes; every oas_ metric named by an alert or a dashboard panel is one the server exports",
  needs: ["operations"],
  async run({ log }) {
    const tests = capture("promtool", ["test", "rules", at("tests/server/alerts.test.yml")], { check: false });
    if (tests.code !== 0) log(tests.stdout + tests.stderr);
    const source = readFileSync(at("js-glue/server/operations/metrics.ts"), "utf8");
    const exported = new Set(
      [...source.matchAll(/(?:counter|gauge|seconds)\("(\w+)"|name: "oas_(\w+)"/g)].map(([, a, b]) => a ?? b),
    );
    // Made by prom-client itself.
    for (const name of ["process_resident_memory_bytes", "process_cpu_seconds_total"]) exported.add(name);
    const files = ["docs/operations/prometheus-alerts.yml", "docs/operations/grafana-dashboard.json"];
    const named = new Set(
      files.flatMap((file) => [...readFileSync(at(file), "utf8").matchAll(/\boas_(\w+)/g)].map(([, name]) => name)),
    );
    const unknown = [...named].filter((name) => !exported.has(name.replace(/_(bucket|count|sum)$/, "")));
    for (const name of unknown) log(`no such metric: oas_${name}`);
    return {
      ok: tests.code === 0 && unknown.length === 0,
      scope: "docs/operations",
      figures: { ruleTests: tests.code === 0 ? "passed" : "failed", metricsNamed: named.size, unknown },
    };
  },
};
