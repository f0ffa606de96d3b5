/** How the streams of a request were answered, read from the reply the core made (layout: src/sync/messages.h). */

export const STREAM_STATUS = ["ok", "gap", "fork", "unknown", "rewound"] as const;

const HEADER_BYTES = 14;
const MARKS_BYTES = 32;

/** Status and how many streams have it; empty for a reply of another shape. */
export function streamFigures(reply: Uint8Array): readonly (readonly [status: string, count: number])[] {
  let at = HEADER_BYTES + MARKS_BYTES;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < reply.length; scale *= 128) {
      const byte = reply[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    return value;
  };
  for (let i = 0; i < 3; i++) varint(); // credit, retry, error
  const counts = new Map<string, number>();
  for (let streams = varint(); streams > 0 && at < reply.length; streams--) {
    at += 9; // epoch, lane
    const status = STREAM_STATUS[reply[at++] ?? 0] ?? "unknown";
    counts.set(status, (counts.get(status) ?? 0) + 1);
    varint();
    at += 8; // the mark's hash
    for (let verdicts = varint(); verdicts > 0 && at < reply.length; verdicts--) {
      varint();
      at++;
      varint();
    }
  }
  return [...counts];
}
