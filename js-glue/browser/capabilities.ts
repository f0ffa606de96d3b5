/**
 * What this browser can do, as declared to the server at registration so that it can choose model variants.
 *
 * Presence only, no values that would tell one device from another: no renderer names, no canvas, no audio, no fonts.
 */

export interface Capabilities {
  readonly webgl: boolean;
  readonly webgl2: boolean;
  readonly webgpu: boolean;
  readonly webassembly: boolean;
  readonly simd: boolean;
  readonly indexedDb: boolean;
  readonly opfs: boolean;
  readonly serviceWorker: boolean;
  readonly backgroundSync: boolean;
  readonly periodicSync: boolean;
  readonly storage: {
    /** Rounded down to a power of two: enough to size a cache, too coarse to recognise a disk. */
    readonly quotaBytes?: number | undefined;
    readonly usageBytes?: number | undefined;
    readonly persisted?: boolean | undefined;
  };
}

// (func (result v128) i32.const 0 i8x16.splat): valid only where SIMD is.
const SIMD_PROBE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
] as const;

const inGlobal = (name: string): boolean => name in globalThis;

function canvasContext(name: "webgl" | "webgl2"): boolean {
  if (typeof OffscreenCanvas !== "undefined") return new OffscreenCanvas(1, 1).getContext(name) !== null;
  return inGlobal(name === "webgl" ? "WebGLRenderingContext" : "WebGL2RenderingContext");
}

const floorToPowerOfTwo = (value: number): number => (value >= 1 ? 2 ** Math.floor(Math.log2(value)) : 0);

async function storageReport(): Promise<Capabilities["storage"]> {
  const storage: StorageManager | undefined = globalThis.navigator?.storage;
  if (!storage) return {};
  const [estimate, persisted] = await Promise.all([
    storage.estimate?.().catch(() => undefined),
    storage.persisted?.().catch(() => undefined),
  ]);
  return {
    quotaBytes: estimate?.quota === undefined ? undefined : floorToPowerOfTwo(estimate.quota),
    usageBytes: estimate?.usage === undefined ? undefined : floorToPowerOfTwo(estimate.usage),
    persisted,
  };
}

export async function readCapabilities(): Promise<Capabilities> {
  const navigator: Navigator | undefined = globalThis.navigator;
  const webassembly = typeof WebAssembly === "object";
  return {
    webgl: canvasContext("webgl"),
    webgl2: canvasContext("webgl2"),
    webgpu: navigator !== undefined && "gpu" in navigator,
    webassembly,
    simd: webassembly && WebAssembly.validate(Uint8Array.from(SIMD_PROBE)),
    indexedDb: inGlobal("indexedDB"),
    opfs: typeof navigator?.storage?.getDirectory === "function",
    serviceWorker: navigator !== undefined && "serviceWorker" in navigator,
    backgroundSync: inGlobal("SyncManager"),
    periodicSync: inGlobal("PeriodicSyncManager"),
    storage: await storageReport(),
  };
}

/** What kind of device this seems to be; a hint. */
export type DeviceType = "desktop" | "mobile" | "tablet" | "unknown";

/** Coarse, and from what the browser says of itself without being asked. */
export function deviceType(): DeviceType {
  const agent = globalThis.navigator?.userAgent ?? "";
  if (agent === "") return "unknown";
  if (/iPad|Tablet|Android(?!.*Mobile)/.test(agent)) return "tablet";
  return /Mobi|iPhone|Android/.test(agent) ? "mobile" : "desktop";
}
