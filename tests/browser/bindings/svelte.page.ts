import { mount as mountComponent, unmount } from "svelte";
import App from "./App.svelte";
import type { Mount } from "./parts.ts";

export { App };

export const mount: Mount = (parts, target) => {
  let draws = 0;
  const app = mountComponent(App, { target, props: { parts, ondraw: () => draws++ } });
  return { show: (id) => app["show"](id), unmount: () => void unmount(app), drawn: () => draws };
};
