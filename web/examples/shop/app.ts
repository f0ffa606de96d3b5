/** A shop: the cart is a document that all of a person's devices edit, an order is an event, recommendations are learned here. */

import { open } from "offline-ai-sync";
import { withDocuments } from "offline-ai-sync/documents";
import { coalesced, element, setText } from "../../src/dom.ts";
import { showSync } from "../sync-line.ts";
import { type Good, type Line, showCart, showGoods } from "./goods.ts";

interface Cart {
  readonly lines: readonly Line[];
}

const engine = withDocuments(
  open({ name: "shop", url: "/api/offline-ai", wasmUrl: "/core.wasm", worker: "/examples/shop/sw.js" }),
  { wasmUrl: "/documents.wasm" },
);
showSync(engine, element("sync"));
// Two devices that add the same item add up; an item that one device removes while another adds to it stays.
const carts = engine.collection<Cart>("carts", {
  schema: { "/lines": "list:key=sku", "/lines/*/quantity": "counter" },
});

async function start(): Promise<void> {
  // The Service Worker keeps the catalogue with the rest of its release.
  const goods = (await (await fetch("/examples/shop/catalogue.json")).json()) as readonly Good[];
  const refresh = coalesced(
    async () => showCart((await carts.get("basket"))?.lines ?? [], goods),
    (error) => setText("word", String(error)),
  );
  const add = (good: Good): void => {
    act(put(good.sku));
    act(learn(good, goods, add));
  };
  showGoods("goods", goods, add);
  carts.subscribe(() => void refresh());
  element("order").addEventListener("click", () => act(order()));
  await refresh();
  performance.mark("interactive");
  await recommend(goods, add);
}

async function put(sku: string): Promise<void> {
  await carts.update("basket", (cart) => {
    const lines = cart?.lines ?? [];
    const known = lines.some((line) => line.sku === sku);
    return {
      lines: known
        ? lines.map((line) => (line.sku === sku ? { ...line, quantity: line.quantity + 1 } : line))
        : [...lines, { sku, quantity: 1 }],
    };
  });
}

async function order(): Promise<void> {
  const lines = ((await carts.get("basket"))?.lines ?? []).filter(({ quantity }) => quantity > 0);
  if (lines.length === 0) return;
  const { synced } = await engine.queueEvent({
    eventType: "order.place",
    moduleId: "shop",
    eventData: { lines },
    entity: "order",
    priority: "critical",
  });
  setText("word", "Your order is saved on this device and goes out as soon as there is a network.");
  await carts.update("basket", () => ({ lines: [] }));
  const { kind } = await synced;
  setText("word", kind === "applied" ? "The shop has your order." : `The shop did not take your order: ${kind}.`);
}

/** Loaded when the shop can be used already: it is not what a person waits for. */
const taste = async () => {
  const { withModels } = await import("offline-ai-sync/models");
  return withModels(engine, { kernelUrl: "/infer.wasm" });
};
let models: ReturnType<typeof taste> | undefined;

async function recommend(goods: readonly Good[], add: (good: Good) => void): Promise<void> {
  models ??= taste();
  // Goods nobody has looked at are placed by how like their titles are.
  const titles = Object.fromEntries(goods.map(({ sku, title, group }) => [sku, `${group} ${title}`]));
  const inCart = ((await carts.get("basket"))?.lines ?? []).map(({ sku }) => sku);
  const best = await (await models).recommend({ top: 4, titles, exclude: inCart });
  const found = best.flatMap(({ item }) => goods.find(({ sku }) => sku === item) ?? []);
  element("liked").hidden = inCart.length === 0 || found.length === 0;
  showGoods("recommended", found, add);
}

async function learn(good: Good, goods: readonly Good[], add: (good: Good) => void): Promise<void> {
  models ??= taste();
  await (await models).visit(good.sku);
  await recommend(goods, add);
}

function act(work: Promise<unknown>): void {
  work.catch((error: unknown) => setText("word", error instanceof Error ? error.message : String(error)));
}

act(start());
Object.assign(globalThis, { engine, carts });
