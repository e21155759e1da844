/**
 * The rows of a run → entries of its timeline. Pure.
 *
 * Rule: rows tell when a turn began and ended, and when a round had all its outputs; what happened to one call in between they
 * do not tell, so a tool's span is that of its round until the history replaces it.
 * Imported by `timeline/` and tests.
 */
import { inOrderMade, isVerdict } from '../../protocol/decisions.ts';
import type { RecordedApproval, RecordedStep, RunRows } from '../../protocol/ports/run-records.ts';
import type { PlannedCall } from '../../protocol/tool-calls.ts';
import { isTerminal, type WireUsage } from '../../protocol/wire/objects.ts';
import { stateEntry, type TimelineEntry } from '../../protocol/wire/run-timeline.ts';

type EntryOf<Kind extends TimelineEntry['kind']> = Extract<TimelineEntry, { kind: Kind }>;

const SHOWN_CHARS = 4_000;
const shown = (text: string): string => (text.length > SHOWN_CHARS ? text.slice(0, SHOWN_CHARS) : text);

/** How an output that reports a failure begins (`errorOutput`). */
const FAILED_OUTPUT = '{"error":{"type":';

export const stateEntries = ({ run, ...at }: RunRows): TimelineEntry[] => [
  ...stateEntry('queued', at.createdAt),
  ...stateEntry('in_progress', at.startedAt),
  ...stateEntry('cancelling', at.cancelAskedAt),
  ...(isTerminal(run.status) ? stateEntry(run.status, at.endedAt) : []),
];

const earliest = (times: readonly (number | null)[]): number | null => {
  const known = times.filter((at) => at !== null);
  return known.length === 0 ? null : Math.min(...known);
};
const latest = (times: readonly (number | null)[]): number | null => {
  const known = times.filter((at) => at !== null);
  return known.length === 0 ? null : Math.max(...known);
};

/** Of the steps of one turn, one has the usage. */
const usageOf = (steps: readonly RecordedStep[]): WireUsage | null =>
  steps.find(({ usage }) => usage !== null)?.usage ?? null;

interface RoundTimes {
  number: number;
  steps: RecordedStep[];
  calls: readonly PlannedCall[];
  /** When the model had answered; null = it is still answering. */
  answeredAt: number | null;
  /** When all outputs were there; null = some are not. */
  doneAt: number | null;
}

const roundTimes = (record: RunRows, number: number): RoundTimes => {
  const steps = record.steps.filter(({ round }) => round === number);
  const calls = record.rounds.find(({ round }) => round === number)?.calls ?? [];
  const step = steps.find(({ kind }) => kind === 'calls');
  const asked = record.approvals.filter(({ round }) => round === number).map(({ askedAt }) => askedAt);
  const messages = steps.filter(({ kind }) => kind === 'message').map(({ endedAt }) => endedAt);
  return {
    number,
    steps,
    calls,
    answeredAt:
      number <= record.round
        ? (earliest(asked) ?? latest([step?.createdAt ?? null, ...messages]) ?? record.endedAt)
        : record.endedAt,
    doneAt: number <= record.round ? (step?.endedAt ?? record.endedAt) : null,
  };
};

/** Rounds of calls, and the turn after the last one. */
export const roundsOfRecord = (record: RunRows): RoundTimes[] =>
  Array.from({ length: record.round + 1 }, (_one, index) => roundTimes(record, index + 1));

const FINISH = { max_completion_tokens: 'length', max_prompt_tokens: 'length', max_cost: 'length' } as const;

const finishOf = (record: RunRows, last: boolean): EntryOf<'turn'>['finish_reason'] => {
  if (!last) return 'tool_calls';
  if (record.run.status === 'completed') return 'stop';
  const reason = record.run.incomplete_details?.reason;
  if (reason === 'content_filter') return 'content_filter';
  return FINISH[reason as keyof typeof FINISH] ?? null;
};

/** The turn that answers after `before`; null = it has not begun. */
const turnEntry = (
  record: RunRows,
  round: RoundTimes,
  before: RoundTimes | undefined,
): EntryOf<'turn'> | null => {
  const last = round.number > record.round;
  const start = before === undefined ? record.startedAt : before.doneAt;
  const ended = isTerminal(record.run.status);
  const waits =
    before !== undefined &&
    !ended &&
    before.steps.some((step) => step.kind === 'calls' && step.endedAt === null);
  if (
    start === null ||
    waits ||
    (last && ended && round.steps.length === 0 && record.round > 0 && record.run.status !== 'failed')
  )
    return null;
  const model = round.steps.findLast((step) => step.model !== null)?.model ?? null;
  const finish = finishOf(record, last);
  return {
    id: `turn:${round.number}`,
    kind: 'turn',
    start_ms: start,
    end_ms: round.answeredAt === null ? null : Math.max(start, round.answeredAt),
    round: round.number,
    source: 'store',
    model,
    fallback: model !== null && model !== record.run.model,
    usage: usageOf(round.steps),
    finish_reason: finish,
    outcome: round.answeredAt === null ? 'running' : last && record.run.status === 'failed' ? 'failed' : 'ok',
    attempts: null,
    failure: null,
    next_attempt_at_ms: null,
  };
};

