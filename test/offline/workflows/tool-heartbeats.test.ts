/** Which heartbeat timeout a tool's activity has, and who sends the heartbeats. */
import { expect, test } from 'vitest';
import type { ToolPolicy } from '../../../protocol/tool-calls.ts';
import { hasWorkerBeats, toolActivityOptions } from '../../../workflows/run/activity-options.ts';
import { TOOL_HEARTBEAT_MS } from '../../../workflows/run/timeouts.ts';

const policy = (more: Partial<ToolPolicy>): ToolPolicy => ({
  maximumAttempts: 5,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  startToCloseMs: 300_000,
  heartbeatMs: null,
  atMostOnce: false,
  ...more,
});

test.each([
  ['none, and five minutes', {}, true, TOOL_HEARTBEAT_MS],
  ['none, and no more than a minute', { startToCloseMs: TOOL_HEARTBEAT_MS }, false, undefined],
  ['ten seconds', { heartbeatMs: 10_000 }, false, 10_000],
  ['ten minutes, of an hour', { heartbeatMs: 600_000, startToCloseMs: 3_600_000 }, false, 600_000],
])(
  'a tool whose heartbeat is %s: its worker reports for it (%s), and it is lost after %s ms of silence',
  (_name, more, byWorker, heartbeatTimeout) => {
    const tool = policy(more);
    const effect = {
      type: 'runTool' as const,
      callId: 'c',
      name: 't',
      arguments: '{}',
      policy: tool,
      endBy: null,
    };
    expect(hasWorkerBeats(tool)).toBe(byWorker);
    expect(toolActivityOptions(effect, {}, 0).heartbeatTimeout).toBe(heartbeatTimeout);
  },
);
