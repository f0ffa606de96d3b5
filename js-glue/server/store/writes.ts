/** The writing half of the store: one statement per table and call, whatever the number of rows. */

import { randomUUID } from "node:crypto";
import { formatEventId, type Position } from "../../core/events.ts";
import type { StreamWrite, VoidWrite } from "../session.ts";
import { Kind } from "../session.ts";
import { type AnalyticsBlock, insertBlocks } from "./blocks.ts";
import type { WireType } from "./copy-in.ts";
import type { Columns, SqlValue } from "./database.ts";
import { idParams, SqlReads } from "./reads.ts";
import { Batch, int, positionOf, toSql, word, writeIds } from "./rows.ts";
import type {
  ApiKey,
  AuditEntry,
  DeadLetter,
  DeferredEvent,
  DeviceProfile,
  DeviceRecord,
  InboxEvent,
  Writes,
} from "./store.ts";
import { referenceOf, subjectKey } from "./subject-key.ts";

const DEVICE = "tenant_id = $1 AND device_id = $2";
const EVENT = `${DEVICE} AND epoch = $3 AND lane = $4 AND client_seq = $5`;

const POSITION: Columns = [
  ["epoch", "int"],
  ["lane", "int"],
  ["client_seq", "int"],
];

const TABLES = {
  offline_sync_queue: [
    ...POSITION,
    ["arrival", "int"],
    ["roll_hash", "int"],
    ["status", "int"],
    ["code", "int"],
    ["event_type", "text"],
    ["module_id", "text"],
    ["entity", "text"],
    ["hlc", "int"],
    ["recovered", "int"],
    ["received_at", "int"],
    ["payload", "bytes"],
  ],
  event_verdict: [...POSITION, ["kind", "int"], ["code", "int"], ["decided_at", "int"]],
  deferred: [
    ...POSITION,
    ["arrival", "int"],
    ["entity_hash", "int"],
    ["waits_for", "text"],
    ["dedupe_key", "text"],
    ["replaces", "text"],
    ["tries", "int"],
    ["next_at", "int"],
    ["reason", "text"],
  ],
  stream_void: [
    ["epoch", "int"],
    ["lane", "int"],
    ["from_seq", "int"],
    ["to_seq", "int"],
    ["reason", "int"],
    ["hash_before", "int"],
    ["hash_after", "int"],
    ["created_at", "int"],
    ["recovered_at", "int"],
  ],
} as const satisfies Record<string, Columns>;

/** Below this, COPY's own round trip costs more than it saves. */
const COPY_ROWS_MIN = 8;
const INBOX_NAMES = ["tenant_id", "device_id", ...TABLES.offline_sync_queue.map(([name]) => name)];
const INBOX_WIDTHS: Readonly<Record<string, WireType>> = {
  tenant_id: "text",
  device_id: "bytea",
  lane: "int2",
  status: "int2",
  recovered: "int2",
  code: "int4",
};
const WIRE_TYPES = { int: "int8", text: "text", bytes: "bytea" } as const;
// The hottest rows there are: pushed one after another, because spreading them costs as much as writing some of them.
function inboxRow(event: InboxEvent, row: SqlValue[]): SqlValue[] {
  const { id } = event;
  row.push(toSql(id.epoch), id.lane, id.seq, event.arrival, toSql(event.hash), event.status, event.code, event.type);
  row.push(event.module, event.entity, toSql(event.hlc), event.recovered ? 1 : 0, event.receivedAt, event.payload);
  return row;
}

const INBOX_TYPES: readonly WireType[] = [
  "text",
  "bytea",
  ...TABLES.offline_sync_queue.map(([name, type]) => INBOX_WIDTHS[name] ?? WIRE_TYPES[type]),
];

const MOVE: Columns = [
  ["epoch", "int"],
  ["lane", "int"],
  ["seq_before", "int"],
  ["hash_before", "int"],
  ["seq_after", "int"],
  ["hash_after", "int"],
];

