/** The shared documents of the demo: a profile, a cart and to-dos that every device edits. The devtools show their conflicts. */

import type { OfflineSync } from "offline-ai-sync";
import { withDocuments } from "offline-ai-sync/documents";
import { button, coalesced, element, setRows, setText } from "./dom.ts";

interface Profile {
  readonly name?: string;
  readonly city?: string;
  readonly email?: string;
}
interface Line {
  readonly sku: string;
  readonly title: string;
  readonly quantity: number;
}
interface Cart {
  readonly lines: readonly Line[];
}
interface Todo {
  readonly title: string;
  readonly done: boolean;
}

const GOODS: Cart = {
  lines: [
    { sku: "tea", title: "Tea", quantity: 0 },
    { sku: "bread", title: "Bread", quantity: 0 },
  ],
};

export function showBoard(engine: OfflineSync): void {
  const app = withDocuments(engine, { wasmUrl: "/documents.wasm" });
  const profiles = app.collection<Profile>("profiles", { schema: { "/email": "manual" } });
  const carts = app.collection<Cart>("carts", {
    schema: { "/lines": "list:key=sku", "/lines/*/quantity": "counter" },
  });
  const todos = app.collection<Todo>("todos");
  Object.assign(globalThis, { documents: { profiles, carts, todos } });

  const form = element<HTMLFormElement>("profile");
  const field = (name: string): HTMLInputElement => form.elements.namedItem(name) as HTMLInputElement;

  async function showProfile(): Promise<void> {
    const profile = (await profiles.get("me")) ?? {};
    for (const name of ["name", "city", "email"] as const)
      if (document.activeElement !== field(name)) field(name).value = profile[name] ?? "";
  }

  async function showCart(): Promise<void> {
    const cart = await carts.get("basket");
    setRows(
      "cart",
      (cart?.lines ?? []).map(({ title, quantity }, i) => {
        const buttons = document.createElement("span");
        for (const by of [-1, 1])
          buttons.append(
            button(by > 0 ? "+" : "−", () =>
              act(carts.patch("basket", [{ op: "inc", path: `/lines/${i}/quantity`, by }])),
            ),
          );
        return [title, String(quantity), buttons];
      }),
    );
  }

  async function showTodos(): Promise<void> {
    const list = element("todos");
    list.replaceChildren(
      ...(await todos.list()).map(({ id, value }) => {
        const row = document.createElement("li");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = value.done;
        box.addEventListener("change", () => act(todos.update(id, (todo) => todo && { ...todo, done: box.checked })));
        const title = document.createElement("span");
        title.textContent = value.title;
        row.append(
          box,
          title,
          button("Delete", () => act(todos.delete(id))),
        );
        return row;
      }),
    );
  }

  const refresh = coalesced(
    async () => {
      await Promise.all([showProfile(), showCart(), showTodos()]);
      setText("board-state", "");
    },
    (error) => setText("board-state", String(error)),
  );

  function act(work: Promise<unknown>): void {
    work.then(
      () => refresh(),
      (error: unknown) => setText("board-state", String(error)),
    );
  }

  form.addEventListener("change", ({ target }) => {
    const { name, value } = target as HTMLInputElement;
    act(profiles.update("me", (profile) => ({ ...profile, [name]: value })));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  const adding = element<HTMLFormElement>("add-todo");
  adding.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = adding.elements.namedItem("title") as HTMLInputElement;
    act(todos.put(crypto.randomUUID(), { title: input.value, done: false }));
    input.value = "";
  });
  for (const one of [profiles, carts, todos]) one.subscribe(() => void refresh());
  // Two devices that seed the same cart seed one cart.
  act(carts.seed("basket", GOODS));
}
