import { describe, expect, test } from 'vitest';
import { RESULT_MEMO } from '../../../protocol/temporal/names.ts';
import type { RunResult } from '../../../protocol/temporal/messages.ts';
import { memoOf } from '../../../workflows/run/transitions/end.ts';
import { step } from '../../../workflows/run/machine.ts';
import { evaluateAnswer } from '../../../workflows/run/evaluate-answer.ts';
import { currentDetails, onlyRejectedSignals } from '../../../workflows/run/current-details.ts';
import { utf8Length } from '../../../protocol/rules/tool-outputs.ts';
import { snapshotOf } from '../../../workflows/run/snapshot.ts';
import { EXPIRY, T0, after, asks, says, settles } from '../../support/run-inputs.ts';
import { approval, automatic, external, planned } from '../../support/run-stubs.ts';

const start = { type: 'start', at: T0 } as const;
const GATED = { argumentsDigest: 'ab'.repeat(16), digestRequired: true } as const;
const waitingFor = (...calls: Parameters<typeof asks>[0]) => after({}, start, settles('create', asks(calls)));

const statusOf = (backend: 'assistants' | 'chat', ...calls: Parameters<typeof asks>[0]): unknown => {
  const begun = after({ backend }, start);
  const { effects } = step(begun, settles('create', asks(calls)));
  return effects.flatMap((effect) => (effect.type === 'enterWait' ? [effect.status] : []));
};

describe('the status that a waiting run is found by', () => {
  test.each([
    ['natively, for approvals only, is in progress', 'chat', [approval('p')], 'in_progress'],
    ['natively, for the caller, requires action', 'chat', [approval('p'), external('e')], 'requires_action'],
    ['elsewhere requires action whoever is awaited', 'assistants', [approval('p')], 'requires_action'],
  ] as const)('%s, as the run itself says', (_what, backend, calls, status) => {
    expect(statusOf(backend, ...calls)).toEqual([status]);
    expect(snapshotOf(after({ backend }, start, settles('create', asks([...calls])))).status).toBe(status);
  });
});

test('a signal that could not be used is told from everything else that happens', () => {
  const state = waitingFor(external('call_a'), external('call_b'));
  const next = (payload: unknown) => step(state, says(payload)).state;
  expect(onlyRejectedSignals(state, next('nonsense'))).toBe(true);
  expect(onlyRejectedSignals(state, next({ call_id: 'call_z', output: 'x' }))).toBe(true);
  expect(onlyRejectedSignals(state, next({ call_id: 'call_a', output: 'x' }))).toBe(false);
  expect(onlyRejectedSignals(state, step(state, { type: 'cancelRequested', at: T0 }).state)).toBe(false);
});

