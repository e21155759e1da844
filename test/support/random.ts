/**
 * Random numbers from a seed: the only source of chance in simulated schedules and in the plans of drills, so that a seed
 * gives the same schedule again.
 *
 * Rule: no `Math.random` and no clock in `test/simulation` or in a drill's plan. `fork` gives a part of the schedule its own
 * stream, so that one more draw in one part does not change the others.
 * Imported by test/simulation and test/chaos.
 */
export interface Random {
  /** 0 ≤ x < 1. */
  next(): number;
  /** Whole number, both ends included. */
  int(least: number, most: number): number;
  chance(share: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** An item by its weight. */
  weighted<T>(items: readonly (readonly [weight: number, item: T])[]): T;
  /** Milliseconds, most of them short: uniform in the logarithm. */
  ms(least: number, most: number): number;
  fork(label: string): Random;
}

const hash = (text: string): number => {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1)
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value >>> 0;
};

/** mulberry32: small, fast, and good enough to choose schedules. */
export const createRandom = (seed: number): Random => {
  // Neighbouring seeds must not give neighbouring streams.
  let state = Math.imul((seed >>> 0) ^ 0x9e3779b9, 0x85ebca6b) ^ Math.floor(seed / 4294967296);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  next();
  const random: Random = {
    next,
    int: (least, most) => least + Math.floor(next() * (most - least + 1)),
    chance: (share) => next() < share,
    pick: <T>(items: readonly T[]): T => {
      const item = items[Math.floor(next() * items.length)];
      if (items.length === 0) throw new RangeError('Nothing to pick from: the list is empty.');
      return item as T;
    },
    weighted: <T>(items: readonly (readonly [weight: number, item: T])[]): T => {
      let left = next() * items.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, item] of items) {
        left -= weight;
        if (left < 0) return item;
      }
      return random.pick(items)[1];
    },
    ms: (least, most) =>
      Math.round(Math.exp(Math.log(least + 1) + next() * (Math.log(most + 1) - Math.log(least + 1))) - 1),
    fork: (label) => createRandom((Math.floor(next() * 4294967296) ^ hash(label)) >>> 0),
  };
  return random;
};
