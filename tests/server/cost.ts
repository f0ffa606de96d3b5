/** What processes cost: CPU time and memory from /proc, in microseconds and bytes. */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const TICK_US = 1e6 / Number(execFileSync("getconf", ["CLK_TCK"]).toString());

function stat(pid: string): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // it has ended
  }
}

const ticks = (fields: readonly string[] | undefined, from: number, count: number): number =>
  fields ? fields.slice(from, from + count).reduce((sum, value) => sum + Number(value), 0) : 0;

/** User and system time of one process so far, in microseconds. */
export const cpuOf = (pid: number | string): number => ticks(stat(String(pid)), 11, 2) * TICK_US;

/** Of a process, its living children and those that have ended: a PostgreSQL cluster by its postmaster. */
export function cpuOfTree(pid: number | string): number {
  let sum = ticks(stat(String(pid)), 11, 4);
  for (const one of readdirSync("/proc"))
    if (/^\d+$/.test(one)) {
      const fields = stat(one);
      if (fields?.[1] === String(pid)) sum += ticks(fields, 11, 4);
    }
  return sum * TICK_US;
}

/** Resident memory now, in bytes. */
export function rssOf(pid: number | string): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1_024;
}

export const percentile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
};
