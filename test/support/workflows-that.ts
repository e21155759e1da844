/** A stub of Temporal for tests of the service: every workflow runs, and a method that the test does not give throws. */
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
  trace: async () => null,
  history: async () => null,
  running: async (runIds) => new Set(runIds),
  brokenOffSince: async () => [],
  ping: never,
  namespaceId: async () => ({ id: 'ns-1', name: 'default' }),
  ...more,
});
