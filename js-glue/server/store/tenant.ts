/**
 * The tenant on whose behalf the current request runs, for the database's own fence (row level security).
 *
 * It travels beside the call and not as an argument, because the fence must also hold where somebody forgot the tenant. Only a
 * process with a fence pays for it: following calls costs every promise a little.
 */

import { AsyncLocalStorage } from "node:async_hooks";

const current = new AsyncLocalStorage<string | undefined>();
let followed = false;

/** From now on `inTenant` is remembered by everything it starts. */
export function followTenants(): void {
  followed = true;
}

export const inTenant = <T>(tenant: string, work: () => T): T => (followed ? current.run(tenant, work) : work());

/** For finding out whose credential something is, whoever's request makes it necessary. */
export const inNoTenant = <T>(work: () => T): T => (followed ? current.run(undefined, work) : work());

/** Undefined = work of the server itself. */
export const currentTenant = (): string | undefined => current.getStore();
