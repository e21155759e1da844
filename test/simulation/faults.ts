/**
 * What goes wrong in a schedule, and where: drawn at each boundary as the schedule comes to it.
 *
 * Rule: every fault that is handed out is counted by kind and place, so that coverage can be demanded. After `until`
 * nothing goes wrong any more: from there on the run must come to its end.
 * Only `test/simulation` imports it.
 */
import type { Random } from '../support/random.ts';
import type { SimClock } from './temporal/types.ts';

export const NETWORK_FAULTS = [
  'reset before sending',
  'reset after processing',
  'status 500, not processed',
  'status 502, processed',
  'status 503',
  'status 429 with Retry-After',
  'no answer, not processed',
  'no answer, processed',
  'slow',
  'stale read',
  'cut stream',
] as const;
export type NetworkFault = (typeof NETWORK_FAULTS)[number];
/** Answers that no retry changes. */
export const FINAL_FAULTS = ['status 401', 'status 404'] as const;
export type FinalFault = (typeof FINAL_FAULTS)[number];

export const WORKER_FAULTS = ['worker killed', 'worker frozen', 'worker cut off'] as const;
export type WorkerFault = (typeof WORKER_FAULTS)[number];

/** Places where a worker may be hit. */
export const PLACES = [
  'attempt begins',
  'before a request',
  'request under way',
  'answer under way',
  'waiting for the server',
  'before the report',
  'tool begins',
  'tool took effect',
  'workflow task',
] as const;
export type Place = (typeof PLACES)[number];

export type Route = 'thread' | 'create' | 'list' | 'get' | 'submit' | 'cancel' | 'store' | 'model';

export interface Faults {
  /** What happens to this request. */
  request(route: Route): NetworkFault | FinalFault | null;
  worker(place: Place, kinds?: readonly WorkerFault[]): WorkerFault | null;
  /** Is anything still to go wrong? */
  active(): boolean;
  readonly until: number;
  /** Kind and place → how often. */
  readonly injected: ReadonlyMap<string, number>;
  /** Something else that went wrong. */
  count(what: string): void;
}

export interface Profile {
  name: string;
  /** Chance at each boundary. */
  network: number;
  workers: number;
  /** The server answers nothing at all between the two, in milliseconds from the start. */
  outageFromMs: number;
  outageMs: number;
  /** The outage is the store's too. */
  outageOfStore: boolean;
  final: number;
  untilMs: number;
  most: number;
  /** How far a worker's wall clock may be off. */
  skewMs: number;
}

/** `aim`: what the scenario is after, so that faults meet it there. */
export const drawProfile = (r: Random, aim: 'verdict' | null = null): Profile => {
  const calm: Profile = {
    name: 'calm',
    network: 0,
    workers: 0,
    outageFromMs: 0,
    outageMs: 0,
    outageOfStore: false,
    skewMs: r.pick([0, 1_000, 5_000]),
    final: 0,
    untilMs: 0,
    most: 0,
  };
  const rate = (): number => Math.exp(Math.log(0.02) + r.next() * Math.log(20));
  const untilMs = r.ms(5_000, 600_000);
  const most = r.pick([1, 2, 2, 3, 6, 20]);
  const outage = (name: string, outageMs: number): Partial<Profile> => {
    const outageFromMs = r.weighted([
      [40, () => 0],
      [40, () => r.ms(0, 60_000)],
      [25, () => r.int(10_000, 11_500)],
    ])();
    return { name, outageFromMs, outageMs, outageOfStore: r.chance(0.5), untilMs: outageFromMs + outageMs };
  };
  if (aim === 'verdict' && r.chance(0.15))
    return { ...calm, ...outage('outage', 900_000), outageFromMs: r.int(10_900, 11_300) };
  return r.weighted<() => Profile>([
    [12, () => calm],
    [25, () => ({ ...calm, name: 'network', network: rate(), untilMs, most })],
    [28, () => ({ ...calm, name: 'workers', workers: rate(), untilMs, most })],
    [25, () => ({ ...calm, name: 'both', network: rate(), workers: rate(), untilMs, most })],
    [6, () => ({ ...calm, name: 'final', final: rate(), workers: 0.02, untilMs, most: r.int(1, 3) })],
    [5, () => ({ ...calm, ...outage('outage', r.ms(1_000, 900_000)) })],
    [3, () => ({ ...calm, ...outage('no server', 48 * 3_600_000) })],
  ])();
};

export const createFaults = (profile: Profile, r: Random, clock: SimClock): Faults => {
  const start = clock.now();
  const until = start + profile.untilMs;
  const injected = new Map<string, number>();
  let left = profile.most;
  const count = (what: string): void => {
    injected.set(what, (injected.get(what) ?? 0) + 1);
  };
  const take = <T extends string>(kind: T, place: string): T => {
    left -= 1;
    count(`${kind} @ ${place}`);
    return kind;
  };
  return {
    until,
    injected,
    count,
    active: () => clock.now() < until,
    request(route) {
      if (clock.now() >= until) return null;
      const age = clock.now() - start - profile.outageFromMs;
      if (age >= 0 && age < profile.outageMs && (route !== 'store' || profile.outageOfStore)) {
        count(`outage @ ${route}`);
        return r.pick(['reset before sending', 'status 503', 'no answer, not processed'] as const);
      }
      if (left <= 0) return null;
      if (r.chance(profile.final) && route !== 'store') return take(r.pick(FINAL_FAULTS), route);
      return r.chance(profile.network) ? take(r.pick(NETWORK_FAULTS), route) : null;
    },
    worker(place, kinds = WORKER_FAULTS) {
      if (left <= 0 || clock.now() >= until || !r.chance(profile.workers)) return null;
      return take(r.pick(kinds), place);
    },
  };
};
