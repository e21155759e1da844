/**
 * What a drill leaves in writing: histories that must replay, and texts in which no secret may stand.
 *
 * Rule: I7 and I10 of docs/FAULTS.md. A planted key is looked for byte by byte, in whatever encoding Temporal keeps.
 */
import { Worker } from '@temporalio/worker';
import type { RunsClient } from '../../client/index.ts';
import type { Violation } from './audit.ts';
import type { DrillProcess } from './processes.ts';
import type { World } from './world.ts';

export const checkHistories = async (
  client: RunsClient,
  { bundle, inTurn }: Pick<World, 'bundle' | 'inTurn'>,
  runIds: readonly string[],
  canary: string,
): Promise<Violation[]> => {
  const violations: Violation[] = [];
  for (const runId of runIds) {
    const history = await client.temporal.workflow.getHandle(runId).fetchHistory();
    if (holds(history, canary))
      violations.push({ invariant: 'I10', text: `the key is in the history of run ${runId}` });
    try {
      await inTurn(() => Worker.runReplayHistory({ workflowBundle: { codePath: bundle } }, history, runId));
    } catch (error) {
      violations.push({
        invariant: 'I7',
        text: `the history of run ${runId} does not replay: ${String(error)}`,
      });
    }
  }
  return violations;
};

/** In any text, or in any payload's bytes, however deep. */
const holds = (value: unknown, text: string): boolean => {
  if (typeof value === 'string') return value.includes(text);
  if (value instanceof Uint8Array) return Buffer.from(value).includes(text);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some((part) => holds(part, text));
};

export const checkSecrets = (processes: readonly DrillProcess[], canary: string): Violation[] =>
  processes
    .filter((process) => process.log().includes(canary))
    .map(({ label }) => ({ invariant: 'I10', text: `the key is in the log of ${label}` }));
