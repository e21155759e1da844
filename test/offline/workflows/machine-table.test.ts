/**
 * The transition table: every state against every input. What a state's rows do not list must change nothing.
 *
 * A row reads `input: 'phase after | effects in order'`. Times are seconds after the run's creation; it expires at 600,
 * the margin is 30.
 */
import { describe, expect, test } from 'vitest';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import type { RunInput } from '../../../protocol/temporal/messages.ts';
import { step } from '../../../workflows/run/machine.ts';
import { phaseOf } from '../../../workflows/run/state.ts';
import type { Input, MachineState } from '../../../workflows/run/state.ts';
import {
  EXPIRY,
  T0,
  after,
  asks,
  does,
  fails,
  runsOutOfTime,
  says,
  settles,
  shortEffect,
  submits,
  timedOut,
} from '../../support/run-inputs.ts';
import { approval, automatic, external, planned } from '../../support/run-stubs.ts';

const start: Input = { type: 'start', at: T0 };
const created = (...calls: Parameters<typeof asks>[0]): Input => settles('create', asks(calls));
const cancel: Input = { type: 'cancelRequested', at: T0 };
const deadline = (at: number): Input => ({ type: 'deadline', at });

/** Every input there is, by name; calls are named a (automatic), p (approval), e and f (external). */
const INPUTS: Record<string, Input> = {
  start,
  'thread created': { type: 'threadCreated', threadId: 'thread_new', at: T0 },
  'create asks': created(automatic('n')),
  'create completed': settles('create', 'completed'),
  'create: no row': fails('create', FAILURES.backendNoSuchRow),
  'create rejected': fails('create', FAILURES.backendRejected),
  'create unavailable': fails('create'),
  'create: too late': fails('create', FAILURES.backendUnavailable, EXPIRY),
  'create: no time left': runsOutOfTime('create'),
  'thread unavailable': fails('createThread'),
  'submit asks': settles('submit', asks([external('n')])),
  'submit completed': settles('submit', 'completed'),
  'submit failed': settles('submit', 'failed'),
  'submit expired': settles('submit', 'expired'),
  'submit: no time left': runsOutOfTime('submit'),
  'submit conflict': fails('submit', FAILURES.backendConflict),
  'follow: same': settles('follow', asks([external('e')], EXPIRY), EXPIRY + 1000),
  'follow: other': settles('follow', asks([automatic('n')], EXPIRY + 600_000), EXPIRY + 1000),
  'follow expired': settles('follow', 'expired', EXPIRY + 1000),
  'follow unavailable': fails('follow'),
  'close cancelled': settles('close', 'cancelled'),
  'close completed': settles('close', 'completed'),
  'close expired': settles('close', 'expired'),
  'close asks': settles('close', asks([external('e')], EXPIRY)),
  'close asks, prolonged': settles('close', asks([external('n')], EXPIRY + 600_000), EXPIRY + 1000),
  'close failed': settles('close', 'failed'),
  'close unavailable': fails('close'),
  'a done': does('a'),
  'a failed': {
    type: 'callFailed',
    callId: 'a',
    failure: { kind: 'application', type: FAILURES.toolFailed, message: 'broke' },
    at: T0,
  },
  'a lost': { type: 'callFailed', callId: 'a', failure: timedOut, at: T0 },
  'p done': does('p'),
  'p approved': says({ call_id: 'p', decision: 'approve', arguments: { q: 2 } }),
  'p approved late': says({ call_id: 'p', decision: 'approve' }, EXPIRY - 30_000),
  'p denied': says({ call_id: 'p', decision: 'deny' }),
  'e answered': says({ call_id: 'e', output: 'x' }),
  'e answered again': says({ call_id: 'e', output: 'x', by: 'bob' }),
  'e answered otherwise': says({ call_id: 'e', output: 'y' }),
  'e after the expiry': says({ call_id: 'e', output: 'x' }, EXPIRY),
  'a answered': says({ call_id: 'a', output: 'x' }),
  'unknown answered': says({ call_id: 'z', output: 'x' }),
  nonsense: says(null),
  'all submitted': submits({ e: 'x', f: 'y' }),
  'e submitted': submits({ e: 'x' }),
  'at the margin': deadline(EXPIRY - 30_000),
  'at the expiry': deadline(EXPIRY),
  'after the expiry': deadline(EXPIRY + 1000),
  cancel,
  'hook done': { type: 'taskDone', key: 'waiting:1', at: T0 },
  'follow-up started': { type: 'followUpStarted', workflowId: 'run_1.follow-up', at: T0 },
  'follow-up failed': fails('startFollowUp'),
  'end told': { type: 'endNotified', at: T0 },
  'end not told': fails('notifyEnd'),
};

