/** The same shop without the engine, for comparison: catalogue and cart come from the server at every visit. */

import { element, setText } from "../../src/dom.ts";
import { type Good, type Line, showCart, showGoods } from "../shop/goods.ts";

const json = async <T>(url: string): Promise<T> => (await (await fetch(url)).json()) as T;

interface Space {
  readonly items?: readonly { readonly id: string; readonly value?: { readonly lines?: readonly Line[] } }[];
}

const [goods, space] = await Promise.all([
  json<readonly Good[]>("/examples/shop/catalogue.json"),
  json<Space>("/api/offline-ai/spaces/~/documents?collection=carts"),
]);
let lines = space.items?.find(({ id }) => id === "basket")?.value?.lines ?? [];
showGoods("goods", goods, ({ sku }) => {
  lines = lines.some((line) => line.sku === sku)
    ? lines.map((line) => (line.sku === sku ? { ...line, quantity: line.quantity + 1 } : line))
    : [...lines, { sku, quantity: 1 }];
  showCart(lines, goods);
});
element("order").addEventListener("click", () => setText("word", "This build only measures how fast it starts."));
showCart(lines, goods);
setText("sync", "");
performance.mark("interactive");
