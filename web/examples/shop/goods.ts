/** What both builds of the shop have in common: goods, and how they are shown. */

import { button, element, setRows, setText } from "../../src/dom.ts";

export interface Good {
  readonly sku: string;
  readonly title: string;
  readonly group: string;
  /** In cents. */
  readonly price: number;
}
export interface Line {
  readonly sku: string;
  readonly quantity: number;
}

export const money = (cents: number): string => `€ ${(cents / 100).toFixed(2)}`;

export function showGoods(list: string, goods: readonly Good[], add: (good: Good) => void): void {
  element(list).replaceChildren(
    ...goods.map((good) => {
      const row = document.createElement("li");
      const added = button(good.title, () => add(good));
      added.dataset["sku"] = good.sku;
      const price = document.createElement("small");
      price.textContent = `${good.group}, ${money(good.price)}`;
      added.append(price);
      row.append(added);
      return row;
    }),
  );
}

export function showCart(lines: readonly Line[], goods: readonly Good[]): void {
  const held = lines.filter(({ quantity }) => quantity > 0);
  const priced = held.map(({ sku, quantity }) => ({ quantity, good: goods.find((one) => one.sku === sku) }));
  setRows(
    "cart",
    priced.map(({ quantity, good }) => [good?.title ?? "?", String(quantity), money(quantity * (good?.price ?? 0))]),
  );
  setText(
    "total",
    `Total ${money(priced.reduce((sum, { quantity, good }) => sum + quantity * (good?.price ?? 0), 0))}`,
  );
}
