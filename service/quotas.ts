/**
 * Limits per tenant: runs that have not ended, and stored bytes. The figures of the store are cached here.
 *
 * Rule: requests are not checked against the database one by one. A value that was read is increased by each accepted
 * request, and read again from time to time. Only a recent value refuses a request. Several processes may together
 * exceed the limit a little before they read again.
 * Imported by `service/index.ts` and tests.
 */
import { apiErrors } from '../protocol/errors.ts';
import { TENANT_DEFAULTS } from '../protocol/limits.ts';
import type { RunStore } from '../protocol/ports/run-store.ts';

export interface TenantLimits {
  /** Runs that have not ended. 0 = no limit. Default 10,000. */
  liveRuns?: number;
  /** Bytes of assistants, threads, messages, runs and steps. 0 = no limit. Default 10 GiB. */
  storedBytes?: number;
}

export interface Quotas {
  /** Throws `ApiError` 429. */
  takeRun(tenant: string): Promise<void>;
  /** The run was not started. */
  returnRun(tenant: string): void;
  /** Throws `ApiError` 400. `params`: the data to be stored. */
  takeSpace(tenant: string, params: unknown): Promise<void>;
}

export interface Freshness {
  /** Age in milliseconds at which the next request reads the value again. */
  freshMs: number;
  /** Age up to which a value may refuse a request. */
  refusalMs: number;
}
const LIVE_FRESHNESS: Freshness = { freshMs: 5_000, refusalMs: 200 };
const STORED_FRESHNESS: Freshness = { freshMs: 60_000, refusalMs: 5_000 };
/** Share of time that reading may take. */
const MAX_READ_TIME_SHARE = 0.02;

interface Figure {
  value: number;
  readAt: number;
  /** How long the last reading took, in milliseconds. */
  took: number;
}

export interface Quota {
  /** null: accepted. Otherwise the value that forbids it. */
  take(tenant: string, amount: number): Promise<number | null>;
  give(tenant: string, amount: number): void;
}

/** One limit for all tenants; 0 = none. */
export const createQuota = (
  limit: number,
  read: (tenant: string) => Promise<number>,
  { freshMs, refusalMs }: Freshness,
  now: () => number,
): Quota => {
  const figures = new Map<string, Figure>();
  const reading = new Map<string, Promise<Figure>>();

  const load = async (tenant: string): Promise<Figure> => {
    const began = now();
    const before = figures.get(tenant)?.value ?? 0;
    const value = await read(tenant);
    // A request accepted meanwhile may be in the value already: it may count twice for a while, but always counts.
    const meanwhile = Math.max(0, (figures.get(tenant)?.value ?? before) - before);
    const readAt = now();
    const figure = { value: value + meanwhile, readAt, took: readAt - began };
    figures.set(tenant, figure);
    return figure;
  };
  const reload = (tenant: string): Promise<Figure> => {
    const under = reading.get(tenant) ?? load(tenant).finally(() => reading.delete(tenant));
    reading.set(tenant, under);
    return under;
  };

  const isOlder = ({ readAt, took }: Figure, ms: number): boolean =>
    now() - readAt >= Math.max(ms, took / MAX_READ_TIME_SHARE);

  return {
    async take(tenant, amount) {
      if (limit === 0) return null;
      let figure = figures.get(tenant) ?? (await reload(tenant));
      if (figure.value + amount > limit && isOlder(figure, refusalMs)) figure = await reload(tenant);
      else if (isOlder(figure, freshMs)) reload(tenant).catch(() => undefined);
      if (figure.value + amount > limit) return figure.value;
      figure.value += amount;
      return null;
    },
    give(tenant, amount) {
      const figure = figures.get(tenant);
      if (figure !== undefined) figure.value = Math.max(0, figure.value - amount);
    },
  };
};

/** Approximate bytes of a value: the characters of its texts, and some for each value. */
export const sizeOf = (value: unknown): number => {
  let size = 0;
  const todo: unknown[] = [value];
  while (todo.length > 0) {
    const item = todo.pop();
    size += 16;
    if (typeof item === 'string') size += item.length;
    else if (typeof item === 'object' && item !== null)
      for (const member of Object.values(item)) todo.push(member);
  }
  return size;
};

export const createQuotas = (
  store: Pick<RunStore, 'countLiveRunsOf' | 'storedBytesOf'>,
  limits: TenantLimits,
  now: () => number = () => performance.now(),
): Quotas => {
  const liveRuns = limits.liveRuns ?? TENANT_DEFAULTS.liveRuns;
  const storedBytes = limits.storedBytes ?? TENANT_DEFAULTS.storedBytes;
  const live = createQuota(liveRuns, (tenant) => store.countLiveRunsOf(tenant), LIVE_FRESHNESS, now);
  const stored = createQuota(storedBytes, (tenant) => store.storedBytesOf(tenant), STORED_FRESHNESS, now);
  return {
    async takeRun(tenant) {
      const found = await live.take(tenant, 1);
      if (found !== null) throw apiErrors.tooManyRuns(found, liveRuns);
    },
    returnRun: (tenant) => live.give(tenant, 1),
    async takeSpace(tenant, params) {
      const found = await stored.take(tenant, sizeOf(params));
      if (found !== null) throw apiErrors.storageFull(found, storedBytes);
    },
  };
};
