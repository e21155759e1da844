/**
 * The current details of a run in the Web UI: each call that waits, its deadline, and the JSON to paste.
 *
 * Rule: text from the model is data. It stands in code blocks that it cannot close, never as markdown. The details are
 * rebuilt after every step and kept in memory; they cost no history event.
 * Pure; imports the state only.
 */
import type { OnDeadline, RefusedEdit } from '../../protocol/tool-calls.ts';
import { ARGUMENT_LIMITS } from '../../protocol/limits.ts';
import { showArguments, showValue, wrapShown } from '../../protocol/rules/show-arguments.ts';
import type { ShownArguments } from '../../protocol/rules/show-arguments.ts';
import { parseArguments } from '../../protocol/rules/tool-arguments.ts';
import type { JsonObject } from '../../protocol/rules/tool-arguments.ts';
import { visible } from '../../protocol/rules/visible.ts';
import type { AnswerDoor, Decision, DecisionKind } from '../../protocol/decisions.ts';
import type { UnusedAnswer } from '../../protocol/temporal/messages.ts';
import { ballotDetails } from './ballot-details.ts';
import { answerBy } from './deadline.ts';
import { codeFence, inline, utc } from './details-text.ts';
import { assertNever } from './effects.ts';
import { apiStatus, phaseOf, waitingCalls } from './state.ts';
import type { CallState, MachineState } from './state.ts';
import {
  DECISIONS_SHOWN,
  DETAILS_COLUMNS,
  MAX_DETAILS_CHARS,
  MAX_EDITABLE_CHARS,
  MIN_SHOWN_CHARS,
} from './timeouts.ts';

const AT_DEADLINE: Record<OnDeadline, string> = {
  fail: 'the run expires',
  placeholder: 'the model goes on without an answer',
  'follow-up': 'the model goes on without an answer, and a later answer starts a new run on the thread',
};

type Asked = Pick<
  CallState,
  'callId' | 'name' | 'arguments' | 'plan' | 'argumentsDigest' | 'digestRequired' | 'refusedEdit' | 'ballot'
>;
type Where = Pick<MachineState, 'about' | 'threadId'>;

/** One call as markdown. `most`: about how many characters of its arguments are shown. */
const waitingCallDetails = (
  state: Where,
  call: Asked,
  deadline: number | null,
  most: number = ARGUMENT_LIMITS.shownChars,
): string => {
  const { plan } = call;
  const approval = plan.kind === 'approval';
  const shownArguments = showArguments(call.arguments, most);
  const onDeadline =
    plan.kind === 'approval' || plan.kind === 'external' ? AT_DEADLINE[plan.wait.onDeadline] : '';
  return [
    `### ${inline(call.name)} ${approval ? 'waits for approval' : 'waits for an output'}`,
    ...(shownArguments.shortened > 0 ? [notWhole(state, call, shownArguments)] : []),
    ...(call.refusedEdit === undefined ? [] : [refusedText(call.refusedEdit)]),
    `Call ${inline(call.callId)}, ${
      deadline === null ? 'no deadline' : `answer by **${utc(deadline)}**, then ${onDeadline}`
    }. ${
      shownArguments.problem === undefined
        ? 'Arguments, written by the model'
        : "The model's text is not valid arguments. The reason, and the text as one string"
    }${call.argumentsDigest === undefined ? '' : `, digest \`${call.argumentsDigest}\``}:`,
    ...(shownArguments.problem === undefined ? [] : [codeFence(shownArguments.problem)]),
    codeFence(wrapShown(shownArguments.text, DETAILS_COLUMNS).join('\n'), 'json'),
    ...(plan.kind === 'approval' ? ballotDetails(plan.approvers, call.ballot, plan.requestedBy) : []),
    `To answer: *More Actions*, *Send an Update*, \`answer\`, with ${approval ? 'one of these' : 'this'} as data. The signal \`answer\` works too, but gives no reply.`,
    ...pastes(call, shownArguments),
  ].join('\n\n');
};

