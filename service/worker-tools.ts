/**
 * The worker's tools for the HTTP API, cached for some seconds.
 *
 * Rule: a caller sees the tools that its key may use, and no others. A failed request is not cached.
 * Imported within `service/` and by tests.
 */
import { apiErrors, RunsError } from '../protocol/errors.ts';
import type { Caller } from '../protocol/ports/runs-service.ts';
import type { WorkerTool } from '../protocol/temporal/activities.ts';
import type { FunctionTool } from '../protocol/wire/objects.ts';

/** Maximum age of the cached list, in milliseconds. */
const CACHE_TTL_MS = 5_000;

export interface ToolsDeps {
  ask: () => Promise<WorkerTool[]>;
  now: () => number;
}

const noWorker = (error: unknown): never => {
  throw error instanceof RunsError && error.code === 'no_worker' ? apiErrors.unavailable('A worker') : error;
};

export const toolsLister = ({ ask, now }: ToolsDeps) => {
  let kept: { at: number; tools: Promise<WorkerTool[]> } | null = null;
  const current = (): Promise<WorkerTool[]> => {
    if (kept !== null && now() - kept.at < CACHE_TTL_MS) return kept.tools;
    const asked = { at: now(), tools: ask().catch(noWorker) };
    kept = asked;
    asked.tools.catch(() => {
      if (kept === asked) kept = null;
    });
    return asked.tools;
  };
  return async ({ grantedTools = null }: Pick<Caller, 'grantedTools'>): Promise<FunctionTool[]> =>
    (await current())
      .map(({ definition }) => definition)
      .filter(({ function: { name } }) => grantedTools === null || grantedTools.includes(name));
};
