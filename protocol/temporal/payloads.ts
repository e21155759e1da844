/**
 * Reads workflow inputs, activity inputs and activity results. They are plain JSON, which people read in Temporal's Web UI;
 * versions before 0.2 wrote a compact form, without default values.
 *
 * Rule: a plain value reads as itself, and a compact value as the value it was written from, so histories of both forms
 * replay. Nothing writes the compact form.
 * Imports protocol shapes; the workflow sandbox, the activities and the client import it.
 */
import type { CreateRequest, Settled } from '../ports/backend.ts';
import {
  idempotencyKey,
  type ArgumentsMark,
  type CallOutcome,
  type CallPlan,
  type PlannedCall,
  type ToolActivityInput,
  type ToolCall,
  type ToolPolicy,
} from '../tool-calls.ts';
import type { RunInput } from './messages.ts';

type Waiting = Extract<Settled, { status: 'requires_action' }>;

/** What a compact policy leaves out. Part of the form: it never changes, while the defaults of tools may. */
const COMPACT_POLICY: ToolPolicy = {
  maximumAttempts: 5,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  startToCloseMs: 300_000,
  heartbeatMs: null,
  atMostOnce: false,
};

type PlanPayload =
  | Extract<CallPlan, { kind: 'external' | 'refused' }>
  | { kind: 'automatic'; policy?: Partial<ToolPolicy> }
  | (Omit<Extract<CallPlan, { kind: 'approval' }>, 'policy'> & { policy?: Partial<ToolPolicy> });

const readPlan = (plan: PlanPayload): CallPlan =>
  plan.kind === 'automatic' || plan.kind === 'approval'
    ? { ...plan, policy: { ...COMPACT_POLICY, ...plan.policy } }
    : plan;

/** A compact settlement has each plan once, in `plans`, by the name of the tool. */
export type SettlementPayload =
  | Exclude<Settled, Waiting>
  | (Omit<Waiting, 'calls'> & {
      calls: (ToolCall & ArgumentsMark & { plan?: PlanPayload })[];
      plans?: Record<string, PlanPayload>;
    });

export const readSettlement = (payload: SettlementPayload): Settled => {
  if (payload.status !== 'requires_action') return payload;
  const { plans = {}, calls, ...settled } = payload;
  return {
    ...settled,
    calls: calls.map((call): PlannedCall => {
      const plan = call.plan ?? (Object.hasOwn(plans, call.name) ? plans[call.name] : undefined);
      if (plan === undefined)
        throw new Error(`The settlement has no plan for call ${call.callId} of ${call.name}.`);
      return { ...call, plan: readPlan(plan) };
    }),
  };
};

/** The input of a tool activity. In the compact form an absent `deadline` is the end of the activity's timeout. */
export type ToolCallPayload = Pick<ToolActivityInput, 'threadId' | 'assistantId' | 'callId' | 'arguments'> &
  Partial<ToolActivityInput>;

/** `from`: the sending workflow, the tool of the activity's type, and the unix ms of its timeout. */
export const readToolCall = (
  payload: ToolCallPayload,
  from: { workflowId: string; tool: string; endsBy: number | null },
): ToolActivityInput => {
  const runId = payload.runId ?? from.workflowId;
  return {
    ...payload,
    runId,
    name: payload.name ?? from.tool,
    idempotencyKey: payload.idempotencyKey ?? idempotencyKey(runId, payload.callId),
    deadline: payload.deadline === undefined ? from.endsBy : payload.deadline,
    atMostOnce: payload.atMostOnce ?? false,
    metadata: payload.metadata ?? {},
  };
};

export type OutcomePayload = Omit<CallOutcome, 'ok'> & Partial<Pick<CallOutcome, 'ok'>>;

export const readOutcome = (payload: OutcomePayload): CallOutcome => ({ ...payload, ok: payload.ok ?? true });

export type CreatePayload = Pick<CreateRequest, 'threadId' | 'assistantId' | 'startedAt'> &
  Partial<CreateRequest>;

export const readCreate = (payload: CreatePayload, runId: string): CreateRequest => ({
  ...payload,
  runId,
  params: payload.params ?? {},
  busy: payload.busy ?? 'fail',
  expiresAt: payload.expiresAt ?? null,
});

export type RunInputPayload = Pick<RunInput, 'runId' | 'backend' | 'assistantId'> & Partial<RunInput>;

export const readRunInput = (payload: RunInputPayload): RunInput => ({
  ...payload,
  threadId: payload.threadId ?? null,
  params: payload.params ?? {},
  metadata: payload.metadata ?? {},
  busy: payload.busy ?? 'fail',
  expiresAt: payload.expiresAt ?? null,
  createdAt: payload.createdAt ?? null,
  searchAttributes: payload.searchAttributes ?? false,
  hooks: payload.hooks ?? { onWaiting: false, onEnd: false },
  settings: payload.settings ?? {},
});
