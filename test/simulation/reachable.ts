/**
 * Which cells of state kind × input kind a campaign has to reach, and why the others can't be reached.
 *
 * Rule: a cell that is on no list must be covered; a cell on a list that is covered all the same makes the list wrong,
 * and the test says so. Reasons name the mechanism, not the observation. Only `test/simulation` and tests import it.
 */
import { ORDER, ORDERED, STATE_KINDS, cellOf, orderOf } from './coverage.ts';
import type { Ordered, StateKind } from './coverage.ts';

const ENDS = ['completed', 'failed', 'incomplete', 'cancelled', 'expired'] as const;
const FAILS = [
  'no row',
  'conflict',
  'refused for good',
  'cancelled',
  'timed out',
  'out of attempts or time',
] as const;
const REFUSALS = ['malformed', 'unknown_call', 'conflict', 'wrong_kind', 'too_late'] as const;

export const INPUT_KINDS: readonly string[] = [
  'start',
  'resume',
  'threadCreated',
  'create: asks',
  'submit: asks',
  'close: asks',
  'follow: asks the same',
  'follow: asks for others',
  ...['create', 'submit', 'follow', 'close'].flatMap((via) => ENDS.map((end) => `${via}: ${end}`)),
  ...['createThread', 'create', 'submit', 'follow', 'close', 'startFollowUp', 'notifyEnd'].flatMap((via) =>
    FAILS.map((failure) => `${via} failed: ${failure}`),
  ),
  'followUpStarted',
  'endNotified',
  'a call is done',
  'a call failed: application',
  'a call failed: timeout',
  'a call failed: cancelled',
  'answer: accepted output',
  'answer: accepted approve',
  'answer: accepted deny',
  'answer: accepted late',
  'answer: repeated',
  ...REFUSALS.map((reason) => `answer: refused, ${reason}`),
  'submit: accept',
  'submit: repeat',
  'timer fired',
  'cancelRequested',
  'taskDone',
];

const inFlight: Record<string, readonly StateKind[]> = {
  createThread: ['creating a thread'],
  threadCreated: ['creating a thread'],
  create: ['creating', 'creating, told to stop'],
  submit: ['submitting'],
  follow: ['following'],
  close: ['closing: cancel', 'closing: expire', 'closing: fail'],
  startFollowUp: ['handing over late calls'],
  followUpStarted: ['handing over late calls'],
  notifyEnd: ['telling the end'],
  endNotified: ['telling the end'],
};
const CALLING: readonly StateKind[] = [
  'tools run',
  'somebody is awaited',
  'tools run, somebody is awaited',
  'awaited past the expiry',
];
const AWAITED = CALLING.slice(1);

interface Rule {
  because: string;
  hits(state: StateKind, input: string): boolean;
}

const viaOf = (input: string): string | null => {
  const via = /^(\w+)(?: failed)?: /.exec(input)?.[1] ?? input;
  if (input.startsWith('submit: accept') || input.startsWith('submit: repeat')) return null;
  return via in inFlight ? via : null;
};
const among = (input: string, ...inputs: string[]): boolean => inputs.includes(input);
const starts = (input: string, ...prefixes: string[]): boolean =>
  prefixes.some((prefix) => input.startsWith(prefix));

export const UNREACHABLE: readonly Rule[] = [
  {
    because: 'the workflow dispatches `start` before anything else, once',
    hits: (state, input) => (state === 'new') !== (input === 'start'),
  },
  {
    because: 'the driver forgets operations that were replaced: only the one in flight reports',
    hits: (state, input) => {
      const via = viaOf(input);
      return via !== null && !(inFlight[via] ?? []).includes(state);
    },
  },
  {
    because: 'tools report while their round is open only: those told to stop are forgotten by the driver',
    hits: (state, input) =>
      starts(input, 'a call ') &&
      !['tools run', 'tools run, somebody is awaited', 'awaited past the expiry', 'following'].includes(
        state,
      ),
  },
  {
    because: 'no timer is armed before a round waits for somebody',
    hits: (state, input) => input === 'timer fired' && starts(state, 'creating', 'handing', 'telling'),
  },
  {
    because: 'no call is known before the first settlement',
    hits: (state, input) =>
      starts(state, 'creating') &&
      (among(input, 'answer: repeated', 'submit: repeat', 'taskDone') ||
        starts(
          input,
          'answer: accepted late',
          'answer: refused, conflict',
          'answer: refused, wrong',
          'answer: refused, too',
        )),
  },
  {
    because: 'a run that is being closed, or has ended, takes no answer, late ones included',
    hits: (state, input) =>
      input === 'answer: accepted late' &&
      (starts(state, 'closing', 'waiting for', 'handing', 'telling') || state === 'ended'),
  },
  {
    because:
      'a close leaves only a run alone that a turn has prolonged, and only an expiry can come too early for it',
    hits: (state, input) => input === 'close: asks' && state !== 'closing: expire',
  },
  {
    because: 'the store refuses nothing for good, and only natively is the expiry ours to carry out',
    hits: (state, input) => state === 'closing: expire' && input === 'close failed: refused for good',
  },
  {
    because: 'a child starts or does not, and a hook that throws is always tried again',
    hits: (_state, input) =>
      input === 'startFollowUp failed: refused for good' ||
      input === 'startFollowUp failed: timed out' ||
      input === 'notifyEnd failed: refused for good',
  },
  {
    because: 'an answer is taken while its call waits, which needs an open round',
    hits: (state, input) =>
      (starts(input, 'answer: accepted output', 'answer: accepted approve', 'answer: accepted deny') ||
        input === 'submit: accept') &&
      ![...AWAITED, 'following'].includes(state),
  },
  {
    because: 'continue-as-new happens with nothing in flight, after the first step and before the end',
    hits: (state, input) =>
      input === 'resume' && among(state, 'new', 'creating a thread', 'creating, told to stop', 'ended'),
  },
  {
    because: 'only a native run has a row that may be gone, and only its first operation can find that',
    hits: (state, input) =>
      input.endsWith('failed: no row') && !(input.startsWith('create ') && state === 'creating'),
  },
  {
    because: 'only outputs can be in conflict with what somebody else wrote',
    hits: (_state, input) => input.endsWith('failed: conflict') && !input.startsWith('submit'),
  },
  {
    because:
      'only a create that is told to stop is waited for: anything else that is cancelled is forgotten at once',
    hits: (state, input) =>
      input.endsWith('cancelled') &&
      starts(
        input,
        'createThread failed',
        'create failed',
        'submit failed',
        'follow failed',
        'close failed',
        'startFollowUp failed',
        'notifyEnd failed',
        'a call failed',
      ) &&
      !(input === 'create failed: cancelled' && state === 'creating, told to stop'),
  },
];

