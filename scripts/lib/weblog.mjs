// The real web log as events in the fixed shape its README gives; generated ones of the same shape where it is missing.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dataFolder } from "./data.mjs";

const line_shape = /^(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+) ([^"]*)" (\d+) (\d+|-) "([^"]*)" "([^"]*)"/;

function toEvent(line) {
  const match = line_shape.exec(line);
  if (!match) return undefined;
  const [, visitor, stamp, method, path, protocol, status, bytes, referrer, userAgent] = match;
  const time = Date.parse(stamp.replace(/^(\d+)\/(\w+)\/(\d+):/, "$1 $2 $3 "));
  return {
    visitor,
    time,
    method,
    path,
    protocol,
    status: Number(status),
    bytes: bytes === "-" ? 0 : Number(bytes),
    referrer,
    userAgent,
  };
}

function* generated() {
  let state = 12_345;
  const next = (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % bound;
  };
  for (let i = 0; ; i++) {
    const page = Math.floor(400 / (1 + next(100)));
    yield {
      visitor: `10.0.${next(40)}.${next(250)}`,
      time: 1_431_900_000_000 + i * 1_000 + next(900),
      method: next(50) === 0 ? "POST" : "GET",
      path: `/article/${page}`,
      protocol: "HTTP/1.1",
      status: [200, 200, 200, 304, 404][next(5)],
      bytes: next(60_000),
      referrer: next(2) === 0 ? "-" : `https://example.org/article/${page}`,
      userAgent: `Mozilla/5.0 (X11; Linux x86_64) Browser/${next(9)}.0`,
    };
  }
}

/** `count` events, and whether they are the real ones. */
export function weblogEvents(count) {
  const folder = dataFolder("weblog");
  const events = folder
    ? readFileSync(join(folder, "apache_logs.txt"), "utf8").split("\n").map(toEvent).filter(Boolean)
    : [];
  const real = events.length > 0;
  const more = generated();
  while (events.length < count) events.push(real ? events[events.length % 9_999] : more.next().value);
  return { real, events: events.slice(0, count) };
}
