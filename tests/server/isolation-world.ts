/** A victim's tenant with a row in every table, and the credentials its attackers have. */

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import pg from "pg";
import { signedText } from "../../js-glue/server/identity/signature.ts";
import { createSyncServer, type SyncServer } from "../../js-glue/server/server.ts";
import type { Row, SqlValue } from "../../js-glue/server/store/database.ts";
import { databaseKinds } from "./databases.ts";
import { dictionaryOf } from "./dictionary-frames.ts";
import { START, segment } from "./frames.ts";
import { LogLines, TestClient } from "./harness.ts";
import { caller, newKey, publish, shippedModel, statementOf } from "./model-files.ts";

export const VICTIM = "victim";
export const OTHER = "other";
const MARK = "s3cret-of-";

/** Text that stands in every row of the victim's, by table. */
export const markOf = (table: string): string => `${MARK}${table}`;

export interface Table {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Rows belong to one principal, not to the tenant as a whole. */
  readonly personal: boolean;
}

export class World {
  readonly sync: SyncServer;
  readonly http: Server;
  readonly tables: readonly Table[];
  readonly jwtKey: CryptoKey;
  readonly issuerKey: object;
  readonly drop: () => Promise<void>;
  vera!: TestClient;
  /** The same principal's device that signs its requests. */
  keyed!: TestClient;
  keyedKey!: KeyObject;
  /** Another one of the principal's, which no attacker names. */
  hidden!: TestClient;
  revokedKey = "";
  revokedDeviceToken = "";
  expiredToken = "";
  root!: TestClient;
  /** Ids of the victim's that may stand in a path. */
  ids: string[] = [];
  clock = { now: Date.now() };

  private constructor(parts: Pick<World, "sync" | "http" | "tables" | "jwtKey" | "issuerKey" | "drop">) {
    this.sync = parts.sync;
    this.http = parts.http;
    this.tables = parts.tables;
    this.jwtKey = parts.jwtKey;
    this.issuerKey = parts.issuerKey;
    this.drop = parts.drop;
  }

