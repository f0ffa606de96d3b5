/**
 * The tenant on whose behalf the current request runs, for the database's own fence (row level security).
 *
 * It travels beside the call and not as an argument, because the fence must also hold where somebody forgot the tenant.
 */

import { AsyncLocalStorage } from "node:async_hooks";

const current = new AsyncLocalStorage<string>();

export const inTenant = <T>(tenant: string, work: () => T): T => current.run(tenant, work);

/** Undefined = work of the server itself. */
export const currentTenant = (): string | undefined => current.getStore();
