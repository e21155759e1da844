/** A live run as its workflow tells it, for tests of what people read. */
import type { RunSnapshot } from '../../protocol/temporal/messages.ts';

export const runSnapshot = (runId: string, more: Partial<RunSnapshot> = {}): RunSnapshot => ({
  runId,
  backendRunId: runId,
  threadId: 'thread_1',
  assistantId: 'asst_1',
  backend: 'chat',
  phase: 'calling',
  status: 'in_progress',
  round: 1,
  expiresAt: null,
  calls: [],
  unusable: { count: 0, latest: [] },
  result: null,
  ...more,
});
