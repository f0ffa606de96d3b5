// One line that says what the figures were measured on.

import { readFileSync } from "node:fs";
import { arch, cpus, platform, release, totalmem } from "node:os";

function systemName() {
  try {
    const name = /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync("/etc/os-release", "utf8"));
    if (name) return name[1];
  } catch {
    // Not every system has the file; its kernel's name must do.
  }
  return `${platform()} ${release()}`;
}

export function machine() {
  const cores = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cores.length} x ${cores[0]?.model.trim() ?? arch()}, ${memory} GB, ${systemName()}, Node ${process.versions.node}`;
}
