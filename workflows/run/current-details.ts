/**
 * What a person reads on the run's page: who is asked for what, by when, and what to paste.
 *
 * Rule: everything the model wrote is data: it stands in code blocks that it can't close, never as markdown. Built anew
 * after every step and kept in memory only; no event is spent on it.
 * Pure; imports the state only.
 */
import type { OnDeadline } from '../../protocol/tool-calls.ts';
import type { UnusedAnswer } from '../../protocol/temporal/messages.ts';
import { answerBy } from './deadline.ts';
import { assertNever } from './effects.ts';
import { apiStatus, phaseOf, waitingCalls } from './state.ts';
import type { CallState, MachineState } from './state.ts';
import { MAX_SHOWN_ARGUMENTS_CHARS } from './timeouts.ts';

/** A code block whose fence is longer than any run of backticks inside. */
export const codeFence = (text: string, language = ''): string => {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
};

/** A name or id inside a line. */
const inline = (text: string): string => {
  const clean = text.replaceAll(/[`\r\n]/g, ' ').trim();
  return `\`${clean.length > 128 ? `${clean.slice(0, 128)}…` : clean}\``;
};

const utc = (at: number): string =>
  new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');

const pretty = (json: string): string => {
  let text = json;
  try {
    text = JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    // Shown as the model wrote it.
  }
  return text.length > MAX_SHOWN_ARGUMENTS_CHARS
    ? `${text.slice(0, MAX_SHOWN_ARGUMENTS_CHARS)}\n… ${text.length - MAX_SHOWN_ARGUMENTS_CHARS} more characters`
    : text;
};

const AT_DEADLINE: Record<OnDeadline, string> = {
  fail: 'the run expires',
  placeholder: 'the model goes on without an answer',
  'follow-up': 'the model goes on without an answer, and a later answer starts a new run on the thread',
};

export const waitingCallDetails = (
  call: Pick<CallState, 'callId' | 'name' | 'arguments' | 'plan'>,
  deadline: number | null,
): string => {
  const { plan } = call;
  const approval = plan.kind === 'approval';
  const by = 'your name';
  const answers = approval
    ? [
        paste('To approve:', { call_id: call.callId, decision: 'approve', by }),
        paste('To deny:', { call_id: call.callId, decision: 'deny', reason: 'why', by }),
        paste('To approve with arguments of your own:', {
          call_id: call.callId,
          decision: 'approve',
          arguments: shortArguments(call.arguments),
          by,
        }),
      ]
    : [paste('', { call_id: call.callId, output: 'your answer', by })];
  const onDeadline =
    plan.kind === 'approval' || plan.kind === 'external' ? AT_DEADLINE[plan.wait.onDeadline] : '';
  return [
    `### ${inline(call.name)} ${approval ? 'waits for approval' : 'waits for an output'}`,
    `Call ${inline(call.callId)}, ${
      deadline === null ? 'no deadline' : `answer by **${utc(deadline)}**, then ${onDeadline}`
    }. Arguments:`,
    codeFence(pretty(call.arguments), 'json'),
    `Answer by *More Actions*, *Send an Update*, \`answer\`, with ${approval ? 'one of these' : 'this'} as data (the signal of that name works too, without a reply).`,
    ...answers,
  ].join('\n\n');
};

/** One JSON object to paste, laid out as the Web UI's editor would, whose buttons then stay where they are. */
const paste = (label: string, answer: object): string =>
  `${label === '' ? '' : `${label}\n\n`}${codeFence(JSON.stringify(answer, null, 2), 'json')}`;

/** The model's arguments to edit, or nothing where they are no JSON object or too long to be shown twice. */
const shortArguments = (json: string): unknown => {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && json.length <= MAX_SHOWN_ARGUMENTS_CHARS / 4
      ? value
      : {};
  } catch {
    return {};
  }
};

const REASONS: Record<UnusedAnswer['reason'], string> = {
  expired: 'the run had expired',
  cancelled: 'the run was cancelled',
  failed: 'the run failed',
  superseded: 'somebody else answered the round',
  malformed: 'not one JSON object of the shape shown here',
  unknown_call: 'no such call in this run',
  conflict: 'the call was answered before, differently',
  wrong_kind: 'output for an approval, or a decision for a call that needs an output',
  too_late: 'the call takes no answer any more',
};

export const rejectedSignalsText = (unusable: MachineState['unusable']): string =>
  [
    `**${unusable.count} signal${unusable.count === 1 ? '' : 's'} could not be used.** The latest:`,
    unusable.latest
      .map(
        ({ callId, reason, at, by }) =>
          `- ${utc(at)}: ${callId === '' ? 'no call named' : `call ${inline(callId)}`}${
            by === undefined ? '' : `, by ${inline(by)}`
          }: ${REASONS[reason]}`,
      )
      .join('\n'),
  ].join('\n\n');

const heading = (state: MachineState): string => {
  const phase = phaseOf(state);
  const round = state.round === 0 ? '' : `, round ${state.round}`;
  switch (phase) {
    case 'starting':
    case 'creating':
      return 'The run is being started.';
    case 'calling': {
      const running = state.calls
        .filter((call) => call.status === 'running')
        .map((call) => inline(call.name));
      return running.length === 0
        ? `Waiting${round}.`
        : `Running ${running.slice(0, 10).join(', ')}${running.length > 10 ? ` and ${running.length - 10} more` : ''}${round}.`;
    }
    case 'submitting':
      return `All outputs of round ${state.round} are submitted; the model is working.`;
    case 'following':
      return `${state.expiresAt === null ? 'No expiry is known' : 'The expiry has come'}${round}; asking the server how the run stands.`;
    case 'closing':
      return state.ending === null ? 'The run is being ended.' : `The run has ended: ${apiStatus(state)}.`;
    case 'ended':
      return `The run has ended: ${apiStatus(state)}.`;
    default:
      return assertNever(phase);
  }
};

/** Has nothing changed but what could not be used? That comes in floods. */
export const onlyRejectedSignals = (before: MachineState, after: MachineState): boolean =>
  (Object.keys(after) as (keyof MachineState)[]).every(
    (key) => key === 'unusable' || before[key] === after[key],
  );

/** Markdown. */
export const currentDetails = (state: MachineState): string =>
  [
    heading(state),
    ...waitingCalls(state).map((call) => waitingCallDetails(call, answerBy(state, call))),
    ...(state.ending === null
      ? state.late.filter((call) => call.given === undefined).map((call) => waitingCallDetails(call, null))
      : []),
    ...(state.unusable.count === 0 ? [] : [rejectedSignalsText(state.unusable)]),
  ].join('\n\n');