export class SqlWrites extends SqlReads implements Writes {
  async bindDevice(tenant: string, device: Uint8Array, principal: string, now: number): Promise<boolean> {
    const made = await this.connection.run(
      `INSERT INTO device_sync_state (tenant_id, device_id, principal_id, registered_at, seen_at)
       VALUES ($1, $2, $3, $4, $4) ON CONFLICT (tenant_id, device_id) DO NOTHING`,
      [tenant, device, principal, now],
    );
    return made === 1;
  }

  async describeDevice(tenant: string, device: Uint8Array, profile: DeviceProfile): Promise<void> {
    // What a call leaves out stays as it was.
    await this.connection.run(
      `UPDATE device_sync_state SET device_type = COALESCE($3, device_type), platform = COALESCE($4, platform),
         user_agent = COALESCE($5, user_agent), capabilities = COALESCE($6, capabilities),
         caps_digest = COALESCE($7, caps_digest), public_key = COALESCE($8, public_key),
         app_version = COALESCE($9, app_version) WHERE ${DEVICE}`,
      [
        tenant,
        device,
        profile.deviceType ?? null,
        profile.platform ?? null,
        profile.userAgent ?? null,
        profile.capabilities ?? null,
        profile.capsDigest ?? null,
        profile.publicKey ?? null,
        profile.appVersion ?? null,
      ],
    );
  }

  async setOnline(
    tenant: string,
    device: Uint8Array,
    online: boolean,
    networkType: string | null,
    now: number,
  ): Promise<void> {
    await this.connection.run(
      `UPDATE device_sync_state SET online = $3, network_type = $4, seen_at = $5 WHERE ${DEVICE}`,
      [tenant, device, online ? 1 : 0, networkType, now],
    );
  }

  async advanceDevice(
    tenant: string,
    device: Uint8Array,
    heads: Pick<DeviceRecord, "arrivalHead" | "lateHead" | "deferredCount">,
    now: number,
  ): Promise<void> {
    await this.connection.run(
      `UPDATE device_sync_state SET arrival_head = $3, late_head = $4, deferred_count = $5, seen_at = $6 WHERE ${DEVICE}`,
      [tenant, device, heads.arrivalHead, heads.lateHead, heads.deferredCount, now],
    );
  }

  async moveStreams(tenant: string, device: Uint8Array, moves: readonly StreamWrite[], now: number): Promise<boolean> {
    const fresh = moves.filter(({ before }) => before.seq === 0);
    const known = moves.filter(({ before }) => before.seq !== 0);
    const batch = new Batch(this.dialect, MOVE);
    const rows = (list: readonly StreamWrite[]): readonly SqlValue[] =>
      batch.params(
        list.map(({ stream, before, after }) => [
          toSql(stream.epoch),
          stream.lane,
          before.seq,
          toSql(before.hash),
          after.seq,
          toSql(after.hash),
        ]),
      );
    let moved = 0;
    if (known.length > 0)
      moved += await this.connection.run(
        `UPDATE device_stream SET last_seq = r.seq_after, roll_hash = r.hash_after, seen_at = $4 FROM ${batch.table(3)}
         WHERE device_stream.tenant_id = $1 AND device_stream.device_id = $2 AND device_stream.epoch = r.epoch
           AND device_stream.lane = r.lane AND device_stream.last_seq = r.seq_before AND device_stream.roll_hash = r.hash_before`,
        [tenant, device, ...rows(known), now],
      );
    if (fresh.length > 0)
      moved += await this.connection.run(
        `INSERT INTO device_stream (tenant_id, device_id, epoch, lane, last_seq, roll_hash, seen_at)
         SELECT $1, $2, r.epoch, r.lane, r.seq_after, r.hash_after, $4 FROM ${batch.table(3)} WHERE true
         ON CONFLICT (tenant_id, device_id, epoch, lane) DO NOTHING`,
        [tenant, device, ...rows(fresh), now],
      );
    return moved === moves.length;
  }

  async insertEvents(tenant: string, device: Uint8Array, events: readonly InboxEvent[]): Promise<void> {
    if (events.length >= COPY_ROWS_MIN) {
      const rows = events.map((event) => inboxRow(event, [tenant, device]));
      if (await this.connection.copy("offline_sync_queue", INBOX_NAMES, INBOX_TYPES, rows)) return;
    }
    const rows = events.map((event) => inboxRow(event, []));
    await this.#insert("offline_sync_queue", tenant, device, rows);
  }

