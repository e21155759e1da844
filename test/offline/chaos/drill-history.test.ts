/** Histories in drills: what stands still after a death is measured, and work that was scheduled twice is seen. */
import { describe, expect, test } from 'vitest';
import type { RunResult } from '../../../protocol/temporal/messages.ts';
import { checkEvents, type History } from '../../chaos/history.ts';
import { recoveriesOf, recoveryBound, type WorkerLife } from '../../chaos/recovery.ts';

/** `[second, kind, attributes]`, numbered from 1. */
type Line = [at: number, kind: string, attributes?: Record<string, unknown>];

const historyOf = (lines: readonly Line[]): History =>
  ({
    events: lines.map(([at, kind, attributes = {}], index) => ({
      eventId: index + 1,
      eventTime: { seconds: Math.floor(at), nanos: Math.round((at % 1) * 1e9) },
      [`${kind}EventAttributes`]: attributes,
    })),
  }) as unknown as History;

const task = (at: number): Line[] => [
  [at, 'workflowTaskScheduled'],
  [at, 'workflowTaskStarted'],
  [at, 'workflowTaskCompleted'],
];
/** As Temporal writes them: the attempts before the last leave nothing. */
const activity = (name: string, id: number, at: number, started = at, attempt = 1): Line[] => [
  [at, 'activityTaskScheduled', { activityType: { name } }],
  [started, 'activityTaskStarted', { scheduledEventId: id, attempt }],
  [started, 'activityTaskCompleted', { scheduledEventId: id }],
];

const LINES: Line[] = [
  [1, 'workflowExecutionStarted'],
  ...task(1),
  ...activity('createRun', 5, 1),
  ...task(2),
  ...activity('tool.keyed', 11, 2, 6, 2),
  ...task(6),
  ...activity('submitToolOutputs', 17, 6),
  ...task(7),
  [7, 'workflowExecutionCompleted'],
];
const RESULT: RunResult = {
  status: 'completed',
  runId: 'run_1',
  backendRunId: 'run_1',
  threadId: 'thread_1',
  rounds: 1,
  usage: null,
  calls: [{ callId: 'a', name: 'keyed', round: 1, kind: 'automatic', ok: true }],
  unusedAnswers: [],
};
const EXPECTED = { result: RESULT, ownThread: false, answersShown: false, asked: 0, faults: 0 };

describe('the length of a history', () => {
  test('is 11 + 6r + 3k + 3W, whatever was tried again', () => {
    expect(LINES).toHaveLength(11 + 6 + 3 + 3);
    expect(checkEvents(historyOf(LINES), EXPECTED)).toEqual([]);
  });

  test('may be longer by a task that was lost with a worker, not without one', () => {
    const lost: Line[] = [
      ...LINES.slice(0, 7),
      [2, 'workflowTaskScheduled'],
      [2, 'workflowTaskStarted'],
      [4, 'workflowTaskTimedOut'],
      ...LINES.slice(7),
    ];
    expect(checkEvents(historyOf(lost), { ...EXPECTED, faults: 1 })).toEqual([]);
    expect(checkEvents(historyOf(lost), EXPECTED)).toEqual([
      { invariant: 'I8', text: expect.stringContaining('timed out after 0 faults') as unknown as string },
    ]);
  });

  test.each<[string, Line[]]>([
    ['a round that is submitted twice', [...LINES.slice(0, -1), ...activity('submitToolOutputs', 23, 7)]],
    ['a tool that is scheduled twice', [...LINES.slice(0, -1), ...activity('tool.keyed', 23, 7)]],
    ['a run that is created twice', [...LINES.slice(0, -1), ...activity('createRun', 23, 7)]],
    ['tasks without a cause', [...LINES.slice(0, -1), ...task(7), ...task(7)]],
    ['an event that nothing explains', [...LINES.slice(0, -1), [7, 'childWorkflowExecutionStarted']]],
    ['a task that failed', [...LINES.slice(0, -1), [7, 'workflowTaskFailed', { cause: 24 }]]],
  ])('shows %s', (_what, lines) => {
    const ended = historyOf([...lines, [8, 'workflowExecutionCompleted']]);
    expect(checkEvents(ended, EXPECTED).map(({ invariant }) => invariant)).toContain('I8');
  });
});

const living = { readyAt: 0, killedAt: null };
const dead = (at: number): WorkerLife => ({ readyAt: 0, killedAt: at });

describe('standing still', () => {
  test('is counted from the death to the second attempt', () => {
    expect(recoveriesOf(historyOf(LINES), [dead(3_000), living])).toEqual([
      { what: 'tool.keyed', ms: 3_000 },
    ]);
  });

  test('is counted from the successor’s readiness when there was none at the death', () => {
    const late = { readyAt: 5_500, killedAt: null };
    expect(recoveriesOf(historyOf(LINES), [dead(3_000), late])).toEqual([{ what: 'tool.keyed', ms: 500 }]);
  });

  test('is not counted after two deaths, without a death, or where attempts fail by themselves', () => {
    expect(recoveriesOf(historyOf(LINES), [dead(3_000), dead(4_000), living])).toEqual([]);
    expect(recoveriesOf(historyOf(LINES), [living])).toEqual([]);
    expect(recoveriesOf(historyOf(LINES), [dead(3_000), living], ['tool.keyed'])).toEqual([]);
  });

  test('includes a workflow task that was lost', () => {
    const lines: Line[] = [
      [1, 'workflowTaskScheduled'],
      [1, 'workflowTaskStarted'],
      [11, 'workflowTaskTimedOut'],
      ...task(11),
    ];
    expect(recoveriesOf(historyOf(lines), [dead(2_000), living])).toEqual([
      { what: 'workflow task', ms: 9_000 },
    ]);
  });

  test('may last as long as the longer timeout, and a second', () => {
    expect([recoveryBound(2_000), recoveryBound(30_000)]).toEqual([13_000, 33_500]);
  });
});
