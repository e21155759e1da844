import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  busyFrom,
  clockOffset,
  earliest,
  assessRun,
  pollDelay,
  relateIds,
  relateOutputs,
  settledFrom,
  type PollBounds,
} from '../../../backends/assistants/assess.ts';
import { MAX_CALLS_BYTES } from '../../../backends/fit-calls.ts';
import {
  parseRunsPage,
  readRun,
  readStepOutputs,
  timeOf,
  type UpstreamRun,
} from '../../../backends/assistants/parse.ts';
import type { ToolCall } from '../../../protocol/tool-calls.ts';
import { ACTIVE_STATUSES, TERMINAL_STATUSES } from '../../../protocol/wire/objects.ts';

const BOUNDS: PollBounds = {
  factor: 0.1,
  minMs: 100,
  maxMs: 2000,
  hintMaxMs: 60_000,
  unknownFloorMs: 1000,
  unknownLimitMs: 300_000,
};
const call = (callId: string, text = '{}'): ToolCall => ({ callId, name: 'do_step', arguments: text });
const wireCall = (id: unknown, more: object = {}): unknown => ({
  id,
  type: 'function',
  function: { name: 'do_step', arguments: '{}' },
  ...more,
});
const action = (...calls: unknown[]): unknown => ({
  type: 'submit_tool_outputs',
  submit_tool_outputs: { tool_calls: calls },
});
const seen = (more: object): UpstreamRun => {
  const run = readRun({ id: 'run_1', status: 'queued', ...more });
  if (run === undefined) throw new Error('no run');
  return run;
};
const output = (id: string, text = 'x'): { tool_call_id: string; output: string } => ({
  tool_call_id: id,
  output: text,
});
const external = (calls: ToolCall[]): ReturnType<Parameters<typeof settledFrom>[2]> =>
  calls.map((one) => ({
    ...one,
    plan: { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } },
  }));

describe('reading what servers send', () => {
  test.each([
    [undefined],
    [null],
    ['run'],
    [[]],
    [{}],
    [{ id: 'run_1' }],
    [{ status: 'queued' }],
    [{ id: '', status: 'queued' }],
    [{ id: 7, status: 'queued' }],
  ])('%j is no run', (value) => {
    expect(readRun(value)).toBeUndefined();
  });

  test('a run with nothing but id and status is a run', () => {
    expect(seen({})).toMatchObject({
      calls: [],
      createdAt: null,
      expiresAt: null,
      metadata: null,
      toolNames: [],
    });
  });

  test('absent, null and empty actions are no action', () => {
    expect(
      [seen({}), seen({ required_action: null }), seen({ required_action: {} })].map((run) => run.calls),
    ).toEqual([[], [], []]);
  });

  test('calls keep their order, each id once; malformed ones are counted', () => {
    const run = seen({
      required_action: action(
        wireCall('b'),
        wireCall('a'),
        wireCall('b', { function: { name: 'other' } }),
        wireCall(''),
        wireCall('c', { function: {} }),
        null,
      ),
    });
    expect(run.calls.map(({ callId }) => callId)).toEqual(['b', 'a']);
    expect(run.malformedCalls).toBe(3);
  });

  test('arguments that are no text become text', () => {
    const run = seen({
      required_action: action(
        wireCall('a', { function: { name: 'f', arguments: { x: 1 } } }),
        wireCall('b', { function: { name: 'f' } }),
      ),
    });
    expect(run.calls.map((one) => one.arguments)).toEqual(['{"x":1}', '']);
  });

  test.each([
    [1710352447, 1710352447000],
    [1710352447123, 1710352447123],
    [0, null],
    [-1, null],
    ['1710352447', null],
    [null, null],
    [Number.NaN, null],
  ])('the time %j is %j', (value, expected) => {
    expect(timeOf(value)).toBe(expected);
  });

  test('metadata keeps its strings, tool names their order, errors are cut', () => {
    expect(
      seen({
        metadata: { a: 'b', c: 1 },
        tools: [{ type: 'function', function: { name: 'x' } }, { type: 'code_interpreter' }, null],
        last_error: { code: 'e', message: 'y'.repeat(9000) },
        incomplete_details: { reason: 'max_prompt_tokens' },
        usage: { prompt_tokens: 1, completion_tokens: 2 },
      }),
    ).toMatchObject({
      metadata: { a: 'b' },
      toolNames: ['x'],
      lastError: { code: 'e', message: `${'y'.repeat(4000)}…` },
      incompleteDetails: { reason: 'max_prompt_tokens' },
      usage: { promptTokens: 1, completionTokens: 2, totalTokens: 3 },
    });
  });

  test('a list is read with or without its envelope', () => {
    const one = { id: 'run_1', status: 'queued' };
    expect(parseRunsPage({ data: [one, {}], has_more: true }, readRun)).toMatchObject({
      hasMore: true,
      lastId: null,
    });
    expect(parseRunsPage({ data: [one], last_id: 'z', has_more: true }, readRun)).toMatchObject({
      lastId: 'z',
    });
    expect(parseRunsPage([one], readRun)).toMatchObject({ hasMore: false, lastId: 'run_1' });
    expect(parseRunsPage({ object: 'list' }, readRun)).toBeUndefined();
  });

  test('steps show outputs, or null before there is one', () => {
    const step = {
      step_details: {
        tool_calls: [
          { id: 'a', function: { output: 'x' } },
          { id: 'b', function: { output: null } },
          { id: 'c' },
          7,
        ],
      },
    };
    expect([...readStepOutputs(step)]).toEqual([
      ['a', 'x'],
      ['b', null],
      ['c', null],
    ]);
    expect(readStepOutputs({ type: 'message_creation' }).size).toBe(0);
  });

  test('no JSON value breaks the readers', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        readRun(value);
        readStepOutputs(value);
        parseRunsPage(value, readRun);
        expect(
          readRun({
            id: 'r',
            status: 'requires_action',
            required_action: value,
            tools: value,
            metadata: value,
            usage: value,
          }),
        ).toMatchObject({ id: 'r', calls: expect.any(Array) });
      }),
      { numRuns: 500 },
    );
  });
});

