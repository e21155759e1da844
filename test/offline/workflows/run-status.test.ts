/** The status that a run's workflow tells: as the API shows it, as far as the workflow knows. */
import { describe, expect, test } from 'vitest';
import type { RunInput } from '../../../protocol/temporal/messages.ts';
import { apiStatus } from '../../../workflows/run/state.ts';
import { EXPIRY, T0, after, asks, does, says, settles } from '../../support/run-inputs.ts';
import { approval, automatic, external } from '../../support/run-stubs.ts';

const CHAT: Partial<RunInput> = { backend: 'chat', createdAt: T0, expiresAt: EXPIRY };
const start = { type: 'start', at: T0 } as const;
const created = (...calls: Parameters<typeof asks>[0]) => settles('create', asks(calls));
const answered = says({ call_id: 'e', output: 'x' });

describe('on the chat backend', () => {
  test.each([
    ['before its first turn has settled', [start], 'queued'],
    ['while the worker runs its tools', [start, created(automatic('a'))], 'in_progress'],
    ['while only a person is awaited', [start, created(approval('p'))], 'in_progress'],
    ['while its caller is awaited', [start, created(external('e'))], 'requires_action'],
    [
      'when its caller has answered, until the next turn',
      [start, created(external('e')), answered],
      'queued',
    ],
    [
      'when its caller has answered and a tool still runs',
      [start, created(external('e'), automatic('a')), answered],
      'queued',
    ],
    [
      'when its tools have run, until the next turn',
      [start, created(automatic('a')), does('a')],
      'in_progress',
    ],
  ] as const)('a run %s', (_when, inputs, status) => {
    expect(apiStatus(after(CHAT, ...inputs))).toBe(status);
  });
});

describe('on another runs server', () => {
  test.each([
    ['before it is created', [start], 'queued'],
    ['while any call of its round is open', [start, created(automatic('a'))], 'requires_action'],
    ['when its outputs are submitted', [start, created(automatic('a')), does('a')], 'in_progress'],
  ] as const)('a run %s', (_when, inputs, status) => {
    expect(apiStatus(after({}, ...inputs))).toBe(status);
  });
});
