/** What the server says about itself. The shape is pino's, so an application may hand in its own. */

import pino from "pino";

export interface Logger {
  /** For who looks for a fault. */
  debug(fields: object, message: string): void;
  /** What happens in a good day. */
  info(fields: object, message: string): void;
  /** What may need somebody. */
  warn(fields: object, message: string): void;
  /** Somebody has to do something. */
  error(fields: object, message: string): void;
}

/** From which level on lines are written. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** JSON lines to standard output, or to standard error when that one carries data. Payloads and tokens never get here. */
export function createLogger(level: LogLevel, stream: 1 | 2 = 1): Logger {
  const redact = {
    paths: ["authorization", "cookie", "key", "token", "*.authorization", "*.cookie", "*.key", "*.token", "*.payload"],
    censor: "[redacted]",
  };
  return pino({ level, redact, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(stream));
}

/** What is worth a line about an error: its code and text, and the stack only of defects. */
export function errorFields(error: unknown): object {
  if (!(error instanceof Error)) return { error: String(error) };
  const code = (error as { code?: unknown }).code;
  return { error: error.message, ...(typeof code === "string" ? { code } : { stack: error.stack }) };
}
