/**
 * Scripted activities for workflow tests: a backend that settles by a script, and tools that answer at once.
 *
 * Rule: the requests to the backend are kept in order, so a test can demand exactly once. The backend throws when the
 * script has no more steps, since a workflow that asks more than planned is a failed test.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { CloseHow, CloseTarget, RunRef, Settled } from '../../protocol/ports/backend.ts';
import { argumentsDigest } from '../../protocol/rules/arguments-digest.ts';
import { ANYBODY } from '../../protocol/rules/ballot.ts';
import type {
  ApprovalPolicy,
  CallOutcome,
  CallPlan,
  PlannedCall,
  ToolActivityInput,
  ToolPolicy,
  WaitPolicy,
} from '../../protocol/tool-calls.ts';
import type { Decision } from '../../protocol/decisions.ts';
import { readToolCall, type ToolCallPayload } from '../../protocol/temporal/payloads.ts';
import { TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import type { RunInput, WaitingNotice, RunResult } from '../../protocol/temporal/messages.ts';
import type { RunActivities } from '../../protocol/temporal/activities.ts';

export const POLICY: ToolPolicy = {
  maximumAttempts: 3,
  initialIntervalMs: 50,
  backoffCoefficient: 2,
  maximumIntervalMs: 1000,
  startToCloseMs: 30_000,
  heartbeatMs: null,
  atMostOnce: false,
};
export const WAIT: WaitPolicy = { onDeadline: 'fail', answerWithinMs: null };

export const planned = (callId: string, plan: CallPlan, name = 'look_up', args = '{"q":1}'): PlannedCall => ({
  callId,
  name,
  arguments: args,
  plan,
});
export const automatic = (callId: string, policy: Partial<ToolPolicy> = {}, name?: string): PlannedCall =>
  planned(callId, { kind: 'automatic', policy: { ...POLICY, ...policy } }, name);
export const external = (callId: string, wait: Partial<WaitPolicy> = {}, name = 'ask_person'): PlannedCall =>
  planned(callId, { kind: 'external', wait: { ...WAIT, ...wait } }, name);
export const approval = (callId: string, wait: Partial<WaitPolicy> = {}, name = 'pay'): PlannedCall =>
  planned(callId, { kind: 'approval', policy: POLICY, wait: { ...WAIT, ...wait } }, name);

/** A call on which people vote: two must agree, unless the policy says otherwise. */
export const votable = (
  callId: string,
  policy: Partial<ApprovalPolicy> = {},
  wait: Partial<WaitPolicy> = {},
): PlannedCall => ({
  ...planned(
    callId,
    {
      kind: 'approval',
      policy: POLICY,
      wait: { ...WAIT, ...wait },
      approvers: { ...ANYBODY, quorum: 2, ...policy },
      requestedBy: 'rita',
    },
    'pay',
  ),
  argumentsDigest: argumentsDigest({ q: 1 }),
});

export const runInput = (runId: string, more: Partial<RunInput> = {}): RunInput => ({
  runId,
  backend: 'assistants',
  assistantId: 'asst_1',
  threadId: 'thread_1',
  params: {},
  metadata: {},
  busy: 'fail',
  expiresAt: null,
  createdAt: null,
  searchAttributes: false,
  hooks: { onWaiting: false, onEnd: false },
  settings: {},
  ...more,
});

export interface Asked {
  create: number;
  submits: { round: number; outputs: ToolOutput[] }[];
  follows: number;
  closes: { target: CloseTarget; how: CloseHow }[];
  recorded: ToolOutput[];
  /** By an activity of their own, with a submit, or with a close. */
  decisions: { by: 'record' | 'submit' | 'close'; decision: Decision }[];
  waiting: WaitingNotice[];
  ends: RunResult[];
  linked: { newRunId: string; callId: string; message: string; outcome: CallOutcome }[];
  tools: ToolActivityInput[];
}

