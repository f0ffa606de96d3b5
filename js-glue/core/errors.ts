/** The one error class of the library. Callers branch on `code`, never on text. */

import { type ErrorCode, errorInfo, type Fault } from "./error-codes.ts";

export type { ErrorCode, Fault } from "./error-codes.ts";

export interface FailureOptions extends ErrorOptions {
  /** Where in the caller's value the trouble lies, such as `$.items[3].price`. */
  readonly path?: string;
  /** The number the error's sentence in docs/errors.md speaks of. */
  readonly detail?: number;
}

/** What every function of this package throws and rejects with. Branch on `code`, never on the text. */
export class OfflineSyncError extends Error {
  /** Entries of the package that share no chunk have a copy of this class each; to `instanceof` they are one. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return (value as Partial<Error> | undefined)?.name === "OfflineSyncError";
  }
  override readonly name = "OfflineSyncError";
  readonly path: string | undefined;
  readonly detail: number | undefined;
  constructor(
    readonly code: ErrorCode,
    readonly fault: Fault,
    readonly retryable: boolean,
    message: string,
    options?: FailureOptions,
  ) {
    super(message, options);
    this.path = options?.path;
    this.detail = options?.detail;
  }
}

/** The error of this code, with fault and retryability taken from the table. */
export function failure(code: ErrorCode, message: string, options?: FailureOptions): OfflineSyncError {
  const info = errorInfo(code);
  return new OfflineSyncError(code, info?.fault ?? "bug", info?.retryable ?? false, message, options);
}

/** The error a number from the core stands for; a number this build does not know is ours to answer for. */
export function failureOf(number: number, detail?: number): OfflineSyncError {
  const code = errorInfo(number)?.code ?? "internal";
  return failure(code, detail === undefined ? code : `${code} (${detail})`, detail === undefined ? {} : { detail });
}

export const numberOf = (code: ErrorCode): number => errorInfo(code)?.number ?? 0;

/** Whatever was thrown, as ours; the original stays as `cause`. */
export function asFailure(error: unknown, code: ErrorCode): OfflineSyncError {
  if (error instanceof OfflineSyncError) return error;
  return failure(code, `${code}: ${String(error)}`, { cause: error });
}
