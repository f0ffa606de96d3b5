/**
 * Reads the decisions and feedback that clients with `logDecisions` queued, and gives them to the estimator.
 *
 * They are ordinary stored events, so what was erased or has passed its retention is not counted. Device by device, in the
 * order of random ids and in short transactions: memory is bounded, and where a limit ends the reading early, a random share
 * of the devices was read. Everything in an event is a stranger's word: what does not fit is left out and counted.
 */

import { z } from "zod";
import { int, text } from "../store/rows.ts";
import type { DeviceRecord, Store } from "../store/store.ts";
import type { OffPolicy, Sample } from "./off-policy.ts";

export const DECISION_TYPE = "personalization.decision";
export const FEEDBACK_TYPE = "personalization.feedback";

/** Actions of one report: places are bytes. */
export const ACTIONS_MAX = 100;
/** One device's word weighs no more than this many decisions. */
export const DEVICE_DECISIONS_MAX = 2_000;
/** Events of one report; then it is not `complete`. */
export const REPORT_EVENTS_MAX = 500_000;
/** Nobody explores more rarely; a smaller one would outweigh everything else. */
export const PROPENSITY_MIN = 1e-6;
const PAGE_DEVICES = 500;
const PAGE_EVENTS = 200; // of 40 kB at most

/** Decisions, by reason; with those that were matched they are all. */
export interface LeftOut {
  /** No decision at all, or one that contradicts itself. */
  malformed: number;
  /** Propensity out of (0, 1]. */
  propensity: number;
  noFeedback: number;
  /** Another one under an id that was there. */
  repeated: number;
  /** Too many actions, or too many decisions of one device. */
  aboveLimits: number;
}

export interface DecisionCounts {
  /** Devices that decided anything. */
  readonly devices: number;
  readonly decisions: number;
  readonly leftOut: LeftOut;
  /** Feedback that is none, or comes a second time: the first counts. */
  readonly badFeedback: number;
  readonly complete: boolean;
}

export interface Window {
  /** Milliseconds since 1970, by the server's clock: decisions that arrived at `from` or later, and before `to`. */
  readonly from: number;
  readonly to: number;
}

const id = z.string().regex(/^[0-9a-f]{16}$/);
const action = z.string().max(256);
const decisionShape = z.object({
  id,
  action,
  propensity: z.number(),
  actions: z.array(action).min(1).max(1_000),
});
const feedbackShape = z.object({ id, reward: z.number().min(0).max(1) });

function parsed<T extends z.ZodType>(shape: T, payload: Uint8Array): z.output<T> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload).toString());
  } catch {
    return undefined; // no JSON is no decision
  }
  return shape.safeParse(value).data;
}

interface StoredEvent {
  readonly type: string;
  readonly at: number;
  readonly payload: Uint8Array;
}

/** One device's decisions, which wait for their feedback, whichever comes first. */
class DeviceLog {
  readonly #waiting = new Map<string, Omit<Sample, "reward">>();
  readonly #rewards = new Map<string, number>();
  readonly #ids = new Set<string>();
  readonly #policy: OffPolicy;
  readonly #half: 0 | 1;
  readonly #leftOut: LeftOut;
  decisions = 0;
  badFeedback = 0;

  constructor(policy: OffPolicy, device: Uint8Array, leftOut: LeftOut) {
    this.#policy = policy;
    this.#half = ((device.at(-1) ?? 0) & 1) === 0 ? 0 : 1;
    this.#leftOut = leftOut;
  }

  take({ type, at, payload }: StoredEvent, window: Window): void {
    if (type === FEEDBACK_TYPE) {
      this.#feedback(payload);
    } else if (at < window.to) {
      this.decisions++;
      this.#decision(payload);
    }
  }

  end(): void {
    this.#leftOut.noFeedback += this.#waiting.size;
  }

