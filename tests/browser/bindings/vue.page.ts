import {
  useCached,
  useCollection,
  useConflicts,
  useDeadLetters,
  useDocument,
  useModel,
  useQueue,
  useSyncStatus,
} from "offline-ai-sync/vue";
import { createApp, defineComponent, h, ref } from "vue";
import { FALLBACK, type Mount, type Parts, QUESTION, text } from "./parts.ts";

let draws = 0;
const id = ref("one");

export const App = defineComponent(
  (parts: { readonly parts?: Parts }) => {
    const { engine, todos, cache, models } = parts.parts ?? {};
    const shown = {
      status: useSyncStatus(engine),
      queue: useQueue(engine),
      letters: useDeadLetters(engine, { limit: 10 }),
      one: useDocument(todos, id),
      all: useCollection(todos),
      conflicts: useConflicts(todos),
      cached: useCached(cache, "lesson", "1", { fallback: FALLBACK }),
      model: useModel(models, "intent", () => QUESTION, { top: 1 }),
    };
    return () => {
      draws++;
      const values = {
        pending: shown.status.value.pending,
        queue: shown.queue.value.value?.items.map(({ eventType }) => eventType),
        letters: shown.letters.value.value?.items.map(({ code }) => code),
        one: shown.one.value.value,
        all: shown.all.value.value?.map((entry) => entry.id),
        conflicts: shown.conflicts.value.value?.map(({ path }) => path),
        cached: shown.cached.value.value,
        model: shown.model.value.value?.predictions[0]?.label,
      };
      return Object.entries(values).map(([name, value]) => h("pre", { id: name }, text(value)));
    };
  },
  { props: ["parts"] },
);

export const mount: Mount = (parts, element) => {
  const app = createApp(App, { parts });
  app.mount(element);
  return {
    show: (next) => {
      id.value = next;
    },
    unmount: () => app.unmount(),
    drawn: () => draws,
  };
};
