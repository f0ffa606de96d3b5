/**
 * A bar that says that a new version waits, and loads it when asked to. Nothing reloads before that, and then once; what was queued is
 * stored, and is sent by the new page.
 */

import { button } from "./dom.ts";

const ACTIVE_MS_MAX = 5_000;
/**
 * Chromium restarts the worker before this one when a request meets the moment of the change, and then answers neither that request nor
 * a navigation: the one that comes after it is answered.
 */
const AGAIN_MS = 3_000;
/** The worker of a frame may be in the middle of a drain, and takes over behind it: nobody is asked twice about that one. */
const ASKED_MS = 60_000;
const ASKED_KEY = "oas-update";
/** A build changes the worker of the page and those of its frames, each installs in its own time: "Later" answers for all of them. */
const LATER_MS = 60_000;

function show(reload: () => void, later: () => void): void {
  if (document.getElementById("update")) return;
  const bar = document.createElement("div");
  bar.id = "update";
  bar.setAttribute("role", "status");
  const words = document.createElement("span");
  words.textContent = "A new version is ready.";
  const act = button("Reload", () => {
    act.disabled = true;
    act.textContent = "Loading …";
    reload();
  });
  act.className = "strong";
  bar.append(
    words,
    act,
    button("Later", () => {
      bar.remove();
      later();
    }),
  );
  document.body.append(bar);
}

/** Resolves when the worker is in charge, or has had its time. */
function activated(worker: ServiceWorker): Promise<unknown> {
  const active = new Promise<void>((resolve) => {
    worker.addEventListener("statechange", () => (worker.state === "activated" ? resolve() : undefined));
  });
  return Promise.race([active, new Promise((resolve) => setTimeout(resolve, ACTIVE_MS_MAX))]);
}

/** Follows the workers of these pages, the frames of this one among them. */
export function showUpdates(scopes: readonly string[]): void {
  const workers: ServiceWorkerContainer | undefined = navigator.serviceWorker;
  if (!workers) return;
  const followed = new Set<ServiceWorkerRegistration>();
  const pathOf = ({ scope }: ServiceWorkerRegistration): string => new URL(scope).pathname;
  const registrations = async (): Promise<readonly ServiceWorkerRegistration[]> =>
    (await workers.getRegistrations()).filter((one) => scopes.includes(pathOf(one)));
  const waitingOf = (all: readonly ServiceWorkerRegistration[]): readonly ServiceWorker[] =>
    all.flatMap(({ waiting }) => waiting ?? []);

  const reload = async (): Promise<void> => {
    const all = await registrations();
    const own = waitingOf(all.filter((one) => pathOf(one) === scopes[0]));
    const waiting = waitingOf(all);
    const ready = (own.length > 0 ? own : waiting).map(activated);
    for (const worker of waiting) worker.postMessage({ type: "oas-release" });
    await Promise.all(ready);
    sessionStorage.setItem(ASKED_KEY, String(Date.now()));
    setInterval(() => location.reload(), AGAIN_MS); // ends with this page
    location.reload();
  };
  let putOffAt = Number.NEGATIVE_INFINITY;
  const announce = (load: () => void): void => show(load, () => (putOffAt = performance.now()));
  const look = async (): Promise<void> => {
    const asked = Date.now() - Number(sessionStorage.getItem(ASKED_KEY)) < ASKED_MS;
    for (const registration of await registrations()) {
      const known = asked && pathOf(registration) !== scopes[0];
      if (registration.waiting && !known) announce(() => void reload());
      if (followed.has(registration)) continue;
      followed.add(registration);
      registration.addEventListener("updatefound", () =>
        registration.installing?.addEventListener("statechange", () => {
          if (performance.now() - putOffAt > LATER_MS) void look();
        }),
      );
    }
  };
  // Another page of ours has asked for it: this one still runs the version before.
  onTakeover(() => announce(() => location.reload()));
  workers.ready.then(look, () => undefined);
  // A page that stays open for days hears of nothing by itself.
  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState !== "visible") return;
    await Promise.all((await registrations()).map((one) => one.update().catch(() => undefined))); // no network, no news
    await look();
  });
}

/** Tells when the worker of another version takes over, which happens only when somebody has asked for it. */
export function onTakeover(act: () => void): void {
  const workers: ServiceWorkerContainer | undefined = navigator.serviceWorker;
  if (workers?.controller) workers.addEventListener("controllerchange", act, { once: true });
}