describe('what a reading means', () => {
  test.each([...TERMINAL_STATUSES])('%s is settled', (status) => {
    expect(assessRun(seen({ status }))).toEqual({ kind: 'settled' });
  });
  test.each(ACTIVE_STATUSES.filter((status) => status !== 'requires_action'))('%s: wait', (status) => {
    expect(assessRun(seen({ status }))).toEqual({ kind: 'wait' });
  });
  test.each<[string, object, string]>([
    ['calls', { required_action: action(wireCall('a')) }, 'settled'],
    [
      'calls without a type',
      { required_action: { submit_tool_outputs: { tool_calls: [wireCall('a')] } } },
      'settled',
    ],
    ['no action yet', {}, 'puzzling'],
    ['no calls yet', { required_action: action() }, 'puzzling'],
    ['another action', { required_action: { type: 'submit_tool_approval' } }, 'unsupported'],
    ['a call without an id', { required_action: action(wireCall('a'), wireCall('')) }, 'unsupported'],
  ])('requires_action with %s', (_name, more, kind) => {
    expect(assessRun(seen({ status: 'requires_action', ...more })).kind).toBe(kind);
  });
  test('anything else is puzzling', () => {
    expect(assessRun(seen({ status: 'paused' }))).toEqual({ kind: 'puzzling', what: 'the status "paused"' });
  });
});

const reading = (calls: ToolCall[]): Parameters<typeof settledFrom>[0] => ({
  run: { ...seen({ status: 'requires_action', created_at: 1000, expires_at: 1600 }), calls },
  offsetMs: 0,
  receivedAt: 5,
});

describe('settling', () => {
  test('arguments that do not fit are refused, longest first, and the others are left alone', () => {
    const big = 'x'.repeat(MAX_CALLS_BYTES);
    const settled = settledFrom(
      reading([call('a'), call('b', big), call('c', 'y'.repeat(10))]),
      't',
      external,
    );
    expect(settled.status === 'requires_action' && settled.calls.map(({ plan }) => plan.kind)).toEqual([
      'external',
      'refused',
      'external',
    ]);
    expect(JSON.stringify(settled).length).toBeLessThan(10_000);
    expect(JSON.stringify(settled)).toContain(`${MAX_CALLS_BYTES} characters long`);
  });

  test('just at the limit nothing is refused', () => {
    const settled = settledFrom(
      reading([call('a', 'x'.repeat(MAX_CALLS_BYTES - JSON.stringify(call('a', '')).length))]),
      't',
      external,
    );
    expect(settled).toMatchObject({ calls: [{ plan: { kind: 'external' } }] });
  });

  test('bytes count as they are stored: escapes and other alphabets too', () => {
    for (const text of ['"'.repeat(800_000), '€'.repeat(600_000)])
      expect(settledFrom(reading([call('a', text)]), 't', external)).toMatchObject({
        calls: [{ plan: { kind: 'refused' } }],
      });
  });

  test('a name that no tool can have is refused and shortened, under any plan', () => {
    const settled = settledFrom(
      reading([{ callId: 'a', name: 'n'.repeat(3_000_000), arguments: '{}' }, call('b')]),
      't',
      external,
    );
    expect(settled).toMatchObject({
      calls: [{ plan: { kind: 'refused' } }, { plan: { kind: 'external' } }],
    });
    expect(JSON.stringify(settled).length).toBeLessThan(2000);
  });

  test('the stored part of refused calls counts too', () => {
    const calls = Array.from({ length: 512 }, (_, index) => call(`c${index}`, 'x'.repeat(100_000)));
    const settled = settledFrom(reading(calls), 't', external);
    expect(JSON.stringify(settled).length).toBeLessThan(2_000_000);
  });

  test('times are turned to our clock', () => {
    const settled = settledFrom({ ...reading([call('a')]), offsetMs: 400_000 }, 't', external);
    expect(settled).toMatchObject({ createdAt: 600_000, expiresAt: 1_200_000 });
  });
});

