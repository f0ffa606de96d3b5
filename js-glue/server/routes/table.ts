/** Every endpoint. The router, the OpenAPI document, the typed client and the tests of isolation are all made from this list. */

import type { Server } from "../context.ts";
import type { Route } from "../http/route.ts";
import { analyticsRoutes } from "./analytics.ts";
import { authRoutes } from "./auth.ts";
import { cacheRoutes } from "./cache.ts";
import { conflictRoutes } from "./conflicts.ts";
import { deadLetterRoutes } from "./dead-letter.ts";
import { deviceRoutes } from "./device.ts";
import { dictionaryRoutes } from "./dictionary.ts";
import { documentRoutes } from "./documents.ts";
import { eventRoutes } from "./events.ts";
import { healthRoutes } from "./health.ts";
import { metaRoutes } from "./meta.ts";
import { modelRoutes } from "./models.ts";
import { operationRoutes } from "./operations.ts";
import { personalizationRoutes } from "./personalization.ts";
import { privacyRoutes } from "./privacy.ts";
import { spaceRoutes } from "./spaces.ts";
import { syncRoutes } from "./sync.ts";

export function allRoutes(server: Server): readonly Route[] {
  const routes: Route[] = [
    ...deviceRoutes(server),
    ...eventRoutes(server),
    ...analyticsRoutes(server),
    ...syncRoutes(server),
    ...dictionaryRoutes(server),
    ...documentRoutes(server),
    ...spaceRoutes(server),
    ...conflictRoutes(server),
    ...deadLetterRoutes(server),
    ...authRoutes(server),
    ...cacheRoutes(server),
    ...modelRoutes(server),
    ...personalizationRoutes(server),
    ...healthRoutes(server),
    ...operationRoutes(server),
    ...privacyRoutes(server),
  ];
  // The document describes itself, too, so it reads the list when it is asked.
  routes.push(...metaRoutes(() => routes));
  return routes;
}
