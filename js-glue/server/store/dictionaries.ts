/** Dictionaries of devices: the last one each device sent, packed as it came. Losing one costs a push that is sent again. */

import type { Connection } from "./database.ts";
import { bytes, toSql, word } from "./rows.ts";

/** The migration from which on there are dictionaries. */
export const DICTIONARY_SCHEMA = 8;

export interface Dictionary {
  readonly id: bigint;
  readonly packed: Uint8Array;
}

export async function dictionaryOf(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
): Promise<Dictionary | undefined> {
  const [row] = await connection.query(
    "SELECT dictionary_id, body FROM device_dictionary WHERE tenant_id = $1 AND device_id = $2",
    [tenant, device],
  );
  // A copy: the driver's bytes may be a view into all that it read.
  return row && { id: word(row, "dictionary_id"), packed: Uint8Array.from(bytes(row, "body")) };
}

/** Takes the place of the one before. */
export async function putDictionary(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  { id, packed }: Dictionary,
  now: number,
): Promise<void> {
  await connection.run(
    `INSERT INTO device_dictionary (tenant_id, device_id, dictionary_id, body, stored_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (tenant_id, device_id) DO UPDATE
       SET dictionary_id = excluded.dictionary_id, body = excluded.body, stored_at = excluded.stored_at`,
    [tenant, device, toSql(id), packed, now],
  );
}

export async function dropDictionary(connection: Connection, tenant: string, device: Uint8Array): Promise<void> {
  await connection.run("DELETE FROM device_dictionary WHERE tenant_id = $1 AND device_id = $2", [tenant, device]);
}
