/**
 * List options → a visibility query. Pure.
 *
 * Rule: the query is built from checked parts only; nothing a caller typed gets in unchecked.
 * Imported by the client only.
 */
import { idProblem, RunsError, quote, WORKFLOWS } from '../protocol/index.ts';
import type { ListOptions } from './types.ts';

const STATUSES = [
  'queued',
  'in_progress',
  'requires_action',
  'cancelling',
  'cancelled',
  'failed',
  'completed',
  'incomplete',
  'expired',
] as const;

/** Statuses that only a closed workflow has: the search attribute is not rewritten at the end. */
const ENDED: ReadonlySet<string> = new Set(['cancelled', 'failed', 'completed', 'incomplete', 'expired']);

const refuse = (message: string): never => {
  throw new RunsError('invalid_input', message);
};

export interface VisibilityQuery {
  query: string;
  /** A status that the query can't ask for exactly: filter after reading it. */
  exactStatus: string | null;
}

/**
 * Throws `invalid_input` on a bad option and `config` when the question needs search attributes that the namespace
 * does not have.
 */
export const visibilityQuery = (options: ListOptions, searchAttributes: boolean): VisibilityQuery => {
  const { waiting, status, threadId, idPrefix, limit } = options;
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1))
    refuse(`limit must be a whole number from 1 on; got ${quote(limit)}`);
  if (status !== undefined && !(STATUSES as readonly string[]).includes(status))
    refuse(`status must be one of ${STATUSES.join(', ')}; got ${quote(status)}`);
  const badThread = threadId === undefined ? undefined : idProblem('threadId', threadId);
  if (badThread !== undefined) refuse(badThread);
  const badPrefix = idPrefix === undefined ? undefined : idProblem('idPrefix', idPrefix);
  if (badPrefix !== undefined) refuse(badPrefix);

  const endedStatus = status !== undefined && ENDED.has(status) ? status : null;
  const isWorking = status === 'queued' || status === 'in_progress';
  const needsAttributes =
    waiting === true || threadId !== undefined || (status !== undefined && endedStatus === null);
  if (needsAttributes && !searchAttributes) {
    throw new RunsError(
      'config',
      'Runs can be filtered by wait, thread or status only where the search attributes Runs… are registered, and this namespace lacks them. "runs doctor" says how to add them.',
    );
  }
  const types =
    waiting === true
      ? `WorkflowType IN ('${WORKFLOWS.run}', '${WORKFLOWS.followUp}')`
      : `WorkflowType = '${WORKFLOWS.run}'`;
  const parts = [types];
  // Each continue-as-new leaves a closed link of the chain behind: not a run's end.
  if (waiting === true) parts.push(`ExecutionStatus = 'Running'`, 'RunsWaitingFor IS NOT NULL');
  else if (endedStatus === 'cancelled') parts.push(`ExecutionStatus IN ('Canceled', 'Completed')`);
  else if (endedStatus === 'failed')
    parts.push(`ExecutionStatus IN ('Completed', 'Failed', 'Terminated', 'TimedOut')`);
  else if (endedStatus !== null) parts.push(`ExecutionStatus = 'Completed'`);
  // A run has no status attribute before its first wait (it costs history), and whether its turn was taken is not in it.
  else if (isWorking)
    parts.push(
      `ExecutionStatus = 'Running'`,
      `(RunsStatus IS NULL OR RunsStatus IN ('queued', 'in_progress'))`,
    );
  else if (status !== undefined) parts.push(`ExecutionStatus = 'Running'`, `RunsStatus = '${status}'`);
  else parts.push(`ExecutionStatus != 'ContinuedAsNew'`);
  if (threadId !== undefined) parts.push(`RunsThreadId = '${threadId}'`);
  if (idPrefix !== undefined) parts.push(`WorkflowId STARTS_WITH '${idPrefix}'`);
  return { query: parts.join(' AND '), exactStatus: isWorking ? (status ?? null) : endedStatus };
};