export interface Script {
  /** Each round's calls; after the last one's submit the run completes. */
  rounds?: PlannedCall[][];
  expiresAt?: number | null;
  createdAt?: number;
  tool?(input: ToolActivityInput): Promise<CallOutcome>;
  create?(): Promise<void>;
  submit?(round: number): Promise<Settled | void>;
  follow?(): Promise<Settled>;
  close?(target: CloseTarget, how: CloseHow): Promise<Settled>;
  notifyWaiting?(): Promise<void>;
}

export type StubActivities = RunActivities & { default(input: unknown): Promise<unknown> };

export const scripted = (script: Script): { activities: StubActivities; asked: Asked } => {
  const asked: Asked = {
    create: 0,
    submits: [],
    follows: 0,
    closes: [],
    recorded: [],
    decisions: [],
    waiting: [],
    ends: [],
    linked: [],
    tools: [],
  };
  const rounds = script.rounds ?? [];
  const run: RunRef = { backendRunId: 'run_backend', threadId: 'thread_1' };
  const usage = { promptTokens: 1, completionTokens: 2, totalTokens: 3 };
  const settle = (done: number): Settled => {
    const calls = rounds[done];
    return calls === undefined
      ? { status: 'completed', run, usage }
      : {
          status: 'requires_action',
          run,
          calls,
          expiresAt: script.expiresAt === undefined ? Date.now() + 600_000 : script.expiresAt,
          createdAt: script.createdAt ?? Date.now(),
        };
  };
  const keep = (by: Asked['decisions'][number]['by'], decisions: readonly Decision[]): void => {
    asked.decisions.push(...decisions.map((decision) => ({ by, decision })));
  };
  const activities: StubActivities = {
    createThread: async () => ({ threadId: 'thread_new' }),
    createRun: async () => {
      asked.create += 1;
      await script.create?.();
      return settle(0);
    },
    submitToolOutputs: async ({ round, outputs, decisions = [] }) => {
      keep('submit', decisions);
      asked.submits.push({ round, outputs });
      return (await script.submit?.(round)) ?? settle(round);
    },
    followRun: async () => {
      asked.follows += 1;
      if (script.follow === undefined) throw ApplicationFailure.nonRetryable('The script has no follow.');
      return await script.follow();
    },
    closeRun: async ({ target, how, decisions = [] }) => {
      keep('close', decisions);
      asked.closes.push({ target, how });
      if (script.close !== undefined) return await script.close(target, how);
      return how.kind === 'fail'
        ? { status: 'failed', run, lastError: how.error }
        : { status: how.kind === 'expire' ? 'expired' : 'cancelled', run };
    },
    recordAnswers: async ({ outputs }) => {
      asked.recorded.push(...outputs);
    },
    recordDecisions: async ({ decisions }) => {
      keep('record', decisions);
    },
    notifyWaiting: async (notice) => {
      asked.waiting.push(notice);
      await script.notifyWaiting?.();
    },
    notifyEnd: async (result) => {
      asked.ends.push(result);
    },
    startFollowUpRun: async ({ newRunId, callId, message, outcome }) => {
      asked.linked.push({ newRunId, callId, message, outcome });
      return { runId: newRunId };
    },
    default: async (input) => {
      const { info } = Context.current();
      const { activityType, workflowExecution } = info;
      if (!activityType.startsWith(TOOL_ACTIVITY_PREFIX))
        throw ApplicationFailure.nonRetryable(`Unexpected ${activityType}.`);
      const call = readToolCall(input as ToolCallPayload, {
        workflowId: workflowExecution?.workflowId ?? '',
        tool: activityType.slice(TOOL_ACTIVITY_PREFIX.length),
        endsBy: info.scheduledTimestampMs + info.scheduleToCloseTimeoutMs,
      });
      asked.tools.push(call);
      return (await script.tool?.(call)) ?? { output: `done ${call.callId}`, ok: true };
    },
  };
  return { activities, asked };
};