  insertBlocks(
    tenant: string,
    device: Uint8Array,
    principal: string,
    blocks: readonly AnalyticsBlock[],
    now: number,
  ): Promise<void> {
    return insertBlocks(this.connection, this.dialect, { tenant, device, principal }, blocks, now);
  }

  async insertVerdicts(
    tenant: string,
    device: Uint8Array,
    verdicts: readonly { readonly id: Position; readonly kind: number; readonly code: number }[],
    now: number,
  ): Promise<void> {
    await this.#insert(
      "event_verdict",
      tenant,
      device,
      verdicts.map(({ id, kind, code }) => [...idParams(id), kind, code, now]),
    );
  }

  async insertDeferred(tenant: string, device: Uint8Array, events: readonly DeferredEvent[]): Promise<void> {
    await this.#insert(
      "deferred",
      tenant,
      device,
      events.map((event) => [
        ...idParams(event.id),
        event.arrival,
        event.entityHash,
        writeIds(event.after),
        event.dedupeKey,
        event.replaces ? formatEventId(event.replaces) : null,
        event.tries,
        event.nextAt,
        event.reason,
      ]),
    );
  }

  async insertVoids(tenant: string, device: Uint8Array, voids: readonly VoidWrite[], now: number): Promise<void> {
    await this.#insert(
      "stream_void",
      tenant,
      device,
      voids.map((hole) => [
        toSql(hole.stream.epoch),
        hole.stream.lane,
        hole.from,
        hole.to,
        hole.reason,
        toSql(hole.hashBefore),
        toSql(hole.hashAfter),
        now,
        null,
      ]),
    );
  }

  async markRecovered(tenant: string, device: Uint8Array, ids: readonly Position[], now: number): Promise<void> {
    // A range is cut around the number, so each number of it can come at most once.
    for (const { epoch, lane, seq } of ids) {
      const stream: SqlValue[] = [tenant, device, toSql(epoch), lane];
      const where = `${DEVICE} AND epoch = $3 AND lane = $4 AND from_seq`;
      const [row] = await this.connection.query(`SELECT * FROM stream_void WHERE ${where} <= $5 AND to_seq >= $5`, [
        ...stream,
        seq,
      ]);
      if (!row) continue;
      const [from, to] = [int(row, "from_seq"), int(row, "to_seq")];
      const part = (a: number, b: number, recovered: number | null): SqlValue[] => [
        toSql(epoch),
        lane,
        a,
        b,
        int(row, "reason"),
        toSql(word(row, "hash_before")),
        b === to ? toSql(word(row, "hash_after")) : 0, // no hash is known inside of a void
        int(row, "created_at"),
        recovered,
      ];
      await this.connection.run(`DELETE FROM stream_void WHERE ${where} = $5`, [...stream, from]);
      const parts = [part(from, seq - 1, null), part(seq, seq, now), part(seq + 1, to, null)];
      await this.#insert(
        "stream_void",
        tenant,
        device,
        parts.filter(([, , a, b]) => Number(a) <= Number(b)),
      );
    }
  }

  async insertDeadLetters(tenant: string, letters: readonly DeadLetter[]): Promise<void> {
    for (const letter of letters)
      await this.connection.run(
        `INSERT INTO dead_letter (tenant_id, device_id, epoch, lane, client_seq, principal_id, event_type, module_id,
           entity, hlc, payload, code, message, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
        [
          tenant,
          letter.device,
          ...idParams(letter.id),
          letter.principal,
          letter.type,
          letter.module,
          letter.entity,
          toSql(letter.hlc),
          letter.payload,
          letter.code,
          letter.message,
          letter.createdAt,
        ],
      );
  }

  async closeDeadLetter(tenant: string, device: Uint8Array, id: Position, as: string, now: number): Promise<boolean> {
    const closed = await this.connection.run(
      `UPDATE dead_letter SET retried_at = $6, retried_as = $7 WHERE ${EVENT} AND retried_at IS NULL`,
      [tenant, device, ...idParams(id), now, as],
    );
    return closed === 1;
  }

  async claimKey(
    tenant: string,
    device: Uint8Array,
    key: string,
    id: Position,
    now: number,
    expiresAt: number | null,
  ): Promise<boolean> {
    const claimed = await this.connection.run(
      `INSERT INTO dedupe_key (tenant_id, device_id, dedupe_key, epoch, lane, client_seq, expires_at)
       VALUES ($1, $2, $6, $3, $4, $5, $8) ON CONFLICT (tenant_id, device_id, dedupe_key) DO UPDATE SET
         epoch = excluded.epoch, lane = excluded.lane, client_seq = excluded.client_seq, expires_at = excluded.expires_at
       WHERE dedupe_key.expires_at <= $7`,
      [tenant, device, ...idParams(id), key, now, expiresAt],
    );
    if (claimed === 1) return true;
    const owner = await this.keyOwner(tenant, device, key, now);
    return owner !== undefined && formatEventId(owner) === formatEventId(id);
  }

  async keyOwner(tenant: string, device: Uint8Array, key: string, now: number): Promise<Position | undefined> {
    const rows = await this.connection.query(
      `SELECT epoch, lane, client_seq FROM dedupe_key WHERE ${DEVICE} AND dedupe_key = $3
         AND (expires_at IS NULL OR expires_at > $4)`,
      [tenant, device, key, now],
    );
    return rows[0] && positionOf(rows[0]);
  }

  async settleDeferred(
    tenant: string,
    device: Uint8Array,
    event: DeferredEvent,
    verdict: { readonly kind: number; readonly code: number; readonly lateNumber: number },
    now: number,
  ): Promise<void> {
    const id = idParams(event.id);
    await this.connection.run(`DELETE FROM deferred WHERE ${DEVICE} AND arrival = $3`, [tenant, device, event.arrival]);
    await this.connection.run(`UPDATE offline_sync_queue SET status = $6, code = $7 WHERE ${EVENT}`, [
      tenant,
      device,
      ...id,
      verdict.kind,
      verdict.code,
    ]);
    const updated = await this.connection.run(
      `UPDATE event_verdict SET kind = $6, code = $7, late_no = $8, decided_at = $9 WHERE ${EVENT} AND kind = ${Kind.deferred}`,
      [tenant, device, ...id, verdict.kind, verdict.code, verdict.lateNumber, now],
    );
    if (updated !== 1) throw new Error("a deferred event has no verdict row");
  }

  async postponeDeferred(
    tenant: string,
    device: Uint8Array,
    arrival: number,
    tries: number,
    nextAt: number,
    reason: string,
  ): Promise<void> {
    await this.connection.run(
      `UPDATE deferred SET tries = $4, next_at = $5, reason = $6 WHERE ${DEVICE} AND arrival = $3`,
      [tenant, device, arrival, tries, nextAt, reason],
    );
  }

  async insertApiKey(key: ApiKey, now: number): Promise<void> {
    await this.connection.run(
      `INSERT INTO api_key (tenant_id, prefix, principal_id, name, sha256, scopes, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
      [key.tenant, key.prefix, key.principal, key.name, key.sha256, key.scopes.join(" "), now],
    );
  }

  async audit(tenant: string, entries: readonly AuditEntry[]): Promise<void> {
    for (const { at, actor, action, subject, detail } of entries) {
      const key = await subjectKey(this.connection, tenant, actor, at);
      await this.connection.run(
        `INSERT INTO audit_log (tenant_id, id, at, actor, action, subject_ref, detail) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
        [tenant, randomUUID(), at, key.ref, action, referenceOf(key, subject), detail ?? null],
      );
    }
  }

  async #insert(
    table: keyof typeof TABLES,
    tenant: string,
    device: Uint8Array,
    rows: readonly (readonly SqlValue[])[],
  ): Promise<void> {
    if (rows.length === 0) return;
    const batch = new Batch(this.dialect, TABLES[table]);
    await this.connection.run(
      `INSERT INTO ${table} (tenant_id, device_id, ${batch.names}) SELECT $1, $2, ${batch.names} FROM ${batch.table(3)}`,
      [tenant, device, ...batch.params(rows)],
    );
  }
}