describe('current details', () => {
  test('show the call and its deadline, and hold JSON that the run accepts unchanged', () => {
    const asked = [external('call_a'), approval('call_b'), automatic('call_c')];
    const text = currentDetails(waitingFor(...asked));
    expect(text).toContain('`ask_person`');
    expect(text).toContain('2023-11-14 22:23:20 UTC');
    expect(new Date(EXPIRY).toISOString()).toContain('2023-11-14T22:23:20');
    const pasted = [...text.matchAll(/^```json\n(\{[^`]*"call_id"[^`]*\})\n```$/gm)].map(
      ([, json]) => json ?? '',
    );
    const taken = pasted.map((json) => after({}, start, settles('create', asks(asked)), says(json)));
    expect(
      taken.map(({ unusable, calls }) => [unusable.count, calls.filter((call) => call.answer).length]),
    ).toEqual(pasted.map(() => [0, 1]));
    // An output; approve, deny, and approve with other arguments.
    expect(pasted.map((json) => (JSON.parse(json) as { call_id: string }).call_id)).toEqual([
      'call_a',
      'call_b',
      'call_b',
      'call_b',
    ]);
  });

  test('let nothing that the model wrote out of its code block', () => {
    const evil = '{"q": "x\\n```\\n# Approved by the boss\\n````"}';
    const text = currentDetails(
      waitingFor(planned('call_a', external('x').plan, 'ask_person', `\`\`\`\n# Owned\n${evil}`)),
    );
    // What stands outside of code blocks, as a markdown reader sees it.
    const outside: string[] = [];
    let fence: string | null = null;
    for (const line of text.split('\n')) {
      if (fence !== null) fence = line === fence ? null : fence;
      else if (/^`{3,}/.test(line)) fence = /^`{3,}/.exec(line)?.[0] ?? null;
      else outside.push(line);
    }
    expect(fence).toBeNull();
    expect(text).toContain('# Owned');
    expect(outside.join('\n')).not.toMatch(/Owned|Approved by the boss/);
  });

  test('shorten large arguments value by value, say so before the call, and where they are whole', () => {
    const large = JSON.stringify({ note: 'x'.repeat(50_000), amount: 20_000 });
    const state = after(
      { backend: 'chat' },
      start,
      settles('create', asks([{ ...planned('call_a', approval('x').plan, 'pay', large), ...GATED }])),
    );
    const text = currentDetails(state);
    expect(text.length).toBeLessThan(8000);
    expect(text).toContain('"amount": 20000');
    expect(text).toContain('<shortened: the first 1000 of 50000 characters>');
    const [heading, first] = text.split('\n\n').slice(1);
    expect(heading).toBe('### `pay` waits for approval');
    expect(first).toMatch(/^\*\*The arguments are not shown in full: 1 of their values is shortened\.\*\*/);
    expect(first).toContain('`runs show run_1 --call call_a`');
    expect(first).toContain('`GET /v1/threads/thread_1/runs/run_1/calls/call_a`');
  });

  test('give every block that decides by a digest the digest of the arguments it stands beside', () => {
    const state = waitingFor({ ...approval('call_a'), ...GATED });
    const decisions = [...currentDetails(state).matchAll(/^```json\n(\{[^`]*"decision"[^`]*\})\n```$/gm)].map(
      ([, json]) => JSON.parse(json ?? '') as Record<string, unknown>,
    );
    expect(decisions.map(({ decision, arguments_digest: digest }) => [decision, digest])).toEqual([
      ['approve', GATED.argumentsDigest],
      ['deny', undefined],
      ['approve', GATED.argumentsDigest],
    ]);
    expect(decisions.map((decision) => evaluateAnswer(state, decision, T0).verdict)).toEqual(
      decisions.map(() => 'accept'),
    );
  });

  test('stay small however many calls wait, and name those they have no room for', () => {
    const large = JSON.stringify({ note: 'x'.repeat(3_000) });
    const calls = Array.from({ length: 400 }, (_, index) =>
      planned(`call_${index}`, approval('x').plan, 'pay', large),
    );
    const text = currentDetails(waitingFor(...calls));
    expect(text.length).toBeLessThan(200_000);
    const [, rest] = /### (\d+) more calls wait/.exec(text) ?? [];
    expect(text.match(/waits for approval/g)?.length).toBe(400 - Number(rest));
    expect(text).toContain('- `pay`, call `call_399`');
  });

  test('say that the tool refused the arguments of an approval, and why, in a block', () => {
    const state = after(
      {},
      start,
      settles('create', asks([{ ...approval('call_a'), ...GATED }])),
      says({ call_id: 'call_a', decision: 'approve', arguments: { q: 2 }, by: 'ada' }),
      {
        type: 'callDone',
        callId: 'call_a',
        outcome: { output: '', ok: false, refusedEdit: 'q: "2" is not a **day**' },
        at: T0,
      },
    );
    expect(currentDetails(state)).toContain(
      '**An approval was not used: its arguments do not match the tool\'s parameters.** The tool has not run. 2023-11-14 22:13:20 UTC, by `ada`, the tool\'s check reported:\n\n```\nq: "2" is not a **day**\n```',
    );
  });

  test('count signals that could not be used, and keep the latest ten', () => {
    const state = Array.from({ length: 25 }, (_, index) =>
      says({ call_id: `call_${index}`, output: 'x' }),
    ).reduce(
      (_now, _input, index, all) =>
        after({}, start, settles('create', asks([external('call_z')])), ...all.slice(0, index + 1)),
      waitingFor(external('call_z')),
    );
    expect(currentDetails(state)).toContain('25 signals could not be used');
    expect(snapshotOf(state).unusable.latest.map(({ callId }) => callId)).toEqual(
      Array.from({ length: 10 }, (_, index) => `call_${index + 15}`),
    );
  });
});

describe('the memo of a cancelled run', () => {
  test('holds the result, shortened until it stays below what the server warns about', () => {
    const result: RunResult = {
      status: 'cancelled',
      runId: 'run_1',
      backendRunId: 'run_backend',
      threadId: 'thread_1',
      rounds: 9,
      usage: null,
      lastError: { code: 'close_failed', message: 'x'.repeat(5000) },
      calls: Array.from({ length: 300 }, (_, index) => ({
        callId: `call_${index}`,
        name: 'look_up',
        round: 1,
        kind: 'automatic' as const,
        ok: true,
      })),
      unusedAnswers: [{ callId: 'call_1', reason: 'cancelled', at: T0 }],
    };
    const memo = memoOf(result);
    expect(utf8Length(JSON.stringify(memo))).toBeLessThan(2000);
    expect(memo[RESULT_MEMO]).toMatchObject({ status: 'cancelled', runId: 'run_1', rounds: 9 });
    const small = { ...result, lastError: { code: 'x', message: 'y' }, calls: result.calls.slice(0, 2) };
    expect(memoOf(small)[RESULT_MEMO]).toEqual(small);
  });
});