/** The first line of a call. */
const notWhole = ({ about, threadId }: Where, call: Asked, { shortened }: ShownArguments): string => {
  const path = `/v1/threads/${threadId ?? ''}/runs/${about.runId}/calls/${call.callId}`;
  const api = about.backend === 'chat' ? `, or ${inline(`GET ${path}`)} of the API` : '';
  return `**The arguments are not shown in full: ${shortened} of their values ${shortened === 1 ? 'is' : 'are'} shortened.** The full arguments: ${inline(`runs show ${about.runId} --call ${call.callId}`)}${api}. Read them before you decide.`;
};

const refusedText = ({ count, problem, at, by }: RefusedEdit): string =>
  [
    `**${count === 1 ? 'An approval was' : `${count} approvals were`} not used: ${count === 1 ? 'its arguments' : 'the arguments of the last one'} do not match the tool's parameters.** The tool has not run. ${utc(at)}${by === undefined ? '' : `, by ${inline(by)}`}, the tool's check reported:`,
    codeFence(visible(problem)),
  ].join('\n\n');

const pastes = (call: Asked, shownArguments: ShownArguments): string[] => {
  const by = 'your name';
  const digest = call.argumentsDigest === undefined ? {} : { arguments_digest: call.argumentsDigest };
  if (call.plan.kind !== 'approval') return [paste('', { call_id: call.callId, output: 'your answer', by })];
  return [
    paste('To approve:', { call_id: call.callId, decision: 'approve', ...digest, by }),
    paste('To deny:', { call_id: call.callId, decision: 'deny', reason: 'why', by }),
    paste(
      'To approve with other arguments, all of them (the workflow refuses arguments that do not match the parameters of the tool, and the call keeps waiting):',
      {
        call_id: call.callId,
        decision: 'approve',
        arguments: toEdit(call.arguments, shownArguments),
        ...digest,
        by,
      },
    ),
  ];
};

/** One JSON object to paste, formatted as the Web UI's editor formats it, so that its buttons do not move. */
const paste = (label: string, answer: JsonObject): string =>
  `${label === '' ? '' : `${label}\n\n`}${codeFence(showValue(answer, Infinity).text, 'json')}`;

/** The model's arguments, to be edited; empty when they are not JSON or too long to show a second time. */
const toEdit = (json: string, { text, shortened }: ShownArguments): JsonObject => {
  if (shortened > 0 || text.length > MAX_EDITABLE_CHARS) return {};
  const parsed = parseArguments(json);
  return parsed.ok ? parsed.value : {};
};

const REASONS: Record<UnusedAnswer['reason'], string> = {
  expired: 'the run had expired',
  cancelled: 'the run was cancelled',
  failed: 'the run failed',
  superseded: 'another client submitted the outputs of the round',
  malformed: 'the signal is not one JSON object of the shape shown here',
  unknown_call: 'no such call in this run',
  conflict: 'the call was answered before, with another answer',
  wrong_kind:
    'it has an output for a call that needs a decision, or a decision for a call that needs an output',
  not_allowed: 'the API key may not decide calls of this tool',
  too_late: 'the call no longer takes an answer',
  arguments_refused:
    'the arguments of the approval do not match the parameters of the tool; the call keeps waiting',
  no_vote: 'the policy of the tool gives the sender no vote; the call keeps waiting',
  undecided: 'the votes were too few when the deadline passed',
  digest_refused: 'the decision names other arguments than those of this call; the call keeps waiting',
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
      return `${state.expiresAt === null ? 'The run has no known expiry' : 'The run has reached its expiry'}${round}; reading the status of the run from the server.`;
    case 'closing':
      return state.ending === null ? 'The run is being ended.' : `The run has ended: ${apiStatus(state)}.`;
    case 'ended':
      return `The run has ended: ${apiStatus(state)}.`;
    default:
      return assertNever(phase);
  }
};

const ANSWER_SOURCE_TEXTS: Record<AnswerDoor, string> = {
  http: 'the HTTP API',
  cli: 'the command line',
  temporal_update: 'an update sent to Temporal',
  temporal_signal: 'a signal sent to Temporal',
  workflow: 'a timer of the run',
};

