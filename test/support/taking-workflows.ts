/** Workflows that take everything and run nothing, for tests of the service. Tests only. */
import type { Workflows } from '../../service/index.ts';

export const takingWorkflows = (): Workflows => ({
  start: async ({ runId }) => ({ runId: runId ?? '', started: true }),
  cancel: async () => undefined,
  answer: async (runId, { call_id }) => ({ run_id: runId, call_id, result: 'accepted', waiting: [] }),
  submitToolOutputs: async (runId, _payload, options) => ({
    run_id: runId,
    round: options?.round ?? 0,
    result: 'accepted',
  }),
  tools: async () => [],
  look: async () => 'running',
  trace: async () => null,
  history: async () => null,
  running: async (runIds) => new Set(runIds),
  brokenOffSince: async () => [],
  ping: async () => undefined,
  namespaceId: async () => ({ id: 'ns', name: 'default' }),
});
