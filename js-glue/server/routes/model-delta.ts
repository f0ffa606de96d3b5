/** The changed rows of a table of recommendations. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import type { Server } from "../context.ts";
import { type Route, route } from "../http/route.ts";
import { Deltas } from "../models/deltas.ts";
import { withFile } from "../models/visible.ts";

export function modelDeltaRoutes(server: Server): readonly Route[] {
  const deltas = new Deltas();
  return [
    route(
      "GET",
      "/models/:modelId/delta",
      {
        scope: "sync",
        params: z.object({ modelId: z.string().min(1).max(200) }),
        query: z.object({
          from: z
            .string()
            .regex(/^[0-9a-f]{64}$/)
            .describe("SHA-256 of the file the device has"),
        }),
        doc: {
          summary: "What makes the file out of an older one, row by row; 404 where loading blocks is no worse",
          answer: "application/octet-stream",
        },
      },
      ({ identity, params, query }) =>
        server.store.read(async (reads) => {
          const row = await withFile(reads, identity, params.modelId);
          const delta = await deltas.find(reads, identity.tenant, row, query.from);
          if (!delta) throw failure("not_found", "there is no delta from that file");
          // Both files are immutable, and so is what lies between them.
          const headers = { "content-type": "application/octet-stream", "cache-control": "private, max-age=31536000" };
          return { status: 200, headers, body: delta };
        }),
    ),
  ];
}
