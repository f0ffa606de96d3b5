/** The device's own network switch: a page cannot pull the cable of one frame, so its `fetch` does. */

let cut = false;

export function installSwitch(): void {
  const real = globalThis.fetch.bind(globalThis);
  globalThis.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : String(input), location.href);
    if (cut && url.pathname.startsWith("/api/")) return Promise.reject(new TypeError("the network switch is off"));
    return real(input, init);
  };
  Object.defineProperty(navigator, "onLine", { configurable: true, get: () => !cut });
}

export function setNetwork(online: boolean): void {
  cut = !online;
  globalThis.dispatchEvent(new Event(online ? "online" : "offline"));
}