export const turnEntries = (record: RunRows): TimelineEntry[] => {
  const rounds = roundsOfRecord(record);
  return rounds.flatMap((round, index) => turnEntry(record, round, rounds[index - 1]) ?? []);
};

interface CallTimes {
  record: RunRows;
  round: RoundTimes;
  call: PlannedCall;
  output: string | null;
  approval: RecordedApproval | undefined;
  start: number;
}

const WAIT_OUTCOME = {
  waiting: 'waiting',
  decided: 'decided',
  expired: 'expired',
  cancelled: 'cancelled',
} as const;

const waitEntry = (at: CallTimes): EntryOf<'wait'> | null => {
  const { record, round, call, output, approval, start } = at;
  if (call.plan.kind !== 'approval' && call.plan.kind !== 'external') return null;
  const external = call.plan.kind === 'external';
  const status = approval?.status;
  const over = round.doneAt ?? record.endedAt;
  const waits = external ? output === null && over === null : status === 'waiting' && record.endedAt === null;
  const answered = output !== null && !output.startsWith(FAILED_OUTPUT) ? 'answered' : 'expired';
  return {
    id: `wait:${round.number}:${call.callId}`,
    kind: 'wait',
    call_id: call.callId,
    tool: call.name,
    start_ms: approval?.askedAt ?? start,
    end_ms: waits ? null : Math.max(start, approval?.decidedAt ?? over ?? start),
    round: round.number,
    source: 'store',
    waits_for: external ? 'output' : 'approval',
    on_deadline: call.plan.wait.onDeadline,
    answer_by_ms:
      approval?.dueAt ??
      (call.plan.wait.answerWithinMs === null ? record.expiresAt : start + call.plan.wait.answerWithinMs),
    outcome: external
      ? waits
        ? 'waiting'
        : output === null
          ? 'cancelled'
          : answered
      : WAIT_OUTCOME[status ?? 'cancelled'],
    arguments: shown(call.arguments),
    output: external && output !== null ? shown(output) : null,
  };
};

/** When the tool could begin; null = it has not, or never will. */
const toolStart = ({ call, approval, start, record }: CallTimes): number | null => {
  if (call.plan.kind === 'external' || call.plan.kind === 'refused') return null;
  if (call.plan.kind === 'automatic') return start;
  // Votes and comments start nothing, and after a refused edit the call waits again.
  const last = record.decisions.findLast(
    (entry) => entry.callId === call.callId && (isVerdict(entry) || entry.refusedEdit !== undefined),
  );
  return last !== undefined && isVerdict(last) && last.decision === 'approve'
    ? (approval?.decidedAt ?? last.at)
    : null;
};

const toolEntry = (at: CallTimes): EntryOf<'tool'> | null => {
  const { record, round, call, output } = at;
  const start = toolStart(at);
  if (start === null) return null;
  const end = output === null ? record.endedAt : (round.doneAt ?? start);
  return {
    id: `tool:${round.number}:${call.callId}`,
    kind: 'tool',
    call_id: call.callId,
    tool: call.name,
    start_ms: start,
    end_ms: end === null ? null : Math.max(start, end),
    round: round.number,
    source: 'store',
    outcome:
      output !== null
        ? output.startsWith(FAILED_OUTPUT)
          ? 'failed'
          : 'ok'
        : end === null
          ? 'running'
          : 'cancelled',
    attempts: null,
    failure: null,
    next_attempt_at_ms: null,
    arguments: shown(call.arguments),
    output: output === null ? null : shown(output),
  };
};

export const callEntries = (record: RunRows): TimelineEntry[] =>
  roundsOfRecord(record).flatMap((round) =>
    round.calls.flatMap((call) => {
      const shownCall = round.steps.flatMap(({ calls }) => calls).find(({ id }) => id === call.callId);
      const at: CallTimes = {
        record,
        round,
        call,
        output: shownCall?.function.output ?? null,
        approval: record.approvals.find((one) => one.round === round.number && one.callId === call.callId),
        start: round.answeredAt ?? record.createdAt,
      };
      return [waitEntry(at), toolEntry(at)].filter((entry) => entry !== null);
    }),
  );

export const decisionEntries = ({ decisions }: RunRows): TimelineEntry[] =>
  inOrderMade(decisions, (one) => one).map((one) => ({
    id: `decision:${one.id}`,
    kind: 'decision',
    start_ms: one.at,
    end_ms: one.at,
    round: one.round === 0 ? null : one.round,
    source: 'store',
    call_id: one.callId,
    tool: one.name,
    decision: one.decision,
    by: one.by ?? null,
    verified: one.verified === true,
    door: one.door,
    edited: one.editedArguments !== undefined,
    late: one.late === true,
    undecided: one.undecided === true,
    in_place_of: one.inPlaceOf ?? null,
    to: one.to ?? null,
    reason: one.reason ?? null,
    note: one.note ?? null,
    refused: one.refused?.message ?? one.refusedEdit ?? null,
  }));
