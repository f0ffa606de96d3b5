/** What a device can do, as text of an address or a command line. */

import type { DeviceCaps } from "../../core/model-statement.ts";

/** `simd,memoryMB=2048`: a flag, or a name and a number. */
export const CAPS_PATTERN = /^[A-Za-z][A-Za-z0-9]*(=\d+)?(,[A-Za-z][A-Za-z0-9]*(=\d+)?)*$/;

export const capsOf = (text: string): DeviceCaps =>
  Object.fromEntries(
    text.split(",").map((one) => {
      const [name = "", value] = one.split("=");
      return [name, value === undefined ? true : Number(value)];
    }),
  );
