/**
 * Every door that takes tool outputs refuses the same sizes: HTTP, service, the workflow's submit and its answer, and the text
 * that the workflow cuts to fit an upstream. Proves the rule of `protocol/rules/tool-outputs.ts` at its boundary.
 */
import { describe, expect, test } from 'vitest';
import { ApiError } from '../../../protocol/errors.ts';
import type { RunForSubmit } from '../../../protocol/ports/run-store.ts';
import { compareOutputs, outputBytesOverLimit, utf8Length } from '../../../protocol/rules/tool-outputs.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import { checkSubmit } from '../../../service/check-submit.ts';
import { createSandbox } from '../../../testing/index.ts';
import { evaluateAnswer } from '../../../workflows/run/evaluate-answer.ts';
import { evaluateSubmit } from '../../../workflows/run/evaluate-submit.ts';
import { fitOutputs } from '../../../workflows/run/fit-outputs.ts';
import { call } from '../../support/http.ts';
import { after, asks, settles, submits, T0 } from '../../support/run-inputs.ts';
import { external } from '../../support/run-stubs.ts';

type Verdict = 'accepted' | 'refused';
type Door = (output: string) => Verdict | Promise<Verdict>;

const waiting = () => after({}, { type: 'start', at: T0 }, settles('create', asks([external('call_a')])));

const row: RunForSubmit = {
  run: { status: 'requires_action' } as Run,
  status: 'requires_action',
  round: { round: 1, calls: [external('call_a')], outputs: {}, done: false },
  asked: null,
  keyUsed: false,
};

const throughHttp: Door = async (output) => {
  const sandbox = await createSandbox({
    listen: false,
    scripts: { one: [{ calls: [{ name: 'a', arguments: {} }] }, { text: 'Done.' }] },
  });
  const post = async (path: string, body: unknown) => await call(sandbox.fetch, 'POST', path, body);
  const thread = (await post('/v1/threads', {})).body as { id: string };
  const run = (await post(`/v1/threads/${thread.id}/runs`, { assistant_id: 'asst_one' })).body as {
    id: string;
  };
  sandbox.clock.advance(1);
  const action = sandbox.engine.runs().find((item) => item.id === run.id)?.required_action;
  const id = action?.submit_tool_outputs.tool_calls[0]?.id ?? '';
  const answer = await post(`/v1/threads/${thread.id}/runs/${run.id}/submit_tool_outputs`, {
    tool_outputs: [{ tool_call_id: id, output }],
  });
  if (answer.status === 200) return 'accepted';
  expect(answer.body).toMatchObject({ error: { param: 'tool_outputs', code: 'invalid_value' } });
  return 'refused';
};

const throughService: Door = (output) => {
  try {
    checkSubmit(row, [{ tool_call_id: 'call_a', output }], false);
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ param: 'tool_outputs', code: 'invalid_value' });
    return 'refused';
  }
};

const throughSubmit: Door = (output) => {
  const { payload } = submits({ call_a: output }) as { payload: unknown };
  return evaluateSubmit(waiting(), payload, T0).verdict === 'accept' ? 'accepted' : 'refused';
};

const throughAnswer: Door = (output) =>
  evaluateAnswer(waiting(), { call_id: 'call_a', output }, T0).verdict === 'accept' ? 'accepted' : 'refused';

/** The workflow sends an output as it is only when an upstream would accept it. */
const throughFitting: Door = (output) =>
  fitOutputs([{ callId: 'call_a', output }])[0]?.output === output ? 'accepted' : 'refused';

const DOORS: [name: string, door: Door][] = [
  ['submit_tool_outputs over HTTP', throughHttp],
  ['the service', throughService],
  ['the workflow’s submit', throughSubmit],
  ['the workflow’s answer', throughAnswer],
  ['the outputs that a worker sends upstream', throughFitting],
];

describe.each(DOORS)('%s', (_name, door) => {
  test.each<[bytes: number, verdict: Verdict]>([
    [511_999, 'accepted'],
    [512_000, 'refused'],
    [512_001, 'refused'],
  ])('counts bytes, not characters: %i bytes are %s', async (bytes, verdict) => {
    const ascii = 'x'.repeat(bytes);
    // Two bytes each, and one more where the number is odd.
    const letters = 'é'.repeat(Math.floor(bytes / 2)) + 'x'.repeat(bytes % 2);
    expect([utf8Length(ascii), utf8Length(letters)]).toEqual([bytes, bytes]);
    expect([await door(ascii), await door(letters)]).toEqual([verdict, verdict]);
  });
});

test('outputs of one request are counted together', () => {
  const half = 'x'.repeat(256_000);
  expect(outputBytesOverLimit([half, half.slice(1)])).toBe(null);
  expect(outputBytesOverLimit([half, half])).toBe(512_000);
});

const same = (first: string) => (output: string) => output === first;
const given = (outputs: Record<string, string>) =>
  Object.entries(outputs).map(([id, output]) => ({ tool_call_id: id, output }));

test('outputs are compared with the calls of the round in one pass each', () => {
  const calls = [
    { callId: 'a', matches: null },
    { callId: 'b', matches: same('B') },
    { callId: 'c', matches: same('C') },
    { callId: 'd', matches: null },
  ];
  expect(compareOutputs(calls, given({ a: 'A', b: 'B', c: 'other', x: 'X' }))).toEqual({
    open: ['a', 'd'],
    duplicate: undefined,
    missing: ['d'],
    unexpected: ['x'],
    differing: ['c'],
  });
  expect(compareOutputs(calls, [...given({ a: 'A' }), ...given({ a: 'A', d: 'D' })])).toEqual({
    open: ['a', 'd'],
    duplicate: 'a',
    missing: [],
    unexpected: [],
    differing: [],
  });
});
