/** npm packages that a server needs and a page does not: optional peers of this package. */
export const SERVER_PACKAGES: readonly string[] = [
  "express",
  "zod",
  "pino",
  "prom-client",
  "rate-limiter-flexible",
  "pg",
  "@opentelemetry/api",
  "jose",
  "@photostructure/sqlite",
];