/** Reached now and then, too seldom to be demanded of a campaign of any size. */
export const SELDOM: readonly Rule[] = [
  {
    because: 'needs a turn that prolonged the run, and whose report was lost right before the old expiry',
    hits: (_state, input) => input === 'close: asks',
  },
  {
    because: 'needs an attempt that is lost so late that the next one would come after the expiry',
    hits: (state) => state === 'waiting for the expiry',
  },
  {
    because: 'nothing is delivered after the end but what came in the very task that ended the run',
    hits: (state) => state === 'ended',
  },
  {
    because:
      'the timer is disarmed when the wait is over; it fires then only in the very task in which the run goes on in a new execution',
    hits: (state, input) => !AWAITED.includes(state) && input === 'timer fired',
  },
  {
    because:
      'needs a submit that found the run cancelled, closed it, lost its report, and outlived the expiry',
    hits: (state, input) => state === 'closing: expire' && input === 'close: cancelled',
  },
];

export const reasonFor = (state: StateKind, input: string): string | null =>
  UNREACHABLE.find((rule) => rule.hits(state, input))?.because ?? null;

/** Why one thing can't come after another in a run; null = it must be seen to. */
export const orderReason = (first: Ordered, then: Ordered): string | null => {
  if (first === 'an expiry' && then === 'an expiry') return 'an expiry is the end of the run';
  const taken = ['an answer in time', 'an answer after its wait', 'outputs through the API'].includes(then);
  return taken && ['a cancel', 'an expiry'].includes(first)
    ? 'a run that is being closed, or has ended, takes no answer'
    : null;
};

export interface CoverageVerdict {
  reached: number;
  demanded: number;
  missing: string[];
  /** Covered although a rule calls it unreachable. */
  surprising: string[];
  /** Covered without being an input kind that is known here. */
  unknown: string[];
}

export const judgeCoverage = (covered: ReadonlyMap<string, number>): CoverageVerdict => {
  const verdict: CoverageVerdict = { reached: 0, demanded: 0, missing: [], surprising: [], unknown: [] };
  const all = new Set<string>();
  for (const state of STATE_KINDS)
    for (const input of INPUT_KINDS) {
      const cell = cellOf(state, input);
      all.add(cell);
      const reason = reasonFor(state, input);
      if (reason === null && SELDOM.some((rule) => rule.hits(state, input))) continue;
      if (reason === null) verdict.demanded += 1;
      if (covered.has(cell)) {
        if (reason === null) verdict.reached += 1;
        else verdict.surprising.push(`${cell} (said to be unreachable: ${reason})`);
      } else if (reason === null) verdict.missing.push(cell);
    }
  for (const first of ORDERED)
    for (const then of ORDERED) {
      const order = orderOf(first, then);
      const reason = orderReason(first, then);
      if (reason === null) verdict.demanded += 1;
      if (reason !== null && covered.has(order))
        verdict.surprising.push(`${order} (said to be unreachable: ${reason})`);
      else if (reason === null && covered.has(order)) verdict.reached += 1;
      else if (reason === null) verdict.missing.push(order);
    }
  for (const cell of covered.keys())
    if (!all.has(cell) && !cell.startsWith(ORDER)) verdict.unknown.push(cell);
  return verdict;
};
