/** A run's timeline of its rows and of histories that a real server wrote. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { describe, expect, test } from 'vitest';
import { traceOf, type RunTrace } from '../../../client/run-trace.ts';
import type { RecordedStep, RunRows } from '../../../protocol/ports/run-records.ts';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import type { TimelineEntry } from '../../../protocol/wire/run-timeline.ts';
import {
  MAX_ENTRIES,
  timelineOf,
  type TimelineReader,
  type TraceReading,
} from '../../../service/timeline/index.ts';
import { ROOT } from '../../support/sources.ts';
import { automatic, external } from '../../support/store.ts';

const T = 1_800_000_000_000;
const ALL: TimelineReader = { tools: null, failures: true };
const HISTORIES = join(ROOT, 'test', 'histories');
const files = await readdir(HISTORIES);

const traced = async (name: string, converter = loadDataConverter(undefined)): Promise<RunTrace> => {
  const file = files.find((one) => new RegExp(`^${name}-\\d{4}`).test(one));
  if (file === undefined) throw new Error(`no history ${name}`);
  const history = historyFromJSON(JSON.parse(await readFile(join(HISTORIES, file), 'utf8')));
  return traceOf(converter, [{ execution: 'x', history }]);
};

const run = (status: Run['status'], more: object = {}): Run =>
  ({ id: 'run_1', thread_id: 't', assistant_id: 'a', status, model: 'model-a', ...more }) as unknown as Run;

const recorded = (more: Partial<RunRows> = {}): RunRows => ({
  tenant: 'acme',
  run: run('in_progress'),
  round: 0,
  createdAt: T,
  startedAt: T + 10,
  endedAt: null,
  expiresAt: T + 600_000,
  cancelAskedAt: null,
  usage: null,
  steps: [],
  rounds: [],
  approvals: [],
  decisions: [],
  cut: false,
  ...more,
});
const step = (round: number, more: Partial<RecordedStep>): RecordedStep => ({
  id: `step_${round}`,
  kind: 'message',
  round,
  status: 'completed',
  model: 'model-a',
  usage: null,
  createdAt: T + 20,
  endedAt: T + 40,
  calls: [],
  ...more,
});
const called = (call: PlannedCall, output: string | null): RecordedStep['calls'][number] => ({
  id: call.callId,
  type: 'function',
  function: { name: call.name, arguments: call.arguments, output },
});

const entriesOf = (record: RunRows, trace: TraceReading = 'gone', reader = ALL): TimelineEntry[] =>
  timelineOf(record, trace, reader, T + 1000).entries;
/** `kind start..end what`, in milliseconds after the run's creation. */
const short = (entries: readonly TimelineEntry[]): string[] =>
  entries.map((entry) => {
    const what = 'status' in entry ? entry.status : 'outcome' in entry ? entry.outcome : '';
    const name = 'tool' in entry ? `${entry.tool} ` : '';
    const end = entry.end_ms === null ? '' : String(entry.end_ms - T);
    return `${entry.kind} ${entry.start_ms - T}..${end} ${name}${what}`.trim();
  });

describe('of rows alone', () => {
  const look = automatic('c1', 'look_up');
  test.each([
    [
      'a queued run has begun nothing',
      recorded({ run: run('queued'), startedAt: null }),
      ['state 0..0 queued'],
    ],
    [
      'a run at its first turn is at it',
      recorded(),
      ['state 0..0 queued', 'state 10..10 in_progress', 'turn 10.. running'],
    ],
    [
      'a completed run has one turn',
      recorded({ run: run('completed'), endedAt: T + 50, steps: [step(1, { endedAt: T + 50 })] }),
      ['state 0..0 queued', 'state 10..10 in_progress', 'turn 10..50 ok', 'state 50..50 completed'],
    ],
    [
      'a tool that runs has no end',
      recorded({
        round: 1,
        rounds: [{ round: 1, calls: [look] }],
        steps: [step(1, { kind: 'calls', endedAt: null, calls: [called(look, null)] })],
      }),
      ['state 0..0 queued', 'state 10..10 in_progress', 'turn 10..20 ok', 'tool 20.. look_up running'],
    ],
    [
      'a tool of which the run did not wait for the output was cancelled',
      recorded({
        run: run('cancelled'),
        endedAt: T + 90,
        cancelAskedAt: T + 80,
        round: 1,
        rounds: [{ round: 1, calls: [look] }],
        steps: [
          step(1, { kind: 'calls', status: 'cancelled', endedAt: T + 90, calls: [called(look, null)] }),
        ],
      }),
      [
        'state 0..0 queued',
        'state 10..10 in_progress',
        'turn 10..20 ok',
        'tool 20..90 look_up cancelled',
        'state 80..80 cancelling',
        'state 90..90 cancelled',
      ],
    ],
    [
      'an output that reports a failure is a tool that failed',
      recorded({
        round: 1,
        rounds: [{ round: 1, calls: [look] }],
        steps: [
          step(1, {
            kind: 'calls',
            calls: [called(look, '{"error":{"type":"tool_failed","message":"no"}}')],
          }),
        ],
      }),
      [
        'state 0..0 queued',
        'state 10..10 in_progress',
        'turn 10..20 ok',
        'tool 20..40 look_up failed',
        'turn 40.. running',
      ],
    ],
    [
      'a call of the caller is a wait, until its output',
      recorded({
        run: run('requires_action'),
        round: 1,
        rounds: [{ round: 1, calls: [external('c1', 'ship')] }],
        steps: [step(1, { kind: 'calls', endedAt: null, calls: [called(external('c1', 'ship'), null)] })],
      }),
      ['state 0..0 queued', 'state 10..10 in_progress', 'turn 10..20 ok', 'wait 20.. ship waiting'],
    ],
  ])('%s', (_name, record, expected) => {
    expect(short(entriesOf(record))).toEqual(expected);
  });

  test('another model than the run’s is a fallback', () => {
    const turns = entriesOf(
      recorded({ run: run('completed'), endedAt: T + 50, steps: [step(1, { model: 'model-b' })] }),
    ).filter((entry) => entry.kind === 'turn');
    expect(turns).toMatchObject([{ model: 'model-b', fallback: true, finish_reason: 'stop' }]);
  });
});

