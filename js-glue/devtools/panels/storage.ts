/** Where the work lies: what the browser promises, how full it is, and what it can do. */

import { type ComponentChild, h } from "preact";
import { readCapabilities } from "../../browser/capabilities.ts";
import { openDatabase } from "../../browser/database.ts";
import { asFailure } from "../../core/errors.ts";
import type { PanelProps } from "../app.ts";
import { useActing, useLive, useStatus } from "../hooks.ts";
import { badge, button, figures, outcome, quiet, table, text } from "../view.ts";

const LOOK_MS = 3_000;

const DURABILITY: Readonly<Record<string, string>> = {
  memory: "memory only: nothing survives this page",
  durable: "durable: survives tab and browser",
  strict: "strict: survives a power cut, too",
  replicated: "replicated: the server has it",
};
const STORES: Readonly<Record<string, string>> = {
  meta: "who this is, how far it has come",
  segments: "events that wait",
  deadletters: "events the server refused",
  docs: "documents and their edits",
  conflicts: "conflicts",
  cache_index: "",
  cache_body: "",
  models: "models and what they have learned",
};

/** How many records each object store holds; empty while there is no database. */
async function countRecords(database: string): Promise<readonly (readonly [string, number])[]> {
  const opened = await openDatabase(database, {}).catch((error: unknown) => {
    if (asFailure(error, "storage_failed").code === "not_found") return undefined;
    throw error;
  });
  if (!opened) return [];
  const { db } = opened;
  try {
    const tx = db.transaction([...db.objectStoreNames], "readonly");
    return await Promise.all(
      [...db.objectStoreNames].map(
        (name) =>
          new Promise<readonly [string, number]>((resolve, reject) => {
            const request = tx.objectStore(name).count();
            request.onsuccess = () => resolve([name, request.result]);
            request.onerror = () => reject(asFailure(request.error, "storage_failed"));
          }),
      ),
    );
  } finally {
    db.close(); // one that stays open would block an erasure
  }
}

interface Report {
  readonly usage: number | undefined;
  readonly quota: number | undefined;
  readonly persisted: boolean | undefined;
  readonly able: readonly (readonly [string, boolean])[];
  readonly records: readonly (readonly [string, number])[];
}

async function look(database: string): Promise<Report> {
  // Some browsers have no StorageManager at all.
  const storage: StorageManager | undefined = navigator.storage;
  const [estimate, { storage: kept, ...able }, records] = await Promise.all([
    storage?.estimate?.().catch(() => undefined),
    readCapabilities(),
    countRecords(database),
  ]);
  return {
    usage: estimate?.usage,
    quota: estimate?.quota,
    persisted: kept.persisted,
    able: Object.entries(able).filter((entry): entry is [string, boolean] => typeof entry[1] === "boolean"),
    records,
  };
}

export function StoragePanel({ engine, allowed }: PanelProps): ComponentChild {
  const status = useStatus(engine);
  const { database, traps } = engine.inspect();
  const { value, trouble, refresh } = useLive(
    () => look(database),
    (changed) => {
      const timer = setInterval(changed, LOOK_MS);
      return () => clearInterval(timer);
    },
    [database],
  );
  const acting = useActing(refresh);
  const ask = async (): Promise<void> => {
    if (!(await navigator.storage.persist()))
      throw new Error("the browser said no; it may say yes to an installed app");
  };
  const { persisted } = value ?? {};
  const states = {
    ok: ["good", "in order"],
    opening: ["", "opening"],
    memory: ["bad", "memory"],
    lost: ["bad", "was emptied"],
  } as const;
  const [tone, words] = states[status.storage];
  return h(
    "div",
    null,
    h(
      "div",
      { class: "line" },
      badge(tone, `storage: ${words}`),
      quiet(DURABILITY[status.durability] ?? status.durability),
    ),
    figures([
      ["used by this site", text.bytes(value?.usage)],
      ["offered", text.bytes(value?.quota)],
      ["kept under pressure", persisted === undefined ? "unknown" : persisted ? "yes" : "best effort"],
      ["restarts of the core", text.count(traps)],
    ]),
    allowed && persisted === false && typeof navigator.storage?.persist === "function"
      ? button("Ask the browser to keep it", () => acting.act(ask, "It will be kept."), { disabled: acting.busy })
      : null,
    table(
      `Records in ${database}`,
      ["store", "records", "what they are"],
      (value?.records ?? [])
        .filter(([name]) => STORES[name] !== "")
        .map(([name, count]) => ({ key: name, cells: [name, text.count(count), STORES[name] ?? ""] })),
    ),
    table(
      "What this browser can do",
      ["feature", ""],
      (value?.able ?? []).map(([name, can]) => ({
        key: name,
        cells: [
          name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
          can ? badge("good", "yes") : badge("", "no"),
        ],
      })),
    ),
    outcome(acting, trouble),
  );
}
