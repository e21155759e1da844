/** A settlement that was read before the run's expiry and is heard of after it: no worker was up in between. */
import { expect, test } from 'vitest';
import type { Settled } from '../../../protocol/ports/backend.ts';
import { readRunInput } from '../../../protocol/temporal/payloads.ts';
import { step } from '../../../workflows/run/machine.ts';
import { initialState } from '../../../workflows/run/state.ts';
import { planned, POLICY } from '../../support/run-stubs.ts';

const EXPIRY = 1_000_000;
const waiting: Settled = {
  status: 'requires_action',
  run: { backendRunId: 'run_theirs', threadId: 'thread_1' },
  calls: [planned('call_1', { kind: 'automatic', policy: POLICY })],
  expiresAt: EXPIRY,
  createdAt: EXPIRY - 600_000,
};
const created = () => {
  const begun = initialState(
    readRunInput({ runId: 'run_1', backend: 'assistants', assistantId: 'asst_1', threadId: 'thread_1' }),
  );
  return step(begun, { type: 'start', at: EXPIRY - 600_000 }).state;
};
const kinds = (effects: readonly { type: string }[]): string[] => effects.map((effect) => effect.type);

test('in time, the calls begin', () => {
  const { effects } = step(created(), {
    type: 'settled',
    via: 'create',
    settlement: waiting,
    at: EXPIRY - 60_000,
  });
  expect(kinds(effects)).toContain('runTool');
});

test('too late, no tool begins on it: the server is asked first, and its verdict ends the run', () => {
  const late = step(created(), { type: 'settled', via: 'create', settlement: waiting, at: EXPIRY + 5_000 });
  expect(kinds(late.effects)).toEqual(['follow']);
  const ended = step(late.state, {
    type: 'settled',
    via: 'follow',
    settlement: { status: 'expired', run: waiting.run },
    at: EXPIRY + 5_100,
  });
  expect(ended.effects).toMatchObject([{ type: 'finish', result: { status: 'expired', calls: [] } }]);
});

test('a server that keeps the run alive all the same gets its outputs, and a submitted round counts once', () => {
  const asked = step(created(), { type: 'settled', via: 'create', settlement: waiting, at: EXPIRY + 5_000 });
  const begun = step(asked.state, {
    type: 'settled',
    via: 'follow',
    settlement: waiting,
    at: EXPIRY + 5_100,
  });
  expect(kinds(begun.effects)).toContain('runTool');
  const done = step(begun.state, {
    type: 'callDone',
    callId: 'call_1',
    outcome: { output: 'x', ok: true },
    at: EXPIRY + 5_200,
  });
  const next: Settled = { ...waiting, calls: [planned('call_2', { kind: 'automatic', policy: POLICY })] };
  const again = step(done.state, { type: 'settled', via: 'submit', settlement: next, at: EXPIRY + 5_300 });
  expect(kinds(again.effects)).toEqual(['follow']);
  const second = step(again.state, { type: 'settled', via: 'follow', settlement: next, at: EXPIRY + 5_400 });
  expect(second.state).toMatchObject({ round: 2, past: [{ callId: 'call_1', round: 1 }], unused: [] });
});
