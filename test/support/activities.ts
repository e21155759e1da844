/**
 * Activities outside Temporal: a mock environment, a recorder for logs and metrics, a manual clock.
 *
 * Rule: no sleeping and no server; inputs and outputs of an activity are recorded.
 */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { LeaseClock, Metrics } from '../../activities/index.ts';
import type { Logger, ToolActivityInput } from '../../protocol/index.ts';

export interface Recorder {
  log: Logger;
  metrics: Metrics;
  lines: { level: string; fields: Record<string, unknown>; message: string }[];
  counted: unknown[][];
}

export const recorder = (): Recorder => {
  const lines: Recorder['lines'] = [];
  const counted: unknown[][] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, fields, message });
  };
  const count =
    (what: string) =>
    (...values: unknown[]) => {
      counted.push([what, ...values]);
    };
  return {
    lines,
    counted,
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    metrics: {
      runEnded: count('runEnded'),
      roundBegan: count('roundBegan'),
      started: () => undefined,
      waited: count('waited'),
      toolAttempt: (tool, outcome) => counted.push(['toolAttempt', tool, outcome]),
      backendActivity: (activity, outcome) => counted.push(['backendActivity', activity, outcome]),
      observe: count('observe'),
    },
  };
};

/** Both clocks stand still until `advance`. */
export const handClock = (start = 1_700_000_000_000): LeaseClock & { advance(ms: number): void } => {
  let now = start;
  return {
    wall: () => now,
    monotonic: () => now - start,
    advance: (ms) => {
      now += ms;
    },
  };
};

export type Info = ConstructorParameters<typeof MockActivityEnvironment>[0];

/** A mock environment is for one activity: its cancellation can't be undone. */
export const attempt = (info: Info = {}): MockActivityEnvironment =>
  new MockActivityEnvironment(
    {
      attempt: 1,
      startToCloseTimeoutMs: 60_000,
      scheduleToCloseTimeoutMs: 0,
      heartbeatDetails: undefined,
      ...info,
    },
    { logger: new DefaultLogger('ERROR') },
  );

export const toolInput = (
  name: string,
  args: unknown,
  more: Partial<ToolActivityInput> = {},
): ToolActivityInput => ({
  runId: 'run_1',
  threadId: 'thread_1',
  assistantId: 'asst_1',
  callId: 'call_1',
  name,
  arguments: typeof args === 'string' ? args : JSON.stringify(args),
  idempotencyKey: 'run_1:call_1',
  deadline: null,
  atMostOnce: false,
  ...more,
});