const NO_VOTES: Record<Exclude<DecisionKind, 'approve' | 'deny'>, string> = {
  delegate: 'handed over',
  remind: 'reminded',
  escalate: 'escalated',
  comment: 'commented',
};

const verb = ({ decision, editedArguments, refusedEdit, undecided, to }: Decision): string => {
  if (refusedEdit !== undefined) return 'waits again: the tool refused the arguments of its approval';
  if (decision !== 'approve' && decision !== 'deny') {
    const names = [...(to?.people ?? []), ...(to?.groups ?? [])].map((name) => inline(name)).join(', ');
    return `${NO_VOTES[decision]}${names === '' ? '' : ` to ${names}`}`;
  }
  const vote = undecided === true ? ', one vote of several,' : '';
  if (decision === 'deny') return `denied${vote}`;
  return `${editedArguments === undefined ? 'approved' : 'approved with other arguments'}${vote}`;
};

const decided = (decision: Decision): string => {
  const { callId, name, at, door, by, verified } = decision;
  if (door === 'workflow')
    return `- ${utc(at)}: call ${inline(callId)} of ${inline(name)} ${verb(decision)}, by ${ANSWER_SOURCE_TEXTS[door]}`;
  const who =
    by === undefined
      ? 'without a name'
      : `by ${inline(by)}${verified === true ? ' (API key)' : ' (not verified)'}`;
  return `- ${utc(at)}: call ${inline(callId)} of ${inline(name)} ${verb(decision)} ${who}, over ${ANSWER_SOURCE_TEXTS[door]}`;
};

/** The latest decisions, oldest first. A name that no API key vouches for is marked as not verified. */
export const decisionsText = (decisions: readonly Decision[]): string => {
  const left = decisions.length - DECISIONS_SHOWN;
  return [
    `**Decisions**${left > 0 ? `, the latest ${DECISIONS_SHOWN} of ${decisions.length}` : ''}`,
    decisions.slice(-DECISIONS_SHOWN).map(decided).join('\n'),
  ].join('\n\n');
};

/** True when only the list of rejected signals changed. Rejected signals can arrive in thousands. */
export const onlyRejectedSignals = (before: MachineState, after: MachineState): boolean =>
  (Object.keys(after) as (keyof MachineState)[]).every(
    (key) => key === 'unusable' || before[key] === after[key],
  );

/** About how many characters of arguments each of `count` calls may show. */
const share = (calls: number): number =>
  Math.max(
    MIN_SHOWN_CHARS,
    Math.min(ARGUMENT_LIMITS.shownChars, Math.floor(MAX_DETAILS_CHARS / Math.max(1, calls))),
  );

/** Shows calls with their arguments while the page has room; the remaining calls by name only. */
export const waitingCallsDetails = (
  state: Where,
  calls: readonly (readonly [call: Asked, deadline: number | null])[],
): string[] => {
  let left = MAX_DETAILS_CHARS;
  const texts: string[] = [];
  for (const [call, deadline] of calls) {
    const text = waitingCallDetails(state, call, deadline, share(calls.length));
    left -= text.length;
    if (left < 0 && texts.length > 0) break;
    texts.push(text);
  }
  const rest = calls.slice(texts.length);
  if (rest.length > 0)
    texts.push(
      [
        `### ${rest.length} more calls wait; this page has no room for them`,
        `Answer the calls above first, or show each with \`runs show ${state.about.runId} --call CALL\`:`,
        rest.map(([call]) => `- ${inline(call.name)}, call ${inline(call.callId)}`).join('\n'),
      ].join('\n\n'),
    );
  return texts;
};

/** Markdown. */
export const currentDetails = (state: MachineState): string =>
  [
    heading(state),
    ...waitingCallsDetails(state, [
      ...waitingCalls(state).map((call) => [call, answerBy(state, call)] as const),
      ...(state.ending === null
        ? state.late.filter((call) => call.given === undefined).map((call) => [call, null] as const)
        : []),
    ]),
    ...(state.decisions === undefined ? [] : [decisionsText(state.decisions)]),
    ...(state.unusable.count === 0 ? [] : [rejectedSignalsText(state.unusable)]),
  ].join('\n\n');
