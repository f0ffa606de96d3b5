/**
 * Every operation of the API called through the client generated from its own document; every answer compared with the
 * document's schema. Arguments: sqlite|postgresql, file of the generated client (JavaScript). Prints one JSON line.
 */

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pathToFileURL } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { adoptText, tokenText } from "../../js-glue/server/routes/auth.ts";
import { createSyncServer } from "../../js-glue/server/server.ts";
import { databaseKinds } from "./databases.ts";
import { dictionaryOf } from "./dictionary-frames.ts";
import { Device, documentsCore } from "./document-device.ts";
import { exampleOf, type Schema } from "./example.ts";
import { START, segment } from "./frames.ts";
import { LogLines, TestClient } from "./harness.ts";
import { caller, newKey, nextVersion, publish, shippedModel, statementOf } from "./model-files.ts";

const [kindName = "sqlite", clientFile = ""] = process.argv.slice(2);
const kind = databaseKinds.find(({ name }) => name.toLowerCase() === kindName)!;
const database = await kind.create();
const sync = await createSyncServer({
  db: database.url,
  log: new LogLines(),
  shedding: false,
  models: { key: newKey() },
});
const http = createServer(sync.handler);
await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${(http.address() as AddressInfo).port}/api/offline-ai`;

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly required: boolean; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }>
  >;
}
type Call = (input?: object, options?: { headers?: Record<string, string>; signal?: AbortSignal }) => Promise<unknown>;
type Client = Readonly<Record<string, Call>>;

const { ApiClient, ApiProblem } = (await import(pathToFileURL(clientFile).href)) as {
  ApiClient: new (base: string, credential: () => string | undefined) => Client;
  ApiProblem: new () => Error & { status: number; code: string };
};
const key = await sync.createApiKey({ tenant: "acme", principal: "ann" }, { scopes: ["admin", "sync"] });
const otherKey = await sync.createApiKey({ tenant: "acme", principal: "cleo" });
const client = new ApiClient(base, () => key);
const cleo = new ApiClient(base, () => otherKey);

const document = (await client["getOpenapiJson"]!()) as { paths: Record<string, Record<string, Operation>> };
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
const ajv = new Ajv2020({ strict: false, validateFormats: false });
const problems: string[] = [];
const done = new Set<string>();

/** Calls the operation, holds its answer against the document, and hands it on. */
async function call(
  name: string,
  input: object = {},
  options: { headers?: Record<string, string>; signal?: AbortSignal } = {},
  as = client,
): Promise<unknown> {
  const operation = operations.find(({ operationId }) => operationId === name);
  if (!operation || !as[name]) throw new Error(`there is no operation ${name}`);
  let answer: unknown;
  try {
    answer = await as[name](input, options);
  } catch (error) {
    problems.push(`${name}: ${error instanceof ApiProblem ? `${error.status} ${error.code}` : ""} ${String(error)}`);
    return undefined;
  }
  const content = Object.entries(operation.responses).find(([status]) => status.startsWith("2"))?.[1].content ?? {};
  const schema = content["application/json"]?.schema;
  if (schema && !ajv.validate(schema, answer))
    problems.push(`${name}: ${ajv.errorsText()} in ${JSON.stringify(answer).slice(0, 300)}`);
  done.add(name);
  return answer;
}

const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = publicKey.export({ format: "der", type: "spki" }).toString("base64");
const signed = (text: string): string =>
  sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
const frames = new TestClient(base, key, new Uint8Array(randomBytes(16)));
const { deviceId } = frames;

await call("postDeviceRegister", {
  body: { deviceId, deviceType: "desktop", platform: "node", capabilities: { webgl: true } },
});
await call("putDeviceOnlineStatus", { deviceId, body: { online: true, networkType: "4g" } });
await call(
  "postEventsQueue",
  { body: { deviceId, eventType: "user_action", moduleId: "quiz", eventData: { score: 85 } } },
  { headers: { "idempotency-key": "1" } },
);
const one = segment(1n, 2, START, [{ json: '{"n":1}' }, { json: "no JSON" }]);
await call("postSyncPush", { body: frames.frame({ items: [one] }) });
await call("postSyncPull", { body: frames.frame({ stored: [{ epoch: 1n, lane: 2, ...one.after }] }) });
await call("postEventsSyncByDeviceId", { deviceId, body: frames.frame({ items: [segment(1n, 2, one.after, [{}])] }) });
const { packed } = dictionaryOf("what events repeat");
await call("putSyncDictionaryByDeviceId", { deviceId, body: packed });
const dictionary = (await call("getSyncDictionaryByDeviceId", { deviceId })) as Response;
if (!Buffer.from(await dictionary.arrayBuffer()).equals(packed)) problems.push("the dictionary came back changed");
const history = (await call("getEventsHistory", { deviceId, limit: 2 })) as { items: object[]; nextCursor: string };
const rest = (await call("getEventsHistory", { deviceId, cursor: history.nextCursor })) as { items: object[] };
if (history.items.length + rest.items.length !== 4) problems.push("the history's pages do not add up");
await call("getEventsPending", { deviceId });
await call("getDeviceStatus", { deviceId });
await call("getDevice");
const letters = (await call("getDeadLetter")) as { items: { id: string }[] };
await call("postDeadLetterRetry", { id: letters.items[0]!.id, body: { eventData: { mended: true } } });
await call("getSyncWait", { wait: 0 });
const stopped = new AbortController();
const stream = (await call("getSyncStream", {}, { signal: stopped.signal })) as Response;
const greeting = await stream.body!.getReader().read();
if (!Buffer.from(greeting.value!).toString().startsWith("retry:")) problems.push("the stream does not greet");
stopped.abort();

// Either plain content or ciphertext: a rule between members that no schema tells.
await call("postCacheContent", { body: { deviceId, contentType: "quiz", contentId: "1", contentData: { n: 1 } } });

// Models: a statement is text, and the file the very one it names.
const file = shippedModel("content");
const statement = JSON.stringify(await statementOf("content", file));
const { modelId } = (await call("postModels", { body: { statement } })) as { modelId: string };
await call("putModelsArtifact", { modelId, body: file });
await call("putModelsByModelId", { modelId, body: { state: "canary", rollout: { percent: 5 } } });
await call("getModels", { caps: "simd", state: "all" });
await call("getModelsByModelId", { modelId });
await call("getModelsManifest");
const artifact = (await call("getModelsArtifact", { modelId })) as Response;
if (!Buffer.from(await artifact.arrayBuffer()).equals(file)) problems.push("the model's file came back changed");
await ((await call("getModelsBlocks", { modelId })) as Response).arrayBuffer();
await call("deleteModelsByModelId", { modelId });
const table = shippedModel("recommendation");
const admin = caller(base, key);
for (const [version, rows] of [
  ["1.0.0", table],
  ["1.1.0", nextVersion(table, "1.1.0", [6_000])],
] as const)
  await publish(admin, rows, await statementOf("recommendation", rows, { version, kind: "history" }));
const from = createHash("sha256").update(table).digest("hex");
const delta = (await call("getModelsDelta", { modelId: "recommendation-1.1.0-native-int8", from })) as Response;
if ((await delta.arrayBuffer()).byteLength > 300) problems.push("one changed row is more than a row");
await call("getModelsPersonalizeReport", { clip: 5 });

// Documents: two devices that differ
const core = await documentsCore();
const replicas = [1, 2].map(() => new Device(new TestClient(base, key, new Uint8Array(randomBytes(16))), "~", core));
for (const [i, replica] of replicas.entries()) {
  replica.put("note/1", { title: `by ${i}` });
  await replica.push();
}
const changes = (await call("getSyncChanges", { space: "~", limit: 1 })) as { cursor: string; more: boolean };
await call("getSyncChanges", { space: "~", cursor: changes.cursor, device: replicas[0]!.client.deviceId });
const snapshot = (await call("getSyncSnapshot", { space: "~", before: changes.cursor })) as {
  cursor: string;
  documents: object[];
};
const values = (await call("getSpacesDocuments", { spaceId: "~" })) as { items: object[] };
if (!changes.more || snapshot.documents.length !== 1 || values.items.length !== 1)
  problems.push("the documents do not add up");
const offered = Buffer.from(core.lost(core.state(replicas[0]!.handle("note/1")), new Uint8Array(0), 0)).toString(
  "base64",
);
const repaired = (await call("postSyncRepair", {
  body: {
    space: "~",
    deviceId: replicas[0]!.client.deviceId,
    cursor: changes.cursor,
    snapshot: snapshot.cursor,
    documents: [{ key: "note/9", delta: offered }],
  },
})) as { taken: number };
if (repaired.taken !== 0) problems.push("something was taken back without a restore");
const conflicts = (await call("getConflictsByDeviceId", { deviceId })) as { items: { conflictId: string }[] };
const { conflictId } = conflicts.items[0]!;
await call("getConflictsItemByConflictId", { space: "~", conflictId });
await call("postConflictsResolve", { body: { space: "~", conflictId, choice: "value", value: "settled" } });
await call("postSpaces", { body: { spaceId: "team", name: "The team" } });
await call("getSpaces");
await call("putSpacesMembersByPrincipal", { spaceId: "team", principal: "cleo", body: { role: "writer" } });
await call("deleteSpacesMembersByPrincipal", { spaceId: "team", principal: "cleo" });

// Credentials
const keyed = new TestClient(base, otherKey, new Uint8Array(randomBytes(16)));
await cleo["postDeviceRegister"]!({ body: { deviceId: keyed.deviceId, publicKey: spki } });
const at = Date.now();
await call("postAuthDeviceToken", {
  body: { deviceId: keyed.deviceId, tenant: "acme", at, signature: signed(tokenText("acme", keyed.deviceId, at)) },
});
await call("postDeviceAdopt", {
  body: { deviceId: keyed.deviceId, at, signature: signed(adoptText(keyed.deviceId, "ann", at)) },
});
await call("postAuthDeviceRotate", { body: { deviceId: keyed.deviceId } });
await call("deleteDeviceByDeviceId", { deviceId: keyed.deviceId });
const made = (await call("postAuthKeys", { body: { principal: "probe", scopes: ["metrics"] } })) as { prefix: string };
await call("getAuthKeys");
await call("deleteAuthKeysByPrefix", { prefix: made.prefix });

// Operations
await call("getHealth");
await call("getHealthLive");
await call("getHealthReady");
await call("getMetrics");
await call("getStatusOverview");
await call("postMaintenanceCleanup", { body: { dryRun: true } });
await call("getAudit", { limit: 2 });
await call("getAuditVerify");
await call("getOpenapiJson");
await call("getDocs");

// What this file does not know yet: called with the smallest input that fits, naming the device.
const known: Record<string, unknown> = {
  deviceId,
  moduleId: "m",
  modelId: "routes-test",
  eventType: "t",
  contentType: "quiz",
  contentId: "1",
};
const later = new Set(["getPrivacyExport", "postPrivacyErase", "getPrivacyEraseByJobId"]);
for (const operation of operations) {
  if (done.has(operation.operationId) || later.has(operation.operationId)) continue;
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const input: Record<string, unknown> = schema
    ? { body: exampleOf(schema, known) }
    : operation.requestBody
      ? { body: frames.frame({}) }
      : {};
  for (const { name, required, schema: type } of operation.parameters)
    if (required) input[name] = known[name] ?? exampleOf(type, known);
  await call(operation.operationId, input);
}

// The end of the subject comes last.
const exported = (await call("getPrivacyExport")) as Response;
const lines = (await exported.text()).trim().split("\n");
if (!lines.at(-1)!.includes('"complete":true')) problems.push("the export does not end");
const erasing = (await call("postPrivacyErase", { body: { principal: "cleo", confirm: "erase" } })) as {
  jobId: string;
};
await call("getPrivacyEraseByJobId", { jobId: erasing.jobId, tenant: "acme" });
const gone = await cleo["getDevice"]!().then(
  () => undefined,
  (error: { code: string }) => error.code,
);
if (gone !== "unauthorized") problems.push("an erased subject's key is still good");

http.closeAllConnections();
await new Promise((resolve) => http.close(resolve));
await sync.close();
await database.drop();
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.stdout.write(
  `${JSON.stringify({ database: kindName, operations: operations.length, roundTripped: done.size, problems: problems.length })}\n`,
);
process.exit(0);
