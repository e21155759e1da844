/** Snapshot of a live run, for tests of outputs that people read. */
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
