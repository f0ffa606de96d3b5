/** What a device has learned from its own events and refers to in its segments: sent once, used by its pushes. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import { ownDevice, parseDeviceId, type Server } from "../context.ts";
import { FILE_MEDIA } from "../http/openapi.ts";
import { json, type Route, route } from "../http/route.ts";
import { DICTIONARY_SCHEMA, dictionaryOf } from "../store/dictionaries.ts";
import { deviceParams } from "./device.ts";

/** Packed. What the core takes is smaller; this bounds what is read from the connection. */
const BODY_BYTES_MAX = 64_000;

export const dictionaryRoutes = (server: Server): readonly Route[] => [
  route(
    "PUT",
    "/sync/dictionary/:deviceId",
    {
      scope: "sync",
      body: "file",
      bytesMax: BODY_BYTES_MAX,
      params: deviceParams,
      doc: {
        summary:
          "Makes these bytes the device's dictionary, in place of the one before; its segments may name it from now on",
        answer: z.object({ dictionary: z.string().regex(/^[0-9a-f]{16}$/) }),
      },
    },
    async ({ identity, params, body }) => {
      const device = parseDeviceId(params.deviceId);
      if (!device) throw failure("unknown_device", "there is no such device");
      const id = await server.dictionaries.keep(identity, device, body);
      return json(200, { dictionary: id.toString(16).padStart(16, "0") });
    },
  ),
  route(
    "GET",
    "/sync/dictionary/:deviceId",
    {
      scope: "sync",
      params: deviceParams,
      doc: { summary: "The device's dictionary as it was sent; it may be gone at any time", answer: FILE_MEDIA },
    },
    async ({ identity, params }) => {
      const isKept = await server.store.hasSchema(DICTIONARY_SCHEMA);
      const found = await server.store.read(async (reads) => {
        const { device } = await ownDevice(reads, identity, params.deviceId);
        return isKept ? dictionaryOf(reads.connection, identity.tenant, device) : undefined;
      });
      if (!found) throw failure("not_found", "there is no dictionary of this device");
      return { status: 200, headers: { "content-type": FILE_MEDIA, "cache-control": "no-store" }, body: found.packed };
    },
  ),
];
