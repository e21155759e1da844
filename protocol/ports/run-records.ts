/**
 * The rows of runs behind timelines, lists and the overview.
 *
 * Rule: `RunRecordStore` is a part of `Store`, under the rules of that port. Imports protocol shapes only.
 */
import type { Decision } from '../decisions.ts';
import type { OnDeadline, PlannedCall } from '../tool-calls.ts';
import type { ApprovalStatus, StepToolCall } from '../wire/decisions.ts';
import type { Run, RunStatus, StepStatus, WireUsage } from '../wire/objects.ts';

/** A page of runs over all threads; all conditions must hold. */
export interface RunListQuery {
  limit: number;
  after?: string;
  status?: RunStatus;
  assistantId?: string;
  threadId?: string;
  tool?: string;
  /** Unix seconds: runs created at this time or later, and before this time. */
  createdFrom?: number;
  createdBefore?: number;
  /** Only runs of this tenant: of another than the caller's, for operators. */
  tenant?: string;
}

export interface RecordedStep {
  id: string;
  kind: 'message' | 'calls';
  round: number;
  status: StepStatus;
  model: string | null;
  usage: WireUsage | null;
  /** Unix ms. */
  createdAt: number;
  endedAt: number | null;
  /** Empty on steps of messages. */
  calls: StepToolCall[];
}

export interface RecordedApproval {
  callId: string;
  round: number;
  tool: string;
  status: ApprovalStatus;
  onDeadline: OnDeadline;
  /** Unix ms; null = not known, or no deadline. */
  askedAt: number | null;
  dueAt: number | null;
  decidedAt: number | null;
}

/** The rows of one run, bounded. Times are unix ms. */
export interface RunRows {
  tenant: string;
  run: Run;
  /** Rounds so far. */
  round: number;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
  expiresAt: number | null;
  cancelAskedAt: number | null;
  usage: WireUsage | null;
  steps: RecordedStep[];
  rounds: { round: number; calls: PlannedCall[] }[];
  approvals: RecordedApproval[];
  decisions: (Decision & { id: string })[];
  /** Rows were left out. */
  cut: boolean;
}

/** A turn of the model that has brought something. Unix ms. */
export interface TurnTimes {
  model: string | null;
  startedAt: number;
  firstOutputAt: number;
}

export interface EndedRun {
  id: string;
  status: 'failed' | 'incomplete' | 'expired';
  code: string | null;
  message: string | null;
  endedAt: number;
}

export interface OverviewRows {
  /** Runs by the beginning of their span of time, unix ms. */
  created: { at: number; runs: number }[];
  ended: { at: number; status: string; runs: number }[];
  /** Runs were left out: the time before this (unix ms) is not counted. null = none. */
  countedFrom: number | null;
  live: { status: string; runs: number }[];
  waiting: {
    runId: string;
    threadId: string;
    tenant: string;
    assistantId: string;
    createdAt: number;
    askedAt: number | null;
    calls: { tool: string; answerBy: number | null }[];
  }[];
  failures: EndedRun[];
  turns: TurnTimes[];
}

export interface OverviewQuery {
  tenant: string | null;
  /** Unix ms; spans of time begin at multiples of `bucketMs`. */
  from: number;
  bucketMs: number;
}

/** Limits of what an overview reads, in rows. */
export const OVERVIEW_ROWS = {
  /** Runs that were created, and that ended, in its time. */
  counted: 200_000,
  /** Live runs. */
  live: 200_000,
  /** Live runs among which the oldest waiting ones are looked for, and how many are shown. */
  lookedAt: 2_000,
  waiting: 10,
  failures: 500,
  /** Ended runs whose turns are measured. */
  measured: 500,
} as const;

export interface RunRecordStore {
  /** A run of any tenant with its rows; null = there is none. */
  readRecord(runId: string): Promise<RunRows | null>;
  /** Bounded by `OVERVIEW_ROWS`, whatever the number of runs. */
  readOverview(query: OverviewQuery): Promise<OverviewRows>;
}
