/** Temporal as the service sees it, for tests that need a part of it: every workflow runs, anything else fails. */
import type { Workflows } from '../../service/index.ts';

const never = (): never => {
  throw new Error('not asked here');
};
export const workflowsThat = (more: Partial<Workflows>): Workflows => ({
  start: never,
  cancel: never,
  answer: never,
  submitToolOutputs: never,
  tools: never,
  look: async () => 'running',
  running: async (runIds) => new Set(runIds),
  brokenOffSince: async () => [],
  ping: never,
  namespaceId: async () => ({ id: 'ns-1', name: 'default' }),
  ...more,
});
