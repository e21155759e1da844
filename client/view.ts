/**
 * What Temporal tells about a workflow without its worker → list items and snapshots. Pure.
 *
 * Rule: nothing is guessed: what neither attributes, memo nor result tell is null, and a snapshot made this way says
 * that it is partial.
 * Imported by the client only.
 */
import type { WorkflowExecutionInfo } from '@temporalio/client';
import {
  RESULT_MEMO,
  WORKFLOWS,
  type RunInput,
  type RunResult,
  type RunSnapshot,
} from '../protocol/index.ts';
import { searchAttributeKeys } from './search-attributes.ts';
import type { RunListItem, RunMemo } from './types.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

/** Memo key of `RunMemo`. */
export const RUN_MEMO = 'runsRun';

const FOLLOW_UP_SUFFIX = '.follow-up';

export interface WorkflowView extends Pick<
  WorkflowExecutionInfo,
  'workflowId' | 'type' | 'startTime' | 'closeTime' | 'memo' | 'typedSearchAttributes'
> {
  status: Pick<WorkflowExecutionInfo['status'], 'name'>;
}

/** Temporal's own ends, in the API's words, for a run that left no result. */
const CLOSED_STATUS: Record<string, RunResult['status']> = {
  CANCELLED: 'cancelled',
  FAILED: 'failed',
  TERMINATED: 'failed',
  TIMED_OUT: 'failed',
};

export const isOpen = (view: WorkflowView): boolean =>
  view.status.name === 'RUNNING' || view.status.name === 'PAUSED';

/** The result that a cancelled workflow left in its memo. */
export const resultInMemo = (view: WorkflowView): RunResult | null => {
  const kept = view.memo?.[RESULT_MEMO];
  return isRecord(kept) && typeof kept['status'] === 'string' && typeof kept['runId'] === 'string'
    ? (kept as unknown as RunResult)
    : null;
};

const memoOf = (view: WorkflowView): Partial<RunMemo> => {
  const memo = view.memo?.[RUN_MEMO];
  return isRecord(memo) ? memo : {};
};

/** The status that the workflow wrote at its latest change of waiting; null = it has never waited. */
export const attributeStatus = (view: WorkflowView): string | null =>
  view.typedSearchAttributes.get(searchAttributeKeys.status) ?? null;

export const toListItem = (view: WorkflowView, result: RunResult | null): RunListItem => {
  const attributes = view.typedSearchAttributes;
  const memo = memoOf(view);
  const open = isOpen(view);
  const followUp = view.type === WORKFLOWS.followUp;
  return {
    runId: attributes.get(searchAttributeKeys.runId) ?? stripFollowUpSuffix(view.workflowId),
    status: open
      ? (attributeStatus(view) ?? 'in_progress')
      : (result?.status ?? CLOSED_STATUS[view.status.name] ?? 'completed'),
    threadId: result?.threadId ?? attributes.get(searchAttributeKeys.threadId) ?? memo.threadId ?? null,
    assistantId: attributes.get(searchAttributeKeys.assistantId) ?? memo.assistantId ?? null,
    backend:
      memo.backend ?? (attributes.get(searchAttributeKeys.assistantId) === undefined ? null : 'assistants'),
    waitingFor: open ? (attributes.get(searchAttributeKeys.waitingFor) ?? []) : [],
    deadline: open ? (attributes.get(searchAttributeKeys.deadline)?.getTime() ?? null) : null,
    startedAt: view.startTime.getTime(),
    closedAt: view.closeTime?.getTime() ?? null,
    followUp,
  };
};

const stripFollowUpSuffix = (workflowId: string): string =>
  workflowId.endsWith(FOLLOW_UP_SUFFIX) ? workflowId.slice(0, -FOLLOW_UP_SUFFIX.length) : workflowId;

/** A snapshot without a worker's help. */
export const partialSnapshot = (view: WorkflowView, result: RunResult | null): RunSnapshot => {
  const item = toListItem(view, result);
  const memo = memoOf(view);
  return {
    runId: view.workflowId,
    backendRunId: result?.backendRunId ?? null,
    threadId: item.threadId,
    assistantId: item.assistantId ?? '',
    backend: memo.backend ?? ('assistants' satisfies RunInput['backend']),
    phase: isOpen(view) ? (item.waitingFor.length > 0 ? 'calling' : 'following') : 'ended',
    status: item.status,
    round: result?.rounds ?? 0,
    expiresAt: item.deadline,
    calls: [],
    unusable: { count: 0, latest: [] },
    result,
    partial: true,
  };
};
