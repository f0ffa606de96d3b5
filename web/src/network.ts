/** The device's own network weather: a page cannot pull the cable of one frame, so its `fetch` does. */

export const TROUBLES = {
  none: "no trouble",
  captive: "captive portal: somebody else's page answers",
  error: "server error: everything is answered 500",
  unauthorized: "signed out: everything is answered 401",
} as const;
export type Trouble = keyof typeof TROUBLES;

export interface Weather {
  readonly online: boolean;
  readonly latencyMs: number;
  /** Share of requests that never arrive, 0 to 1. */
  readonly requestsLost: number;
  /** Share of answers that never arrive: the server has done its work, and nobody here knows. */
  readonly repliesLost: number;
  readonly trouble: Trouble;
}

export const FINE: Weather = { online: true, latencyMs: 0, requestsLost: 0, repliesLost: 0, trouble: "none" };

const PORTAL = "<!doctype html><title>Welcome</title><h1>Accept our terms to go online</h1>";
const answered = (status: number, type: string, body: string): Response =>
  new Response(body, { status, headers: { "content-type": type } });
const FOREIGN: Readonly<Record<Exclude<Trouble, "none">, () => Response>> = {
  captive: () => answered(200, "text/html", PORTAL),
  error: () => answered(500, "text/plain", "Internal Server Error"),
  unauthorized: () => answered(401, "application/problem+json", '{"code":"unauthorized"}'),
};

let weather = FINE;

const cut = (): TypeError => new TypeError("the network was cut");

function pause(ms: number, signal: AbortSignal | null | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    setTimeout(resolve, ms);
  });
}

/** Call it before anything fetches. `random` decides what is lost; `lost` is told so, just before the caller is. */
export function installWeather(
  random: () => number,
  lost: (what: "request" | "reply", path: string) => void = () => undefined,
): void {
  const real = globalThis.fetch.bind(globalThis);
  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : String(input), location.href);
    if (!url.pathname.startsWith("/api/")) return real(input, init);
    if (weather.latencyMs > 0) await pause(weather.latencyMs, init?.signal);
    const { online, trouble, requestsLost, repliesLost } = weather;
    if (!online || random() < requestsLost) {
      lost("request", url.pathname);
      throw cut();
    }
    if (trouble !== "none") return FOREIGN[trouble]();
    const reply = await real(input, init);
    if (random() >= repliesLost) return reply;
    await reply.body?.cancel();
    lost("reply", url.pathname);
    throw cut();
  };
  Object.defineProperty(navigator, "onLine", { configurable: true, get: () => weather.online });
}

export const getWeather = (): Weather => weather;

export function setWeather(change: Partial<Weather>): void {
  const { online } = weather;
  weather = { ...weather, ...change };
  if (weather.online !== online) dispatchEvent(new Event(weather.online ? "online" : "offline"));
}
