/**
 * A run as lines for people: what it is, what runs where, which calls wait and until when, how it ended.
 *
 * Rule: pure; `show`, `watch`, `start --wait` and the demo print the same words. Foreign text is escaped before it
 * reaches a terminal.
 */
import type { CallSnapshot, RunResult, RunSnapshot } from '../../protocol/temporal/messages.ts';
import { decisionLine, signedBy } from '../decisions-view.ts';
import { answerCommands, argumentLines } from './call-arguments.ts';
import { shortCall } from '../short-codes.ts';
import { voteLines } from './votes.ts';
import { duration, oneLine } from './format.ts';
import { followUpLines, originLines, roundLines, turnUsageLines, type Story } from './rounds.ts';
import { costText } from './usage.ts';

/** A running activity, as Temporal reports it: a run's snapshot has neither attempts nor the last failure. */
export interface PendingWork {
  /** Activity type: `tool.<name>`, `createRun`, … */
  type: string;
  /** The call that it runs, for a tool. */
  callId: string | null;
  attempt: number;
  /** 0 = no limit. */
  maximumAttempts: number;
  /** Unix ms of the next attempt, while it waits for it. */
  nextAttemptAt: number | null;
  lastFailure: string | null;
  /** The worker that has or last had it; null = none yet. */
  worker: string | null;
  /** Unix ms of the start of the running attempt; null = none runs. */
  startedAt: number | null;
}

export interface ViewOptions {
  /** Unix ms. */
  now: number;
  pending?: readonly PendingWork[];
  /** The user's command: `runs`, or with an environment in front; null = print no commands. Default `runs`. */
  command?: string | null;
  /** Calls by their codes, not by their ids. Default false. */
  short?: boolean;
  /** The models that spoke, in order. Default: not known. */
  models?: readonly string[];
  /** Show all rounds and messages. Default: only the current round. */
  story?: Story;
}

export const runLines = (run: RunSnapshot, options: ViewOptions): string[] => {
  const { story, models = [] } = options;
  const lines = [headline(run, options)];
  const where = [
    run.threadId === null ? null : `thread ${run.threadId}`,
    `assistant ${run.assistantId}`,
    `backend ${run.backend}`,
    models.length === 0 ? null : `model ${models.map((model) => oneLine(model, 128)).join(', then ')}`,
  ];
  lines.push(`  ${where.filter((part) => part !== null).join(' · ')}`);
  const live = run.result === null && run.calls.length > 0 ? run.round : null;
  if (story !== undefined) lines.push(...originLines(story), ...roundLines(story, live));
  // When the rounds are listed, the last one is not repeated for an ended run.
  if (story === undefined || live !== null)
    for (const call of run.calls) lines.push(...callLines(run, call, options));
  lines.push(...turnLines(run, options));
  for (const decision of run.decisions ?? []) lines.push(`  § ${decisionLine(decision)}`);
  lines.push(...unusableLines(run));
  if (story !== undefined) lines.push(...turnUsageLines(story));
  if (run.result !== null) lines.push(...resultLines(run.result).map((line) => `  ${line}`));
  if (story !== undefined) lines.push(...followUpLines(story));
  return lines;
};

/**
 * What goes on now, for a block that is redrawn: calls by their codes, nothing to paste. The rounds that are over, and the
 * last one of an ended run, stand above the block.
 */
export const boardLines = (run: RunSnapshot, options: ViewOptions): string[] => {
  if (run.result !== null) {
    const [first = '', ...more] = resultLines(run.result);
    return [`${run.runId}  ${first}`, ...more.map((line) => `  ${line}`)];
  }
  const bare = { ...options, command: null, short: true };
  return [
    headline(run, options),
    ...run.calls.flatMap((call) => callLines(run, call, bare)),
    ...turnLines(run, options),
    ...unusableLines(run),
  ];
};

const turnLines = (run: RunSnapshot, { pending = [], now }: ViewOptions): string[] =>
  pending
    .filter(({ callId }) => callId === null)
    .map((work) => `  … ${workText(run, work)}${timeText(work, now)}${attemptText(work, now)}`);

const unusableLines = ({ unusable: { count, latest } }: RunSnapshot): string[] => {
  if (count === 0) return [];
  const last = latest.at(-1);
  const which = last === undefined ? '' : `, the last one for ${oneLine(last.callId)}: ${last.reason}`;
  return [`  ! ${count} answer${count === 1 ? '' : 's'} could not be used${which}`];
};

/** Backend work during which the run proceeds. */
const TURNS: ReadonlySet<string> = new Set(['createRun', 'submitToolOutputs', 'followRun']);

/** An activity that is no tool, in words. */
export const workText = (
  { backend }: Pick<RunSnapshot, 'backend'>,
  { type, worker }: PendingWork,
): string => {
  if (!TURNS.has(type)) return type;
  if (worker === null) return 'waits for a worker';
  return backend === 'chat' ? 'the model is working' : 'the server is working';
};