  static async start(kindName: string, rowSecurity: boolean): Promise<World> {
    const kind = databaseKinds.find(({ name }) => name.toLowerCase() === kindName);
    if (!kind || kind.skip) throw new Error(`cannot test on ${kindName}: ${kind?.skip}`);
    const made = await kind.create();
    const database = rowSecurity ? await asPlainRole(made.url) : { url: made.url, drop: async () => undefined };
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const issuerKey = { ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" };
    const clock = { now: Date.now() };
    const sync = await createSyncServer({
      db: database.url,
      log: new LogLines(),
      now: () => clock.now,
      releaseIntervalMs: 0,
      shedding: false,
      // Sealing the audit log by the clock would look like a change.
      cleanupIntervalMs: 0,
      rateEventsPerMinute: 0,
      rowSecurity,
      models: { key: newKey() },
      jwt: { jwks: { keys: [issuerKey] }, issuer: "https://issuer.example", audience: "sync" },
    });
    const http = createServer(sync.handler);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const tables = await listTables(sync);
    const drop = async (): Promise<void> => {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
      await sync.close();
      await made.drop();
      await database.drop();
    };
    const world = new World({ sync, http, tables, jwtKey: privateKey, issuerKey, drop });
    world.clock = clock;
    await world.#populate();
    return world;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}/api/offline-ai`;
  }

  async client(
    tenant: string,
    principal: string,
    scopes: readonly ("sync" | "admin")[] = ["sync"],
  ): Promise<TestClient> {
    const key = await this.sync.createApiKey({ tenant, principal }, { scopes });
    return new TestClient(this.url, key, new Uint8Array(randomBytes(16)));
  }

  token(
    claims: JWTPayload,
    { key = this.jwtKey, age = 0, life = 600, audience = "sync", header = {} } = {},
  ): Promise<string> {
    const now = Math.floor(this.clock.now / 1_000) - age;
    return new SignJWT({ tenant: VICTIM, ...claims })
      .setProtectedHeader({ alg: "ES256", kid: "k1", ...header })
      .setSubject("vera")
      .setIssuer("https://issuer.example")
      .setAudience(audience)
      .setIssuedAt(now)
      .setExpirationTime(now + life)
      .sign(key);
  }

  signature(
    client: TestClient,
    key: KeyObject,
    method: string,
    path: string,
    body: Uint8Array,
    at = this.clock.now,
  ): string {
    const text = signedText(method, path, at, client.device, body);
    const bytes = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
    return `v1.${client.deviceId}.${at}.${bytes.toString("base64url")}`;
  }

  async #populate(): Promise<void> {
    this.vera = await this.client(VICTIM, "vera");
    this.root = await this.client(VICTIM, "root", ["admin"]);
    const mark = markOf("offline_sync_queue");
    const events = [{ json: JSON.stringify({ mark }) }, { json: `nonsense ${markOf("dead_letter")}` }];
    await this.vera.sync({ items: [segment(1n, 2, START, events)] });
    const tracked = { type: "analytics.page", json: JSON.stringify({ mark: markOf("offline_analytics_buffer") }) };
    await this.vera.sync({ items: [segment(1n, 4, START, [tracked])] });
    await this.vera.json("POST", "/device/register", {
      deviceId: this.vera.deviceId,
      platform: markOf("device_sync_state"),
    });
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.keyedKey = privateKey;
    this.keyed = new TestClient(this.url, this.vera.key, new Uint8Array(randomBytes(16)));
    const spki = publicKey.export({ format: "der", type: "spki" }).toString("base64");
    const body = { deviceId: this.keyed.deviceId, publicKey: spki, credential: true };
    await expectStatus(await this.keyed.json("POST", "/device/register", body), 200);
    this.hidden = new TestClient(this.url, this.vera.key, new Uint8Array(randomBytes(16)));
    await this.hidden.sync({ items: [segment(1n, 2, START, events.slice(0, 1))] });
    const { packed } = dictionaryOf(markOf("device_dictionary"));
    await expectStatus(await this.vera.put(`/sync/dictionary/${this.vera.deviceId}`, packed), 200);
    await this.#deadCredentials();
    const model = await this.#publish();
    const letters = (await (await this.vera.json("GET", "/dead-letter")).json()) as { items: { id: string }[] };
    this.ids = [this.vera.deviceId, this.keyed.deviceId, model, ...letters.items.map(({ id }) => id)];
    await this.#fillTables();
  }

  /** Published for the whole tenant: its other principals may read it. */
  async #publish(): Promise<string> {
    const file = Buffer.from(markOf("edge_ai_model_part").repeat(10));
    const attribution = markOf("edge_ai_models");
    const { metrics } = await statementOf("content", shippedModel("content"));
    const root = caller(this.url, this.root.key);
    return publish(root, file, await statementOf("victims", file, { attribution, metrics }));
  }

  async #deadCredentials(): Promise<void> {
    const gone = await this.client(VICTIM, "vera");
    this.revokedKey = gone.key;
    await expectStatus(await this.root.json("DELETE", `/auth/keys/${gone.key.split("_")[1]}`), 204);
    const register = async (id: string): Promise<string> => {
      const answer = await this.vera.json("POST", "/device/register", { deviceId: id, credential: true });
      return ((await answer.json()) as { credential: string }).credential;
    };
    const revoked = randomBytes(16).toString("hex");
    this.revokedDeviceToken = await register(revoked);
    await expectStatus(await this.vera.json("DELETE", `/device/${revoked}`), 204);
    this.expiredToken = await register(this.vera.deviceId);
    const sha = createHash("sha256").update(this.expiredToken).digest();
    await this.sync.store.write((tx) =>
      tx.connection.run("UPDATE device_token SET expires_at = 1 WHERE sha256 = $1", [sha]),
    );
  }

  // Features whose routes are not called here still have tables; a row of each gets a mark to look for.
  async #fillTables(): Promise<void> {
    for (const { name, columns } of this.tables) {
      // The chain's head and open jobs mean something: made-up ones would be believed.
      if (name === "audit_head" || name === "privacy_job") continue;
      const [row] = await this.query(`SELECT count(*) AS n FROM ${name} WHERE tenant_id = $1`, [VICTIM]);
      if (Number(row?.["n"]) > 0) continue;
      const values = columns.map(({ name: column, type }) => this.#valueFor(name, column, type));
      const marks = columns.map((_, i) => `$${i + 1}`).join(", ");
      const names = columns.map((column) => column.name).join(", ");
      await this.sync.store.write((tx) =>
        tx.connection.run(`INSERT INTO ${name} (${names}) VALUES (${marks})`, values),
      );
      for (const [i, { name: column }] of columns.entries())
        if (column.endsWith("_id") && typeof values[i] === "string") this.ids.push(String(values[i]));
    }
    this.ids = [...new Set(this.ids)].filter((id) => id !== VICTIM && id !== "vera");
  }

  #valueFor(table: string, column: string, type: string): SqlValue {
    if (column === "tenant_id") return VICTIM;
    if (column === "principal_id") return "vera";
    if (column === "device_id") return this.vera.device;
    if (/int|double|real|numeric/i.test(type)) return 1;
    if (/bytea|blob/i.test(type)) return Buffer.from(markOf(table));
    if (column === "state") return "live";
    return `${markOf(table)}-${column}`;
  }

  query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.sync.store.read((reads) => reads.connection.query(sql, params));
  }

  /** Every row of a tenant, as sorted text. */
  async dump(tenant: string): Promise<readonly string[]> {
    const rows: string[] = [];
    for (const { name } of this.tables)
      for (const row of await this.query(`SELECT * FROM ${name} WHERE tenant_id = $1`, [tenant]))
        rows.push(
          `${name} ${JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`,
        );
    return rows.sort();
  }
}

export async function expectStatus(response: Response, status: number): Promise<void> {
  const text = await response.text();
  if (response.status !== status) throw new Error(`${response.url} answered ${response.status}: ${text}`);
}

async function listTables(sync: SyncServer): Promise<readonly Table[]> {
  const query = (sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> =>
    sync.store.read((reads) => reads.connection.query(sql, params));
  const postgres = sync.store.kind === "postgres";
  const names = await query(
    postgres
      ? `SELECT DISTINCT table_name::text AS name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id' ORDER BY 1`
      : `SELECT m.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'tenant_id' WHERE m.type = 'table' ORDER BY 1`,
  );
  const tables: Table[] = [];
  for (const row of names) {
    const name = String(row["name"]);
    const columns = await query(
      postgres
        ? `SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`
        : "SELECT name, type FROM pragma_table_info($1)",
      [name],
    );
    const shown = columns.map((column) => ({ name: String(column["name"]), type: String(column["type"]) }));
    const personal = shown.some((column) => column.name === "device_id" || column.name === "principal_id");
    tables.push({ name, columns: shown, personal });
  }
  return tables;
}

/** Row security does not hold for superusers; a role of its own gets the database. */
async function asPlainRole(url: string): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const name = new URL(url).pathname.slice(1);
  const admin = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: process.env["OAS_TEST_POSTGRES"] });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  const role = `${name}_role`;
  await admin(`CREATE ROLE ${role} LOGIN`);
  await admin(`ALTER DATABASE ${name} OWNER TO ${role}`);
  const plain = new URL(url);
  plain.username = role;
  return { url: plain.href, drop: () => admin(`DROP ROLE ${role}`) };
}
