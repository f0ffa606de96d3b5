/** Requests of the documents' own, beside the queue. */

import { type FetchTransport, readBody } from "../browser/transport.ts";
import { failure, type OfflineSyncError } from "../core/errors.ts";

export const TIMEOUT_MS = 30_000;

/** Once more with a new credential where the old one has ended. Rejects with `offline` when there is no answer. */
export async function answerOf(transport: FetchTransport, ask: () => Promise<Response>): Promise<Response> {
  const once = (): Promise<Response> =>
    ask().catch((error: unknown) => {
      throw failure("offline", "the server could not be reached", { cause: error });
    });
  const response = await once();
  if (response.status !== 401 || !(await transport.renew().catch(() => false))) return response;
  await response.body?.cancel();
  return once();
}

/** Rejects with `foreign_reply` for what is no JSON. */
export async function jsonOf(response: Response): Promise<unknown> {
  const body = await readBody(response);
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch (error) {
    throw failure("foreign_reply", "the answer is no JSON", { cause: error });
  }
}

/** An answer that is not one of ours, whatever else it is. */
export const foreign = (): OfflineSyncError => failure("foreign_reply", "the answer is not one of ours");

/** What an answer that is no 2xx says. */
export async function refusalOf(path: string, response: Response): Promise<OfflineSyncError> {
  await response.body?.cancel();
  const code = response.status === 401 ? "unauthorized" : response.status === 403 ? "forbidden" : "server_busy";
  return failure(response.status === 404 ? "not_found" : code, `${path.split("?")[0]}: ${response.status}`);
}