const timeText = ({ startedAt }: PendingWork, now: number): string =>
  startedAt === null || now - startedAt < 1_000 ? '' : ` for ${duration(now - startedAt)}`;

const headline = (run: RunSnapshot, { now }: ViewOptions): string => {
  const parts: string[] = [run.status];
  if (run.round > 0) parts.push(`round ${run.round}`);
  if (run.result === null && run.expiresAt !== null) {
    parts.push(run.expiresAt > now ? `${duration(run.expiresAt - now)} left` : 'past its deadline');
  }
  return `${run.runId}  ${parts.join(' · ')}`;
};

const callLines = (run: RunSnapshot, call: CallSnapshot, options: ViewOptions): string[] => {
  const work = options.pending?.find((item) => item.callId === call.callId);
  const code = shortCall(run.runId, call.callId);
  const id = options.short !== true ? call.callId : call.state === 'waiting' ? code : '';
  const name = `${oneLine(call.name, 64)}${id === '' ? '' : `  ${id}`}`;
  // The run has ended or can no longer be answered.
  if (run.result !== null && call.state !== 'done')
    return [`  ✗ ${name}  ${call.state === 'waiting' ? 'was not answered' : 'did not finish'}`];
  if (call.state === 'running') {
    return [`  ↻ ${name}  running${work === undefined ? '' : attemptText(work, options.now)}`];
  }
  if (call.state === 'done') {
    const notes = (call.notes ?? []).join(', ');
    const by = call.by === undefined ? '' : ` ${signedBy(call.by, call.verified)}`;
    return [
      `  ${call.ok === false ? '✗' : '✓'} ${name}  ${call.ok === false ? 'failed' : 'done'}${by}${notes === '' ? '' : ` (${notes})`}`,
    ];
  }
  return [
    `  ? ${name}  ${waitText(call, options.now)}`,
    ...voteLines(call).map((line) => `      ${line}`),
    ...waitingLinesOf(run.runId, call, options.command),
  ];
};

/** The question of a waiting call: its arguments, and the commands that answer it, unless none are to be printed. */
export const waitingLinesOf = (
  runId: string,
  call: CallSnapshot,
  command: string | null | undefined = 'runs',
): string[] =>
  command === null
    ? []
    : [...argumentLines(runId, call, { command }), ...answerCommands(runId, call, command)].map(
        (line) => `      ${line}`,
      );

/** What the policies of a tool's `onDeadline` do. */
export const AFTER_DEADLINE: Record<NonNullable<CallSnapshot['onDeadline']>, string> = {
  fail: 'the run expires',
  placeholder: 'the model reads that no answer came',
  'follow-up': 'the run goes on, and a late answer starts a new one',
};

const waitText = (call: CallSnapshot, now: number): string => {
  const again = call.refusedEdit === undefined ? '' : ' again';
  const whom = `waits for an ${call.kind === 'approval' ? 'approval' : 'answer'}${again}`;
  if (call.answerBy === null || call.answerBy === undefined) return whom;
  const then = call.onDeadline === undefined ? '' : `, then ${AFTER_DEADLINE[call.onDeadline]}`;
  return `${whom}, ${duration(call.answerBy - now)} left${then}`;
};

const attemptText = (work: PendingWork, now: number): string => {
  const of = work.maximumAttempts > 0 ? ` of ${work.maximumAttempts}` : '';
  const attempt = work.attempt > 1 || work.maximumAttempts > 1 ? `, attempt ${work.attempt}${of}` : '';
  const wait = (work.nextAttemptAt ?? 0) - now;
  const next = wait > 0 ? `, next in ${duration(wait)}` : '';
  const failure = work.lastFailure === null ? '' : `, last failure: ${oneLine(work.lastFailure, 120)}`;
  return `${attempt}${next}${failure}`;
};

export const resultLines = (result: RunResult): string[] => {
  const calls = result.calls.length;
  const failed = result.calls.filter((call) => !call.ok).length;
  const parts = [
    result.status,
    `${result.rounds} round${result.rounds === 1 ? '' : 's'}`,
    `${calls} call${calls === 1 ? '' : 's'}${failed > 0 ? `, ${failed} failed` : ''}`,
  ];
  if (result.usage !== null) parts.push(`${result.usage.totalTokens} tokens${costText(result.usage, ', ')}`);
  const lines = [parts.join(' · ')];
  if (result.lastError !== undefined)
    lines.push(`error ${result.lastError.code}: ${oneLine(result.lastError.message, 300)}`);
  if (result.incompleteDetails?.reason !== undefined)
    lines.push(`incomplete: ${result.incompleteDetails.reason}`);
  for (const unused of result.unusedAnswers)
    lines.push(
      `answer to ${oneLine(unused.callId)}${unused.by === undefined ? '' : ` by ${oneLine(unused.by, 60)}`} was not used: ${unused.reason}`,
    );
  if (result.followUp !== undefined) lines.push(`late answers go on in ${result.followUp}`);
  return lines;
};
