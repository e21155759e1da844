/**
 * Properties under many inputs, in bounded time: from fixed seeds, which every run of the tests repeats, and from one
 * new seed.
 *
 * Rule: a failure prints its seed and path; `{ seed, path }` given to fast-check repeats it.
 */
import * as fc from 'fast-check';

const SEEDS = [1, 20_261_122];

interface Bounds {
  /** Inputs for each seed. Default 200. */
  runs?: number;
  /** Time for each seed, after which it ends, passed. Default 3,000 ms. */
  ms?: number;
}

const parametersOf = ({ runs = 200, ms = 3_000 }: Bounds, seed: number) => ({
  seed,
  numRuns: runs,
  interruptAfterTimeLimit: ms,
});

const newSeed = (): number => Math.floor(Math.random() * 2 ** 31);

export const holds = <T>(property: fc.IProperty<T>, bounds: Bounds = {}): void => {
  for (const seed of [...SEEDS, newSeed()]) fc.assert(property, parametersOf(bounds, seed));
};

export const holdsAsync = async <T>(property: fc.IAsyncProperty<T>, bounds: Bounds = {}): Promise<void> => {
  for (const seed of [...SEEDS, newSeed()]) await fc.assert(property, parametersOf(bounds, seed));
};