describe('clock offset', () => {
  test.each([
    ['no date', null, 1_000_000, 0],
    ['whole seconds cut off', 1_000_000, 1_000_999, 0],
    ['a slow answer', 1_000_000, 1_002_500, 0],
    ['an hour ahead', 4_600_000, 1_000_000, 3_600_500],
    ['an hour behind', 1_000_000, 4_600_000, -3_599_500],
  ])('is read from a clock that is %s', (_name, serverTime, receivedAt, expected) => {
    expect(clockOffset(serverTime, receivedAt)).toBe(expected);
  });
});

describe('how long to wait', () => {
  test.each<[string, number | null, number, boolean, number]>([
    ['at first', null, 0, false, 100],
    ['after 5 s', null, 5000, false, 500],
    ['after a day', null, 86_400_000, false, 2000],
    ['as the server says', 700, 5000, false, 700],
    ['as the server says, within reason', 1e12, 5000, false, 60_000],
    ['a hint of nothing is a short pause', 0, 5000, false, 20],
    ['an unknown state', null, 0, true, 1000],
    ['an unknown state with a hint below the floor', 50, 0, true, 1000],
    ['an unknown state with a hint above it', 5000, 0, true, 5000],
  ])('%s', (_name, hintMs, ageMs, puzzling, expected) => {
    expect(pollDelay(BOUNDS, { hintMs, ageMs, unrecognised: puzzling })).toBe(expected);
  });

  test('never polls without a pause, for any response of the server', () => {
    fc.assert(
      fc.property(
        fc.option(fc.double()),
        fc.double({ min: 0, noNaN: true }),
        fc.boolean(),
        (hintMs, ageMs, puzzling) => {
          const delay = pollDelay(BOUNDS, {
            hintMs: hintMs === null || Number.isNaN(hintMs) ? null : hintMs,
            ageMs,
            unrecognised: puzzling,
          });
          expect(delay).toBeGreaterThanOrEqual(puzzling ? 1000 : 20);
          expect(delay).toBeLessThanOrEqual(60_000);
        },
      ),
    );
  });
});

describe('ids and outputs', () => {
  test.each([
    ['same', ['a', 'b'], ['b', 'a'], 'same'],
    ['the next round', ['c'], ['a', 'b'], 'none'],
    ['nothing required', [], ['a'], 'none'],
    ['a part of ours', ['a'], ['a', 'b'], 'some'],
    ['ours and more', ['a', 'b', 'c'], ['a', 'b'], 'some'],
  ])('are compared where the server waits for %s', (_name, required, ours, expected) => {
    expect(
      relateIds(
        required.map((id) => call(id)),
        ours.map((id) => output(id)),
      ),
    ).toBe(expected);
  });

  test.each<[string, [string, string | null][] | null, object]>([
    ['no steps', null, { kind: 'unknown' }],
    ['steps of other calls', [['z', 'x']], { kind: 'unknown' }],
    [
      'no outputs yet',
      [
        ['a', null],
        ['b', null],
      ],
      { kind: 'absent' },
    ],
    [
      'ours',
      [
        ['a', 'x'],
        ['b', 'x'],
      ],
      { kind: 'equal' },
    ],
    [
      'ours, not all shown',
      [
        ['a', 'x'],
        ['b', null],
      ],
      { kind: 'equal' },
    ],
    [
      'one of somebody else',
      [
        ['a', 'x'],
        ['b', 'y'],
      ],
      { kind: 'different', callIds: ['b'] },
    ],
    [
      'an empty one of somebody else',
      [
        ['a', ''],
        ['b', 'x'],
      ],
      { kind: 'different', callIds: ['a'] },
    ],
  ])('steps show %s', (_name, shown, expected) => {
    expect(relateOutputs(shown === null ? null : new Map(shown), [output('a'), output('b')])).toEqual(
      expected,
    );
  });
});

const runAt = (id: string, createdAt: number | null): UpstreamRun => ({ ...seen({}), id, createdAt });

describe('the run that locks the thread', () => {
  test.each<[string, { runId: string | null } | null]>([
    ['Thread thread_abc already has an active run run_xyz.', { runId: 'run_xyz' }],
    ["Thread thread_abc already has an active run 'run_x-1.2'", { runId: 'run_x-1.2' }],
    ["Can't add messages to thread_abc while a run run_xyz is active.", { runId: 'run_xyz' }],
    ['Thread already has an active run.', { runId: null }],
    ["Can't add messages while a run is active.", { runId: null }],
    ['Invalid assistant_id', null],
    ['', null],
  ])('%j', (message, expected) => {
    expect(busyFrom(message)).toEqual(expected);
  });

  test('of several runs the earliest stays, ties by id', () => {
    expect(earliest([runAt('c', 2), runAt('b', 1), runAt('a', 1)])?.id).toBe('a');
    expect(earliest([])).toBeUndefined();
  });
});
