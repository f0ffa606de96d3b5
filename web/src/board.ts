/** The shared documents of the demo: a profile, a cart and to-dos that every device edits, and what it does with conflicts. */

import type { OfflineSync } from "offline-ai-sync";
import { type Collection, type Conflict, withDocuments } from "offline-ai-sync/documents";
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
const shownConflicts = 5;

const text = (value: unknown): string =>
  value === undefined ? "(deleted)" : typeof value === "string" ? value : JSON.stringify(value);

/** Three columns: what both had agreed on, and the sides, each with the button that takes it. */
function conflictCard(of: Collection, conflict: Conflict, done: () => void): HTMLElement {
  const card = document.createElement("div");
  card.className = "conflict";
  card.dataset["class"] = conflict.class;
  const head = document.createElement("p");
  head.textContent = `${conflict.collection} ${conflict.path}: ${conflict.class}, ${conflict.rule}`;
  const sides = document.createElement("dl");
  sides.className = "sides";
  const column = (title: string, value: unknown, take: boolean): void => {
    const cell = document.createElement("div");
    const term = document.createElement("dt");
    term.textContent = title;
    const shown = document.createElement("dd");
    shown.textContent = take || value !== undefined ? text(value) : "(nothing)";
    shown.style.margin = "0";
    cell.append(term, shown);
    if (take)
      cell.append(
        button("Take this", () => {
          of.conflicts.resolve(conflict.documentId, conflict.id, value).then(done, done);
        }),
      );
    sides.append(cell);
  };
  column("agreed before", conflict.base, conflict.base !== undefined);
  conflict.siblings.slice(0, 2).forEach((side, i) => {
    const won = JSON.stringify(side.value) === JSON.stringify(conflict.winner);
    column(`side ${i + 1}${won && conflict.class !== "manual" ? " (visible)" : ""}`, side.value, true);
  });
  card.append(head, sides);
  if (conflict.class === "lossy")
    card.append(button("Undo", () => void of.conflicts.undo(conflict.documentId, conflict.id).then(done, done)));
  return card;
}

export function showBoard(engine: OfflineSync): void {
  const app = withDocuments(engine, { wasmUrl: "/documents.wasm" });
  const profiles = app.collection<Profile>("profiles", { schema: { "/email": "manual" } });
  const carts = app.collection<Cart>("carts", {
    schema: { "/lines": "list:key=sku", "/lines/*/quantity": "counter" },
  });
  const todos = app.collection<Todo>("todos");
  const all: readonly Collection[] = [profiles as Collection, carts as Collection, todos as Collection];
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

  async function showConflicts(): Promise<void> {
    const found = (
      await Promise.all(all.map(async (of) => (await of.conflicts.list()).map((one) => [of, one] as const)))
    ).flat();
    const counted = (name: string): number => found.filter(([, one]) => one.class === name).length;
    setText(
      "conflict-counts",
      `${counted("lossless")} lossless, ${counted("lossy")} lossy, ${counted("manual") + counted("failed")} for a person`,
    );
    const order = ["manual", "failed", "lossy", "lossless"];
    found.sort(([, a], [, b]) => order.indexOf(a.class) - order.indexOf(b.class));
    element("conflicts").replaceChildren(
      ...found.slice(0, shownConflicts).map(([of, one]) => conflictCard(of, one, () => void refresh())),
    );
  }

  const refresh = coalesced(
    async () => {
      await Promise.all([showProfile(), showCart(), showTodos(), showConflicts()]);
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
  for (const one of all) one.subscribe(() => void refresh());
  // Two devices that seed the same cart seed one cart.
  act(carts.seed("basket", GOODS));
}
