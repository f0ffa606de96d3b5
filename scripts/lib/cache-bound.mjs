// What no cache could exceed, not even one that knows every request to come.
//
// A hit means that the item was kept since its last request. Give room a price at every moment: whoever keeps an item pays its
// size times the price for as long as it lies there, and keeps it when the hit is worth more. Whatever the prices, the worth of what
// is kept beyond its cost, and the cost of all the room there is, together are at least what any cache within the budget
// can earn (the dual of the linear program; D. Berger, N. Beckmann, M. Harchol-Balter, 2018). The prices are raised where more
// would be kept than there is room, and lowered elsewhere; the least of these bounds is the answer.

/** The stays between two requests of one item: from, to, its size. */
function staysOf(requests, budget) {
  const last = new Map();
  const stays = [];
  requests.forEach(([key, bytes], at) => {
    const from = last.get(key);
    if (from !== undefined && bytes <= budget) stays.push({ from, to: at, bytes });
    last.set(key, at);
  });
  return stays;
}

/** Hit rate in percent, by requests or by bytes. `requests`: key and bytes each. */
export function boundOf(requests, budget, { byBytes, passes }) {
  const stays = staysOf(requests, budget);
  const moments = requests.length;
  const worth = ({ bytes }) => (byBytes ? bytes : 1);
  const prices = new Float64Array(moments);
  const paid = new Float64Array(moments + 1);
  const room = new Float64Array(moments + 1);
  // The whole of what is kept at these prices, and in `room` how much that is at each moment.
  const bound = () => {
    for (let at = 0; at < moments; at++) paid[at + 1] = paid[at] + prices[at];
    room.fill(0);
    let sum = budget * paid[moments];
    for (const stay of stays) {
      const left = worth(stay) - stay.bytes * (paid[stay.to] - paid[stay.from]);
      if (left <= 0) continue;
      sum += left;
      room[stay.from] += stay.bytes;
      room[stay.to] -= stay.bytes;
    }
    return sum;
  };
  let least = Number.POSITIVE_INFINITY;
  let start = 0;
  for (let price = byBytes ? 1e-6 : 1e-12; price < (byBytes ? 1 : 1e-4); price *= 1.3) {
    prices.fill(price);
    const sum = bound();
    if (sum < least) [least, start] = [sum, price];
  }
  prices.fill(start);
  for (let pass = 0; pass < passes; pass++) {
    least = Math.min(least, bound());
    const step = 0.2 / (1 + pass / 50);
    let kept = 0;
    for (let at = 0; at < moments; at++) {
      kept += room[at];
      const over = Math.max(-1, Math.min(1, (kept - budget) / budget));
      prices[at] = Math.max(start * 1e-5, prices[at] * Math.exp(step * over));
    }
  }
  const whole = byBytes ? requests.reduce((sum, [, bytes]) => sum + bytes, 0) : moments;
  return (100 * least) / whole;
}
