/**
 * Compact forms of activity inputs and results: workflow history stores them, many times per run.
 *
 * Rule: packing loses nothing, and a plain value reads the same (`unpack(pack(x))` and `unpack(x)` equal `x`), so
 * histories of either form replay. What Temporal records anyway (workflow id, activity type) is not sent again, nor a
 * default, nor the plan of a tool once per call.
 * Imports protocol shapes; the workflow sandbox and the activities import it.
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

type Waiting = Extract<Settled, { status: 'requires_action' }>;

/**
 * The policy against which packed policies are a difference. It is part of the format and never changes; the defaults
 * of tools belong to the worker and may change.
 */
const DEFAULT_POLICY_V1: ToolPolicy = {
  maximumAttempts: 5,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  startToCloseMs: 300_000,
  heartbeatMs: null,
  atMostOnce: false,
};

/** A plan whose policy leaves out values equal to the base policy. */
export type PlanPayload =
  | Extract<CallPlan, { kind: 'external' | 'refused' }>
  | { kind: 'automatic'; policy?: Partial<ToolPolicy> }
  | (Omit<Extract<CallPlan, { kind: 'approval' }>, 'policy'> & { policy?: Partial<ToolPolicy> });

const packPlan = (plan: CallPlan): PlanPayload => {
  if (plan.kind !== 'automatic' && plan.kind !== 'approval') return plan;
  const { policy, ...rest } = plan;
  const unusual = Object.fromEntries(
    Object.entries(policy).filter(([key, value]) => value !== DEFAULT_POLICY_V1[key as keyof ToolPolicy]),
  );
  return Object.keys(unusual).length === 0 ? rest : { ...rest, policy: unusual };
};

const unpackPlan = (plan: PlanPayload): CallPlan =>
  plan.kind === 'automatic' || plan.kind === 'approval'
    ? { ...plan, policy: { ...DEFAULT_POLICY_V1, ...plan.policy } }
    : plan;

/** A settlement whose calls name their plan by tool. A call with a plan of its own carries it. */
export type SettlementPayload =
  | Exclude<Settled, Waiting>
  | (Omit<Waiting, 'calls'> & {
      calls: (ToolCall & ArgumentsMark & { plan?: PlanPayload })[];
      plans?: Record<string, PlanPayload>;
    });

const same = (a: PlanPayload, b: PlanPayload): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Absent, an expired or cancelled run has not read the outputs, and any other has: the machine's own rule. */
const withoutUsualTaken = (ended: Exclude<Settled, Waiting>): Exclude<Settled, Waiting> => {
  const { outputsTaken, ...rest } = ended;
  const usual = ended.status !== 'expired' && ended.status !== 'cancelled';
  return outputsTaken === undefined || outputsTaken === usual ? rest : ended;
};

export const packSettlement = (settled: Settled): SettlementPayload => {
  if (settled.status !== 'requires_action') return withoutUsualTaken(settled);
  const plans = new Map<string, PlanPayload>();
  const calls = settled.calls.map(({ plan: whole, ...call }) => {
    const plan = packPlan(whole);
    const known = plans.get(call.name);
    if (known === undefined) plans.set(call.name, plan);
    return known === undefined || same(known, plan) ? call : { ...call, plan };
  });
  return { ...settled, calls, plans: Object.fromEntries(plans) };
};

export const unpackSettlement = (packed: SettlementPayload): Settled => {
  if (packed.status !== 'requires_action') return packed;
  const { plans, calls, ...settled } = packed;
  return {
    ...settled,
    calls: calls.map((call): PlannedCall => {
      const plan =
        call.plan ?? (plans !== undefined && Object.hasOwn(plans, call.name) ? plans[call.name] : undefined);
      if (plan === undefined)
        throw new Error(`The settlement has no plan for call ${call.callId} of ${call.name}.`);
      return { ...call, plan: unpackPlan(plan) };
    }),
  };
};

/**
 * Input of a tool activity as it is sent. `runId` only when it differs from the id of the sending workflow; `deadline`
 * absent = the end of the activity's schedule-to-close timeout, null = none.
 */
export type ToolCallPayload = Pick<ToolActivityInput, 'threadId' | 'assistantId' | 'callId' | 'arguments'> &
  Partial<
    Pick<
      ToolActivityInput,
      'runId' | 'name' | 'deadline' | 'atMostOnce' | 'edited' | 'metadata' | 'idempotencyKey'
    >
  >;

export const packToolCall = (
  input: Omit<ToolActivityInput, 'idempotencyKey' | 'name'>,
  workflowId: string,
): ToolCallPayload => ({
  ...(input.runId === workflowId ? {} : { runId: input.runId }),
  threadId: input.threadId,
  assistantId: input.assistantId,
  callId: input.callId,
  arguments: input.arguments,
  ...(input.deadline === null ? { deadline: null } : {}),
  ...(input.atMostOnce ? { atMostOnce: true } : {}),
  ...(input.edited === true ? { edited: true } : {}),
  ...(input.metadata === undefined || Object.keys(input.metadata).length === 0
    ? {}
    : { metadata: input.metadata }),
});

/**
 * `from`: what the activity's context knows: the sending workflow, the tool of its type, and the unix ms of its
 * timeout.
 */
export const unpackToolCall = (
  sent: ToolCallPayload,
  from: { workflowId: string; tool: string; endsBy: number | null },
): ToolActivityInput => {
  const runId = sent.runId ?? from.workflowId;
  return {
    runId,
    threadId: sent.threadId,
    assistantId: sent.assistantId,
    callId: sent.callId,
    name: sent.name ?? from.tool,
    arguments: sent.arguments,
    idempotencyKey: sent.idempotencyKey ?? idempotencyKey(runId, sent.callId),
    deadline: sent.deadline === undefined ? from.endsBy : sent.deadline,
    atMostOnce: sent.atMostOnce ?? false,
    ...(sent.edited === true ? { edited: true } : {}),
    metadata: sent.metadata ?? {},
  };
};

/** A tool's outcome as it is returned: `ok` only when it is false. */
export type OutcomePayload = Omit<CallOutcome, 'ok'> & Partial<Pick<CallOutcome, 'ok'>>;

export const packOutcome = ({ ok, ...rest }: CallOutcome): OutcomePayload => (ok ? rest : { ...rest, ok });
export const unpackOutcome = (sent: OutcomePayload): CallOutcome => ({ ...sent, ok: sent.ok ?? true });

/** A create request as it is sent, without the run id that stands beside it. */
export type CreatePayload = Pick<CreateRequest, 'threadId' | 'assistantId' | 'startedAt'> &
  Partial<Pick<CreateRequest, 'runId' | 'params' | 'busy' | 'expiresAt'>>;

export const packCreate = (request: CreateRequest): CreatePayload => ({
  threadId: request.threadId,
  assistantId: request.assistantId,
  startedAt: request.startedAt,
  ...(Object.keys(request.params).length === 0 ? {} : { params: request.params }),
  ...(request.busy === 'fail' ? {} : { busy: request.busy }),
  ...(request.expiresAt === null ? {} : { expiresAt: request.expiresAt }),
});

export const unpackCreate = (sent: CreatePayload, runId: string): CreateRequest => ({
  runId,
  threadId: sent.threadId,
  assistantId: sent.assistantId,
  params: sent.params ?? {},
  busy: sent.busy ?? 'fail',
  startedAt: sent.startedAt,
  expiresAt: sent.expiresAt ?? null,
});
