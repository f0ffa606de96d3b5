/**
 * What other policies would have earned, judged from decisions that one policy made and logged with their propensities.
 *
 * A decision that a policy would take with probability q and that was taken with probability p weighs w = q / p. Of n
 * decisions with rewards r the inverse propensity estimate is mean(w r), unbiased where the propensities are true and every
 * action had a chance (Horvitz and Thompson 1952); with w cut at `clip` it is steadier and, for rewards of 0 to 1, never
 * too high on average (Bottou et al. 2013); the self-normalised one, sum(w r) / sum(w), is a little biased and far
 * steadier (Swaminathan and Joachims 2015). Intervals are estimate +- 1.96 s: of a mean s^2 = sample variance / n, of the
 * ratio s^2 = sum(w^2 (r - estimate)^2) / sum(w)^2 (Owen 2013, ch. 9). They take decisions as independent. The effective
 * size is sum(w)^2 / sum(w^2) (Kish 1965): where it is small, believe none of them.
 *
 * Memory is a few sums an action. Not here: where decisions come from (decision-log.ts).
 */

const Z95 = 1.96;

export interface Estimate {
  readonly value: number;
  /** Ends of the 95 % interval. */
  readonly low: number;
  readonly high: number;
}

export interface PolicyEstimate {
  readonly policy: "uniform" | "always" | "most-rewarded";
  /** What it chooses; empty for `uniform`. */
  readonly actions: readonly string[];
  /** Decisions in which it had something to choose. */
  readonly n: number;
  readonly effectiveN: number;
  /** Near 1 where the propensities are true and every action had a chance. */
  readonly meanWeight: number;
  /** Null where the log never did what the policy would do. */
  readonly ips: Estimate | null;
  readonly clipped: Estimate | null;
  readonly selfNormalised: Estimate | null;
}

export interface Sample {
  /** Places in the table of actions. */
  readonly action: number;
  readonly actions: Uint8Array;
  readonly propensity: number;
  readonly reward: number;
}

/** Of n values, by their sum and sum of squares. */
function meanOf(n: number, sum: number, squares: number): Estimate | null {
  if (n === 0) return null;
  const value = sum / n;
  // Rounding may leave less than nothing of a variance of zero; one value alone says nothing of its spread.
  const variance = n < 2 ? 0 : Math.max(0, (squares - n * value * value) / (n - 1));
  return interval(value, Math.sqrt(variance / n));
}

const interval = (value: number, deviation: number): Estimate => ({
  value,
  low: value - Z95 * deviation,
  high: value + Z95 * deviation,
});

/** All that the estimates of one policy need. */
class Sums {
  n = 0;
  w = 0;
  ww = 0;
  wr = 0;
  wwr = 0;
  wwrr = 0;
  cut = 0;
  cutSquares = 0;

  add(weight: number, reward: number, clip: number): void {
    this.n++;
    if (weight === 0) return;
    const earned = weight * reward;
    const cut = Math.min(weight, clip) * reward;
    this.w += weight;
    this.ww += weight * weight;
    this.wr += earned;
    this.wwr += weight * earned;
    this.wwrr += earned * earned;
    this.cut += cut;
    this.cutSquares += cut * cut;
  }

  plus(more: Sums): Sums {
    const both = new Sums();
    for (const name of ["n", "w", "ww", "wr", "wwr", "wwrr", "cut", "cutSquares"] as const)
      both[name] = this[name] + more[name];
    return both;
  }

  get ratio(): number {
    return this.wr / this.w;
  }

  estimates(): Omit<PolicyEstimate, "policy" | "actions"> {
    const { n, w, ww, wr, wwr, wwrr, cut, cutSquares, ratio } = this;
    if (w === 0) return { n, effectiveN: 0, meanWeight: 0, ips: null, clipped: null, selfNormalised: null };
    const squares = Math.max(0, wwrr - 2 * ratio * wwr + ratio * ratio * ww);
    return {
      n,
      effectiveN: (w * w) / ww,
      meanWeight: w / n,
      ips: meanOf(n, wr, wwrr),
      clipped: meanOf(n, cut, cutSquares),
      selfNormalised: interval(ratio, Math.sqrt(squares) / w),
    };
  }
}