describe('of a history', () => {
  test('a tool that was retried has its attempts and its failure', async () => {
    const entries = entriesOf(recorded(), await traced('retries'));
    const tool = entries.find((entry) => entry.kind === 'tool');
    expect(tool).toMatchObject({ source: 'history', outcome: 'ok' });
    expect(tool?.kind === 'tool' && (tool.attempts ?? 0) > 1 && tool.failure?.message !== null).toBe(true);
  });

  test.each(files.filter((file) => file.endsWith('.json')))('%s gives a timeline in order', async (file) => {
    const history = historyFromJSON(JSON.parse(await readFile(join(HISTORIES, file), 'utf8')));
    const trace = await traceOf(loadDataConverter(undefined), [{ execution: 'x', history }]);
    expect(trace.decoded).toBe(true);
    const entries = entriesOf(recorded(), trace);
    expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length);
    for (const [index, { start_ms: start, end_ms: end }] of entries.entries()) {
      expect(start).toBeGreaterThanOrEqual(entries[index - 1]?.start_ms ?? 0);
      expect(end ?? start).toBeGreaterThanOrEqual(start);
    }
  });

  test('a deadline is a timer that fired', async () => {
    const entries = entriesOf(recorded(), await traced('deadline-expire'));
    expect(entries.filter((entry) => entry.kind === 'timer')).toMatchObject([{ outcome: 'fired' }]);
  });

  test('payloads that can’t be decoded are named, and times stay', async () => {
    const undecodable = {
      ...loadDataConverter(undefined),
      payloadCodecs: [
        {
          encode: async () => Promise.reject(new Error('no key')),
          decode: async () => Promise.reject(new Error('no key')),
        },
      ],
    };
    const timeline = timelineOf(recorded(), await traced('retries', undecodable), ALL, T);
    expect(timeline.history.state).toBe('encrypted');
    expect(timeline.entries.some(({ source }) => source === 'history')).toBe(true);
    expect(timeline.entries.some(({ kind }) => kind === 'tool')).toBe(false);
  });
});

describe('of a reader', () => {
  const decision = {
    id: 'dec_1',
    callId: 'c1',
    name: 'refund',
    round: 1,
    decision: 'deny' as const,
    at: T + 30,
    door: 'http' as const,
    arguments: '{}',
    reason: 'too much',
    note: 'ask again in May',
  };
  const record = recorded({
    round: 1,
    rounds: [{ round: 1, calls: [automatic('c1', 'refund', '{"amount":1}')] }],
    steps: [step(1, { kind: 'calls', calls: [called(automatic('c1', 'refund'), 'paid')] })],
    decisions: [decision],
  });
  const secrets = (tools: readonly string[] | null): unknown[] =>
    entriesOf(record, 'gone', { tools, failures: false }).flatMap((entry) =>
      entry.kind === 'tool'
        ? [entry.arguments, entry.output]
        : entry.kind === 'decision'
          ? [entry.reason, entry.note]
          : [],
    );
  test.each([
    [null, ['{"amount":1}', 'paid', 'too much', 'ask again in May']],
    [['refund'], ['{"amount":1}', 'paid', 'too much', 'ask again in May']],
    [['ship'], [null, null, null, null]],
  ])('with the tools %j', (tools, expected) => {
    expect(secrets(tools)).toEqual(expected);
  });

  test('gets at most a bounded number of entries, and of a text its beginning', () => {
    const calls = Array.from({ length: 900 }, (_one, index) =>
      automatic(`c${index}`, 'look_up', JSON.stringify('x'.repeat(5_000))),
    );
    const large = recorded({
      round: 3,
      rounds: [1, 2, 3].map((round) => ({ round, calls })),
      steps: [1, 2, 3].map((round) => step(round, { kind: 'calls' })),
    });
    const timeline = timelineOf(large, 'gone', ALL, T);
    expect(timeline.entries).toHaveLength(MAX_ENTRIES);
    expect(timeline.truncated).toBe(true);
    const tool = timeline.entries.find((entry) => entry.kind === 'tool');
    expect(tool?.kind === 'tool' && tool.arguments?.length).toBe(4_000);
  });
});