  #decision(payload: Uint8Array): void {
    const left = this.#leftOut;
    const decision = parsed(decisionShape, payload);
    if (!decision?.actions.includes(decision.action)) left.malformed++;
    else if (new Set(decision.actions).size !== decision.actions.length) left.malformed++;
    else if (decision.propensity < PROPENSITY_MIN || decision.propensity > 1) left.propensity++;
    else if (this.#ids.has(decision.id)) left.repeated++;
    else if (this.#ids.size >= DEVICE_DECISIONS_MAX) left.aboveLimits++;
    else {
      const actions = this.#policy.placesOf(decision.actions);
      const chosen = actions?.[decision.actions.indexOf(decision.action)];
      if (!actions || chosen === undefined) {
        left.aboveLimits++;
        return;
      }
      this.#ids.add(decision.id);
      this.#waiting.set(decision.id, { action: chosen, actions, propensity: decision.propensity });
      this.#join(decision.id);
    }
  }

  #feedback(payload: Uint8Array): void {
    const feedback = parsed(feedbackShape, payload);
    if (!feedback || this.#rewards.has(feedback.id)) {
      this.badFeedback++;
    } else if (this.#rewards.size < DEVICE_DECISIONS_MAX) {
      this.#rewards.set(feedback.id, feedback.reward);
      this.#join(feedback.id);
    }
  }

  #join(decisionId: string): void {
    const decision = this.#waiting.get(decisionId);
    const reward = this.#rewards.get(decisionId);
    if (!decision || reward === undefined) return;
    this.#waiting.delete(decisionId);
    this.#policy.add(this.#half, { ...decision, reward });
  }
}

const readEvents = (
  store: Store,
  tenant: string,
  device: Uint8Array,
  from: number,
  after: number,
): Promise<readonly (StoredEvent & { readonly arrival: number })[]> =>
  store.read(async ({ connection }) => {
    const rows = await connection.query(
      `SELECT arrival, event_type, received_at, payload FROM offline_sync_queue
        WHERE tenant_id = $1 AND device_id = $2 AND arrival > $3 AND received_at >= $4 AND status = 0
          AND event_type IN ('${DECISION_TYPE}', '${FEEDBACK_TYPE}')
        ORDER BY arrival LIMIT ${PAGE_EVENTS}`,
      [tenant, device, after, from],
    );
    return rows.map((row) => ({
      arrival: int(row, "arrival"),
      type: text(row, "event_type"),
      at: int(row, "received_at"),
      payload: row["payload"] as Uint8Array,
    }));
  });

/** Gives `policy` every decision of the window that has its feedback. `eventsMax`: for tests. */
export async function readDecisions(
  store: Store,
  tenant: string,
  window: Window,
  policy: OffPolicy,
  eventsMax: number = REPORT_EVENTS_MAX,
): Promise<DecisionCounts> {
  const leftOut = { malformed: 0, propensity: 0, noFeedback: 0, repeated: 0, aboveLimits: 0 };
  let [devices, decisions, badFeedback, events] = [0, 0, 0, 0];
  let page: readonly DeviceRecord[] = [];
  do {
    const last = page.at(-1)?.device;
    page = await store.read((reads) => reads.devices(tenant, undefined, PAGE_DEVICES, last));
    for (const { device, arrivalHead, seenAt } of page) {
      if (arrivalHead === 0 || seenAt < window.from) continue; // sent nothing in the window
      const log = new DeviceLog(policy, device, leftOut);
      for (let after: number | undefined = 0; after !== undefined; ) {
        const found = await readEvents(store, tenant, device, window.from, after);
        for (const event of found) log.take(event, window);
        events += found.length;
        after = found.length < PAGE_EVENTS || events >= eventsMax ? undefined : found.at(-1)?.arrival;
      }
      log.end();
      decisions += log.decisions;
      badFeedback += log.badFeedback;
      if (log.decisions > 0) devices++;
      if (events >= eventsMax) return { devices, decisions, leftOut, badFeedback, complete: false };
    }
  } while (page.length === PAGE_DEVICES);
  return { devices, decisions, leftOut, badFeedback, complete: true };
}