export interface OffPolicyOptions {
  /** Weights above it count as this much in the clipped estimate. */
  readonly clip: number;
  readonly actionsMax: number;
  /** The only actions that are looked at; without them, the first `actionsMax` that come. */
  readonly actions?: readonly string[] | undefined;
}

export class OffPolicy {
  readonly #clip: number;
  readonly #actionsMax: number;
  readonly #places = new Map<string, number>();
  // Two halves of the devices: what is chosen by one is judged by the other, else the winner would be praised for luck.
  readonly #halves: readonly [Sums[], Sums[]] = [[], []];
  readonly #uniform = new Sums();
  #n = 0;
  #reward = 0;
  #rewardSquares = 0;

  constructor({ clip, actionsMax, actions }: OffPolicyOptions) {
    this.#clip = clip;
    this.#actionsMax = actions ? 0 : actionsMax;
    for (const name of actions ?? []) this.#open(name);
  }

  /** Places of all these actions; undefined, and nothing remembered, when one has none and there is no room for it. */
  placesOf(actions: readonly string[]): Uint8Array | undefined {
    const added = actions.filter((name) => !this.#places.has(name));
    if (added.length > 0 && this.#places.size + added.length > this.#actionsMax) return undefined;
    for (const name of added) this.#open(name);
    return Uint8Array.from(actions, (name) => this.#places.get(name) ?? 0);
  }

  /** `half`: of the devices, the same for every decision of one. */
  add(half: 0 | 1, { action, actions, propensity, reward }: Sample): void {
    this.#n++;
    this.#reward += reward;
    this.#rewardSquares += reward * reward;
    this.#uniform.add(1 / actions.length / propensity, reward, this.#clip);
    for (const place of actions)
      this.#halves[half][place]?.add(place === action ? 1 / propensity : 0, reward, this.#clip);
  }

  get matched(): number {
    return this.#n;
  }

  /** What the logging policy earned. */
  logging(): Estimate | null {
    return meanOf(this.#n, this.#reward, this.#rewardSquares);
  }

  policies(): readonly PolicyEstimate[] {
    const names = [...this.#places.keys()];
    const always = names.map((name, place) => ({
      ...{ policy: "always" as const, actions: [name] },
      ...this.#at(0, place).plus(this.#at(1, place)).estimates(),
    }));
    const [best0, best1] = [this.#best(names, 0), this.#best(names, 1)];
    const judged0 = best1 === undefined ? new Sums() : this.#at(0, best1);
    const judged1 = best0 === undefined ? new Sums() : this.#at(1, best0);
    const chosen = [...new Set([best0, best1])].flatMap((place) => (place === undefined ? [] : (names[place] ?? [])));
    return [
      { policy: "uniform", actions: [], ...this.#uniform.estimates() },
      ...always.filter(({ n }) => n > 0),
      { policy: "most-rewarded", actions: chosen, ...judged0.plus(judged1).estimates() },
    ];
  }

  #open(name: string): void {
    this.#places.set(name, this.#places.size);
    for (const half of this.#halves) half.push(new Sums());
  }

  #at(half: 0 | 1, place: number): Sums {
    return this.#halves[half][place] ?? new Sums();
  }

  /** The action with the highest self-normalised estimate; of equals the first by name. */
  #best(names: readonly string[], half: 0 | 1): number | undefined {
    let best: number | undefined;
    names.forEach((name, place) => {
      const here = this.#at(half, place);
      if (here.w === 0) return;
      const lead = best === undefined ? 1 : here.ratio - this.#at(half, best).ratio;
      if (lead > 0 || (lead === 0 && name < (names[best ?? 0] ?? ""))) best = place;
    });
    return best;
  }
}
