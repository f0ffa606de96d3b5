import {
  useCached,
  useCollection,
  useConflicts,
  useDeadLetters,
  useDocument,
  useModel,
  useQueue,
  useSyncStatus,
} from "offline-ai-sync/react";
import { createElement as h, StrictMode, useState } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { FALLBACK, type Mount, type Parts, QUESTION, text } from "./parts.ts";

let draws = 0;
let show: (id: string) => void = () => undefined;

export function App({ engine, todos, cache, models }: Partial<Parts>) {
  draws++;
  const [id, setId] = useState("one");
  show = (next) => flushSync(() => setId(next));
  const shown = {
    pending: useSyncStatus(engine).pending,
    queue: useQueue(engine).value?.items.map(({ eventType }) => eventType),
    letters: useDeadLetters(engine, { limit: 10 }).value?.items.map(({ code }) => code),
    one: useDocument(todos, id).value,
    all: useCollection(todos).value?.map((entry) => entry.id),
    conflicts: useConflicts(todos).value?.map(({ path }) => path),
    cached: useCached(cache, "lesson", "1", { fallback: FALLBACK }).value,
    model: useModel(models, "intent", QUESTION, { top: 1 }).value?.predictions[0]?.label,
  };
  return Object.entries(shown).map(([name, value]) => h("pre", { id: name, key: name }, text(value)));
}

export const mount: Mount = (parts, element) => {
  const root = createRoot(element);
  root.render(h(StrictMode, null, h(App, parts)));
  return { show: (id) => show(id), unmount: () => root.unmount(), drawn: () => draws };
};