const CHAT: Partial<RunInput> = { backend: 'chat', createdAt: T0, expiresAt: EXPIRY };
const HOOKS: Partial<RunInput> = { hooks: { onWaiting: true, onEnd: true } };
const follow = { onDeadline: 'follow-up' } as const;
const placeholder = { onDeadline: 'placeholder' } as const;

interface Row {
  state: MachineState;
  /** Input → phase and effects. */
  on: Record<string, string>;
}

const ANSWERS = [
  'p approved',
  'p approved late',
  'p denied',
  'e answered',
  'e answered again',
  'e answered otherwise',
  'e after the expiry',
  'a answered',
  'unknown answered',
  'nonsense',
];
/** Answers that can't be used are counted, and change nothing else; rows after it say which can. */
const counts = (phase: string): Record<string, string> =>
  Object.fromEntries(ANSWERS.map((name) => [name, `${phase} (counted)`]));

const TABLE: Record<string, Row> = {
  new: {
    state: after({}),
    on: { ...counts('starting'), start: 'creating | create', cancel: 'closing | close token cancel' },
  },
  'creating a thread': {
    state: after({ threadId: null }, start),
    on: {
      ...counts('starting'),
      'thread created': 'creating | create',
      'thread unavailable': 'ended | finish failed(backend_unavailable)',
      cancel: 'ended | cancel createThread, finish cancelled as cancelled',
    },
  },
  creating: {
    state: after({}, start),
    on: {
      ...counts('creating'),
      'create asks': 'calling | tool n {"q":1} by 570s',
      'create completed': 'ended | finish completed',
      'create: no row': 'ended | finish failed(backend_no_such_row)',
      'create rejected': 'ended | finish failed(backend_rejected)',
      'create unavailable': 'closing | close token fail(backend_unavailable)',
      'create: too late': 'closing | close token fail(backend_unavailable)',
      'create: no time left': 'closing | close token fail(backend_unavailable)',
      cancel: 'closing | cancel create',
    },
  },
  'creating natively': {
    state: after(CHAT, start),
    on: {
      ...counts('creating'),
      'create asks': 'calling | tool n {"q":1} by 570s',
      'create completed': 'ended | finish completed',
      'create: no row': 'ended | finish failed(backend_no_such_row)',
      'create rejected': 'closing | close token fail(backend_rejected)',
      'create unavailable': 'closing | close token fail(backend_unavailable)',
      'create: too late': 'closing | close token expire(backend_unavailable)',
      'create: no time left': 'closing | timer 600s',
      cancel: 'closing | cancel create, close token cancel',
    },
  },
  'creating, told to stop': {
    state: after({}, start, cancel),
    on: {
      ...counts('closing'),
      'create asks': 'closing | close run cancel',
      'create completed': 'ended | finish completed',
      'create: no row': 'ended | finish failed(backend_no_such_row)',
      'create rejected': 'closing | close token cancel',
      'create unavailable': 'closing | close token cancel',
      'create: too late': 'closing | close token cancel',
      'create: no time left': 'closing | close token cancel',
    },
  },
  'a tool runs': {
    state: after({}, start, created(automatic('a'))),
    on: {
      ...counts('calling'),
      'a done': 'submitting | submit 1 [a=did a]',
      'a failed': 'submitting | submit 1 [a=tool_failed]',
      'a lost': 'submitting | submit 1 [a=tool_failed]',
      cancel: 'closing | cancelTools [a], close run cancel',
    },
  },
  'a tool that must not run twice runs': {
    state: after({}, start, created(automatic('a', { atMostOnce: true }))),
    on: {
      ...counts('calling'),
      'a done': 'submitting | submit 1 [a=did a]',
      'a failed': 'submitting | submit 1 [a=tool_failed]',
      'a lost': 'submitting | submit 1 [a=outcome_unknown]',
      cancel: 'closing | cancelTools [a], close run cancel',
    },
  },
  'a tool and two people': {
    state: after({}, start, created(automatic('a'), approval('p'), external('e'))),
    on: {
      ...counts('calling'),
      'p approved': 'calling | tool p {"q":2} by 570s',
      'p approved late': 'calling',
      'p denied': 'calling',
      'e answered': 'calling',
      'e answered again': 'calling',
      'e answered otherwise': 'calling',
      'e after the expiry': 'calling',
      'a done': 'calling',
      'a failed': 'calling',
      'a lost': 'calling',
      'e submitted': 'calling',
      'at the margin': 'calling | timer 601s',
      'at the expiry': 'calling | timer 601s',
      'after the expiry': 'following | follow',
      cancel: 'closing | cancelTools [a], no timer, close run cancel, work as cancelling',
    },
  },
  'one is awaited': {
    state: after({}, start, created(external('e'))),
    on: {
      ...counts('calling'),
      'e answered': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered again': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered otherwise': 'submitting | no timer, submit 1 [e=y], work as in_progress',
      'e after the expiry': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e submitted': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'at the margin': 'calling | timer 601s',
      'at the expiry': 'calling | timer 601s',
      'after the expiry': 'following | follow',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
    },
  },
  'one is awaited natively': {
    state: after(CHAT, start, created(external('e'))),
    on: {
      ...counts('calling'),
      'e answered': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered again': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered otherwise': 'submitting | no timer, submit 1 [e=y], work as in_progress',
      'e submitted': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'at the margin': 'calling | timer 600s',
      'at the expiry': 'closing | close run expire, work as in_progress',
      'after the expiry': 'closing | close run expire, work as in_progress',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
    },
  },
  'the second of two is awaited natively': {
    state: after(CHAT, start, created(external('e'), external('f')), says({ call_id: 'e', output: 'x' })),
    on: {
      ...counts('calling'),
      'e answered': '=',
      'e answered again': '=',
      'e after the expiry': '=',
      'all submitted': 'submitting | no timer, submit 1 [e=x f=y], work as in_progress',
      'at the margin': 'calling | timer 600s',
      'at the expiry': 'closing | close run expire, work as in_progress',
      'after the expiry': 'closing | close run expire, work as in_progress',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
    },
  },
  'two are awaited natively': {
    state: after(CHAT, start, created(external('e'), external('f'))),
    on: {
      ...counts('calling'),
      'e answered': 'calling | record [e]',
      'e answered again': 'calling | record [e]',
      'e answered otherwise': 'calling | record [e]',
      'all submitted': 'submitting | no timer, submit 1 [e=x f=y], work as in_progress',
      'at the margin': 'calling | timer 600s',
      'at the expiry': 'closing | close run expire, work as in_progress',
      'after the expiry': 'closing | close run expire, work as in_progress',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
    },
  },
  'one is awaited, and a placeholder goes at the margin': {
    state: after(CHAT, start, created(external('e', placeholder))),
    on: {
      ...counts('calling'),
      'e answered': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered again': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered otherwise': 'submitting | no timer, submit 1 [e=y], work as in_progress',
      'e submitted': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'at the margin': 'submitting | submit 1 [e=deadline], work as in_progress',
      'at the expiry': 'closing | close run expire, work as in_progress',
      'after the expiry': 'closing | close run expire, work as in_progress',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
    },
  },
  'one is awaited, and followed up': {
    state: after({}, start, created(external('e', follow))),
    on: {
      ...counts('calling'),
      'e answered': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered again': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered otherwise': 'submitting | no timer, submit 1 [e=y], work as in_progress',
      'e after the expiry': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e submitted': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'at the margin': 'submitting | submit 1 [e=deadline], work as in_progress',
      'at the expiry': 'submitting | submit 1 [e=deadline], work as in_progress',
      'after the expiry': 'submitting | submit 1 [e=deadline], work as in_progress',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
    },
  },
  'one is awaited, and somebody is told': {
    state: after(HOOKS, start, created(external('e'))),
    on: {
      ...counts('calling'),
      'e answered': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered again': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered otherwise': 'submitting | no timer, submit 1 [e=y], work as in_progress',
      'e after the expiry': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e submitted': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'at the margin': 'calling | timer 601s',
      'at the expiry': 'calling | timer 601s',
      'after the expiry': 'following | follow',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
      'hook done': 'calling',
    },
  },
  'followed up, while the model goes on': {
    state: after({}, start, created(external('e', follow)), deadline(EXPIRY - 30_000)),
    on: {
      ...counts('submitting'),
      'e answered': 'submitting',
      'e answered again': 'submitting',
      'e answered otherwise': 'submitting',
      'e after the expiry': 'submitting',
      'submit asks': 'calling | wait for ask_person by 600s, timer 601s',
      'submit completed': 'closing | startFollowUp [e]',
      'submit failed': 'closing | startFollowUp [e]',
      'submit expired': 'closing | startFollowUp [e]',
      'submit conflict': 'closing | close run fail(backend_conflict)',
      'submit: no time left': 'closing | close run fail(backend_unavailable)',
      cancel: 'closing | cancel submit, close run cancel',
    },
  },
  submitting: {
    state: after({}, start, created(external('e')), says({ call_id: 'e', output: 'x' })),
    on: {
      ...counts('submitting'),
      'e answered': '=',
      'e answered again': '=',
      'e after the expiry': '=',
      'submit asks': 'calling | wait for ask_person by 600s, timer 601s',
      'submit completed': 'ended | finish completed',
      'submit failed': 'ended | finish failed',
      'submit expired': 'ended | finish expired',
      'submit conflict': 'closing | close run fail(backend_conflict)',
      'submit: no time left': 'closing | close run fail(backend_unavailable)',
      cancel: 'closing | cancel submit, close run cancel',
    },
  },
  'submitting natively': {
    state: after(CHAT, start, created(external('e')), says({ call_id: 'e', output: 'x' })),
    on: {
      ...counts('submitting'),
      'e answered': '=',
      'e answered again': '=',
      'e after the expiry': '=',
      'submit asks': 'calling | wait for ask_person by 600s, timer 600s',
      'submit completed': 'ended | finish completed',
      'submit failed': 'ended | finish failed',
      'submit expired': 'ended | finish expired',
      'submit conflict': 'closing | close run fail(backend_conflict)',
      'submit: no time left': 'closing | timer 600s',
      cancel: 'closing | cancel submit, close run cancel',
    },
  },
  'asking for the verdict': {
    state: after({}, start, created(external('e')), deadline(EXPIRY + 1000)),
    on: {
      ...counts('following'),
      'e answered': 'following | work as in_progress',
      'e answered again': 'following | work as in_progress',
      'e answered otherwise': 'following | work as in_progress',
      'e after the expiry': 'following | work as in_progress',
      'follow: same': 'calling | timer 605s',
      'follow: other': 'calling | tool n {"q":1} by 1140s, work as in_progress',
      'follow expired': 'ended | work as expired, finish expired',
      'follow unavailable': 'closing | close run fail(backend_unavailable), work as in_progress',
      'e submitted': 'following | work as in_progress',
      cancel: 'closing | cancel follow, close run cancel, work as cancelling',
    },
  },
  'asking for the verdict, answered meanwhile': {
    state: after(
      {},
      start,
      created(external('e')),
      deadline(EXPIRY + 1000),
      says({ call_id: 'e', output: 'x' }, EXPIRY + 1000),
    ),
    on: {
      ...counts('following'),
      'e answered': '=',
      'e answered again': '=',
      'e after the expiry': '=',
      'follow: same': 'submitting | submit 1 [e=x]',
      'follow: other': 'calling | tool n {"q":1} by 1140s',
      'follow expired': 'ended | finish expired',
      'follow unavailable': 'closing | close run fail(backend_unavailable)',
      cancel: 'closing | cancel follow, close run cancel',
    },
  },
  'the server outlives its own expiry': {
    state: after(
      {},
      start,
      created(external('e')),
      deadline(EXPIRY + 1000),
      settles('follow', asks([external('e')], EXPIRY), EXPIRY + 1000),
    ),
    on: {
      ...counts('calling'),
      'e answered': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered again': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e answered otherwise': 'submitting | no timer, submit 1 [e=y], work as in_progress',
      'e after the expiry': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'e submitted': 'submitting | no timer, submit 1 [e=x], work as in_progress',
      'at the margin': 'calling | timer 605s',
      'at the expiry': 'calling | timer 605s',
      'after the expiry': 'calling | timer 605s',
      cancel: 'closing | no timer, close run cancel, work as cancelling',
    },
  },
  'cancelling, with an answer taken': {
    state: after(
      {},
      start,
      created(external('e'), external('f')),
      says({ call_id: 'e', output: 'x' }),
      cancel,
    ),
    on: {
      ...counts('closing'),
      'e answered': '=',
      'e answered again': '=',
      'e after the expiry': '=',
      'close cancelled': 'ended | finish cancelled as cancelled',
      'close asks': 'ended | finish cancelled as cancelled(close_failed)',
      'close asks, prolonged': 'ended | finish cancelled as cancelled(close_failed)',
      'close completed': 'ended | finish completed',
      'close expired': 'ended | finish expired',
      'close failed': 'ended | finish failed',
      'close unavailable': 'ended | finish cancelled as cancelled(close_failed)',
    },
  },
  'expiring natively': {
    state: after(CHAT, start, created(external('e')), deadline(EXPIRY)),
    on: {
      ...counts('closing'),
      'close cancelled': 'ended | finish expired',
      'close asks': 'ended | finish expired(close_failed)',
      'close asks, prolonged': 'calling | wait for ask_person by 1200s, timer 1200s',
      'close completed': 'ended | finish completed',
      'close expired': 'ended | finish expired',
      'close failed': 'ended | finish failed',
      'close unavailable': 'ended | finish expired(close_failed)',
    },
  },
  'no time left for another attempt, waiting for the expiry': {
    state: after(CHAT, start, runsOutOfTime('create')),
    on: {
      ...counts('closing'),
      'at the margin': 'closing | timer 600s',
      'at the expiry': 'closing | close token expire(backend_unavailable)',
      'after the expiry': 'closing | close token expire(backend_unavailable)',
      cancel: 'closing | no timer, close token cancel',
    },
  },
  'no time left after a submit, waiting for the expiry': {
    state: after(
      CHAT,
      start,
      created(external('e')),
      says({ call_id: 'e', output: 'x' }),
      runsOutOfTime('submit'),
    ),
    on: {
      ...counts('closing'),
      'e answered': '=',
      'e answered again': '=',
      'e after the expiry': '=',
      'at the margin': 'closing | timer 600s',
      'at the expiry': 'closing | close run expire(backend_unavailable)',
      'after the expiry': 'closing | close run expire(backend_unavailable)',
      cancel: 'closing | no timer, close run cancel',
    },
  },
  'expiring natively after a failed attempt': {
    state: after(CHAT, start, fails('create', FAILURES.backendUnavailable, EXPIRY)),
    on: {
      ...counts('closing'),
      'close cancelled': 'ended | finish expired(backend_unavailable)',
      'close completed': 'ended | finish completed',
      'close expired': 'ended | finish expired(backend_unavailable)',
      'close failed': 'ended | finish failed',
      'close asks': 'ended | finish expired(backend_unavailable)',
      'close asks, prolonged': 'calling | wait for ask_person by 1200s, timer 1200s',
      'close unavailable': 'ended | finish expired(backend_unavailable)',
    },
  },
  failing: {
    state: after(
      {},
      start,
      created(planned('', { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } })),
    ),
    on: {
      ...counts('closing'),
      'close cancelled': 'ended | finish failed(backend_unsupported)',
      'close asks': 'ended | finish failed(backend_unsupported)',
      'close asks, prolonged': 'ended | finish failed(backend_unsupported)',
      'close completed': 'ended | finish completed',
      'close expired': 'ended | finish expired',
      'close failed': 'ended | finish failed(backend_unsupported)',
      'close unavailable': 'ended | finish failed(backend_unsupported)',
    },
  },
  'handing over late calls': {
    state: after(
      {},
      start,
      created(external('e', follow)),
      deadline(EXPIRY - 30_000),
      settles('submit', 'completed'),
    ),
    on: {
      ...counts('closing'),
      'follow-up started': 'ended | finish completed',
      'follow-up failed': 'ended | finish completed',
    },
  },
  'telling the end': {
    state: after(HOOKS, start, settles('create', 'completed')),
    on: {
      ...counts('closing'),
      'end told': 'ended | finish completed',
      'end not told': 'ended | finish completed',
    },
  },
  ended: { state: after({}, start, settles('create', 'completed')), on: {} },
};

const outcome = (state: MachineState, input: Input): string => {
  const next = step(state, input);
  const effects = next.effects.map(shortEffect).join(', ');
  const counted = next.state.unusable.count > state.unusable.count ? ' (counted)' : '';
  if (effects === '' && counted === '' && JSON.stringify(next.state) === JSON.stringify(state)) return '=';
  return `${phaseOf(next.state)}${counted}${effects === '' ? '' : ` | ${effects}`}`;
};

describe.each(Object.entries(TABLE))('%s', (_name, { state, on }) => {
  test('names inputs that exist', () => {
    expect(Object.keys(on).filter((name) => !(name in INPUTS))).toEqual([]);
  });
  test.each(Object.entries(INPUTS))('%s', (name, input) => {
    expect(outcome(state, input)).toBe(on[name] ?? '=');
  });
});
