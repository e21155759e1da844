/**
 * What a drill leaves in writing: histories that must replay, and texts in which no secret may stand.
 *
 * Rule: I7 and I10 of docs/contributing/faults.md. A planted key is looked for byte by byte, in whatever encoding Temporal keeps.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import type { RunsClient } from '../../client/index.ts';
import type { Violation } from './audit.ts';
import { historyText, type History } from './history.ts';
import type { LedgerEntry } from './ledger.ts';
import type { DrillProcess } from './processes.ts';
import { recoveriesOf, recoveryBound, type Recovery, type WorkerLife } from './recovery.ts';
import type { World } from './world.ts';

/** Each run's history as Temporal has it; in words in `dir`, for whoever looks into a violation. */
export const readHistories = async (
  client: RunsClient,
  runIds: readonly string[],
  dir: string,
): Promise<Map<string, History>> => {
  const histories = new Map<string, History>();
  for (const runId of runIds) {
    const history = await client.temporal.workflow.getHandle(runId).fetchHistory();
    histories.set(runId, history);
    writeFileSync(join(dir, `${runId}.history.txt`), historyText(history));
  }
  return histories;
};

export const checkHistories = async (
  { bundle, inTurn }: Pick<World, 'bundle' | 'inTurn'>,
  histories: ReadonlyMap<string, History>,
  canary: string,
): Promise<Violation[]> => {
  const violations: Violation[] = [];
  for (const [runId, history] of histories) {
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

/** Recoveries of all runs, and those that took longer than they may. */
export const checkRecoveries = (
  histories: ReadonlyMap<string, History>,
  lives: readonly WorkerLife[],
  heartbeatMs: number,
): { recoveries: Recovery[]; violations: Violation[] } => {
  const bound = recoveryBound(heartbeatMs);
  const recoveries = [...histories].flatMap(([runId, history]) =>
    recoveriesOf(history, lives, FAILING).map((recovery) => ({ runId, ...recovery })),
  );
  return {
    recoveries,
    violations: recoveries
      .filter(({ ms }) => ms > bound)
      .map(({ runId, what, ms }) => ({
        invariant: 'recovery',
        text: `run ${runId}: ${what} stood still for ${Math.round(ms)} ms after a death, at most ${bound}`,
      })),
  };
};

/** Their first attempt fails with nobody dead. */
const FAILING = ['tool.flaky'];

/** Of workers: when each was ready, and when it was struck down, by us or by a fault of its own. */
export const livesOf = (processes: readonly DrillProcess[], entries: readonly LedgerEntry[]): WorkerLife[] =>
  processes.map(({ pid, readyAt, killedAt }) => {
    const struck = entries.find(
      (entry) => entry.kind === 'struck' && entry.action === 'kill' && entry.pid === pid,
    );
    return { readyAt, killedAt: struck?.at ?? killedAt };
  });
