/**
 * Size of a run's history beside that of the bare workflow, at the same number of wakes.
 * Imported by scenario.ts.
 */
import type { Client } from '@temporalio/client';

interface History {
  events: number;
  bytes: number;
  wakes: number;
}

/** Histories looked at, of each contestant. */
export const HISTORIES = 30;

export const historiesOf = (client: Client, workflowIds: readonly string[]): Promise<History[]> =>
  Promise.all(
    workflowIds.map(async (workflowId) => {
      const handle = client.workflow.getHandle(workflowId);
      const { historyLength, historySize } = await handle.describe();
      const { events } = await handle.fetchHistory();
      const wakes = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes != null);
      return { events: historyLength, bytes: historySize ?? 0, wakes: wakes.length };
    }),
  );

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * How often a workflow is woken for results that arrive one by one is the server's mood, and each wake is three events:
 * histories are compared at the number of wakes that most pairs share, or all with all where none do.
 */
export const atEqualWakes = (bare: readonly History[], ours: readonly History[]) => {
  const pairs = (wakes: number): number =>
    bare.filter((history) => history.wakes === wakes).length *
    ours.filter((history) => history.wakes === wakes).length;
  const [most] = [...new Set(bare.map((history) => history.wakes))].toSorted((a, b) => pairs(b) - pairs(a));
  const shared = most !== undefined && pairs(most) > 0 ? most : null;
  const of = (histories: readonly History[]) => {
    const chosen = histories.filter((history) => shared === null || history.wakes === shared);
    return {
      events: mean(chosen.map((history) => history.events)),
      bytes: mean(chosen.map((history) => history.bytes)),
    };
  };
  return {
    wakes: shared === null ? 'wakes differ' : `${shared} wakes`,
    bare: of(bare),
    ours: of(ours),
  };
};
