/** The custom element: properties in, a shadow root out. It reads, and acts only where `allow-actions` stands. */

import { h, render } from "preact";
import type { OfflineSync } from "../browser/client.ts";
import type { ContentCache } from "../cache/content-cache.ts";
import type { Documents } from "../documents/documents.ts";
import { App } from "./app.ts";
import type { Records } from "./records.ts";
import { STYLE } from "./style.ts";
import { Timeline } from "./timeline.ts";
import type { TraceNote } from "./trace.ts";

/** The element `<offline-ai-devtools>`; it only reads unless `allow-actions` stands. */
export interface DevtoolsElement extends HTMLElement {
  /** What to look into. An engine made by `withDocuments` brings its documents along. */
  engine: (OfflineSync & { readonly documents?: Documents }) | undefined;
  /** Conflicts and the export of a person's data include these. */
  documents: Documents | undefined;
  cache: ContentCache | undefined;
  /** Puts into the trace what this page knows of its network and the engine cannot (docs/testing.md). */
  note(note: TraceNote): void;
}

/** Where the file cannot be loaded there is no trace and no chart; their panels say so. */
const ignore = (): void => undefined;

function recordsOf(engine: OfflineSync, timeline: Timeline): Promise<Records> {
  const openedAt = performance.now();
  const records = import("./records.ts").then(({ Records }) => new Records(engine, timeline, openedAt));
  records.catch(ignore); // nobody may be listening yet
  timeline.called = (events, count) => records.then(({ recorder }) => recorder.called(events, count), ignore);
  return records;
}

const makeClass = () =>
  class extends HTMLElement implements DevtoolsElement {
    static readonly observedAttributes = ["allow-actions", "tab"];
    readonly #root = this.attachShadow({ mode: "open" });
    #engine: DevtoolsElement["engine"];
    #documents: Documents | undefined;
    #cache: ContentCache | undefined;
    #timeline = new Timeline();
    #records: Promise<Records> | undefined;
    #deafen: (() => void) | undefined;
    #asked = false;

    constructor() {
      super();
      // A constructed sheet is the page's own script, so the strictest policy lets it through where `<style>` fails.
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      this.#root.adoptedStyleSheets = [sheet];
    }

    get engine(): DevtoolsElement["engine"] {
      return this.#engine;
    }
    set engine(engine: DevtoolsElement["engine"]) {
      if (engine === this.#engine) return;
      this.#engine = engine;
      this.#timeline = new Timeline();
      this.#records = engine && recordsOf(engine, this.#timeline);
      this.#listen();
      this.#show();
    }

    get documents(): Documents | undefined {
      return this.#documents ?? this.#engine?.documents;
    }
    set documents(documents: Documents | undefined) {
      this.#documents = documents;
      this.#show();
    }

    get cache(): ContentCache | undefined {
      return this.#cache;
    }
    set cache(cache: ContentCache | undefined) {
      this.#cache = cache;
      this.#show();
    }

    note(note: TraceNote): void {
      const at = performance.now();
      this.#records?.then(({ recorder }) => recorder.note(note, at), ignore);
    }

    connectedCallback(): void {
      this.#listen();
      this.#show();
    }

    disconnectedCallback(): void {
      this.#deafen?.();
      this.#deafen = undefined;
      render(null, this.#root);
    }

    attributeChangedCallback(): void {
      this.#show();
    }

    /** The times of an event are known only to those who listened while it passed. */
    #listen(): void {
      this.#deafen?.();
      this.#deafen = undefined;
      const [engine, timeline, records] = [this.#engine, this.#timeline, this.#records];
      if (!engine || !records || !this.isConnected) return;
      const off = engine.on("trace", (entry) => {
        timeline.hear(entry);
        records.then(({ recorder }) => recorder.hear(entry), ignore);
      });
      records.then((all) => all.start(), ignore);
      this.#deafen = () => {
        off();
        records.then((all) => all.stop(), ignore);
      };
    }

    /** Several properties set in a row are one rendering. */
    #show(): void {
      if (this.#asked) return;
      this.#asked = true;
      queueMicrotask(() => {
        this.#asked = false;
        if (!this.isConnected) return;
        const { engine, documents, cache } = this;
        const props = {
          ...{ engine, documents, cache, timeline: this.#timeline, records: this.#records },
          allowed: this.hasAttribute("allow-actions"),
          first: this.getAttribute("tab") ?? "queue",
        };
        render(h(App, props), this.#root);
      });
    }
  };

/** Makes the element known under `name`. Calling it again changes nothing; where there are no elements it does nothing. */
export function defineDevtools(name = "offline-ai-devtools"): void {
  if (typeof customElements === "undefined" || customElements.get(name)) return;
  customElements.define(name, makeClass());
}

declare global {
  interface HTMLElementTagNameMap {
    "offline-ai-devtools": DevtoolsElement;
  }
}
