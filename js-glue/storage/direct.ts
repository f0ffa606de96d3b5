/** The way past a full disk: one critical event straight to the server, once however often it has to be sent. */

import type { Receipt } from "../browser/client.ts";
import type { Host } from "../browser/host.ts";
import { toHex } from "../core/bytes.ts";
import type { QueuedEvent } from "../core/calls.ts";
import { formatDeviceId } from "../core/device-id.ts";
import { type ErrorCode, failure, numberOf, type OfflineSyncError } from "../core/errors.ts";
import type { VerdictKind } from "../core/events.ts";
import type { Verdict } from "../core/settlements.ts";

const TRIES_MAX = 3;
const TIMEOUT_MS = 15_000;
const PAUSE_MS = 500;
/** Between questions about an event that the server has put off, and how many. */
const DEFERRED_MS = 5_000;
const QUESTIONS_MAX = 100;

interface Answer {
  readonly eventId: string;
  readonly status: VerdictKind;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Resolves when the server has stored it. Rejects with `full`, the refusal of the disk, when the server does not answer, and
 * with the server's own error when that refuses the event.
 */
export async function sendDirectly(
  { transport, device, register }: Pick<Host, "transport" | "device" | "register">,
  { eventType, moduleId, eventData, entity, dedupeKey }: QueuedEvent,
  full: unknown,
): Promise<Receipt> {
  const what = { eventType, moduleId, eventData, entity, dedupeKey, priority: "critical" };
  // A stream of its own, so that a repetition after a lost answer is the same event.
  const epoch = toHex(crypto.getRandomValues(new Uint8Array(8)));
  const body = { deviceId: formatDeviceId(device), epoch, seq: 1, ...what };
  let introduced = false;
  const ask = async (): Promise<Answer> => {
    for (let tries = 1; ; tries++) {
      const response = await transport.post("/events/queue", body, TIMEOUT_MS).catch(() => undefined);
      if (response?.ok) return (await response.json()) as Answer;
      const refusal = response && response.status < 500 ? await refusalOf(response) : undefined;
      // A device that has never reached the server makes itself known, once.
      const stranger = refusal?.code === "unknown_device" && !introduced;
      if (refusal && !stranger) throw refusal;
      if (tries === TRIES_MAX) throw full;
      if (stranger) {
        introduced = true;
        await register(true);
        continue;
      }
      await pause(PAUSE_MS * tries);
    }
  };
  const answer = await ask();
  return {
    id: answer.eventId,
    durability: "replicated",
    get synced() {
      return verdictOf(answer, ask);
    },
  };
}

async function verdictOf(first: Answer, ask: () => Promise<Answer>): Promise<Verdict> {
  let { status } = first;
  for (let asked = 0; status === "deferred"; asked++) {
    if (asked === QUESTIONS_MAX) throw failure("offline", "the server has not decided yet");
    await pause(DEFERRED_MS);
    status = (await ask()).status;
  }
  return { kind: status };
}

async function refusalOf(response: Response): Promise<OfflineSyncError> {
  const { code = "", detail = "" } = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  const known = numberOf(code as ErrorCode) > 0 ? (code as ErrorCode) : "rejected";
  return failure(known, detail || `the server answered ${response.status}`);
}
