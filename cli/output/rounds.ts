/**
 * The finished rounds of a run and the assistant's messages between them, as lines for people.
 *
 * Rule: one call takes a few lines however long its texts are. Foreign text is escaped before it reaches a terminal.
 * Imported by `view.ts`, `watch` and the demo.
 */
import type { LateAnswerRun, HistoryCall, HistoryRound, RunOrigin } from '../../client/index.ts';
import { visible } from '../../protocol/rules/visible.ts';
import type { RunSnapshot } from '../../protocol/temporal/messages.ts';
import type { WireUsage } from '../../protocol/wire/objects.ts';
import { duration, oneLine, wrapped } from './format.ts';
import { costText, tokenText } from './usage.ts';

/** A message of the assistant in the run. */
export interface RunMessage {
  /** How many rounds were over before it. */
  afterRound: number;
  text: string;
}

export interface Story {
  rounds: readonly HistoryRound[];
  messages: readonly RunMessage[];
  /** The usage of each turn that was counted, oldest first. Default: not known. */
  turns?: readonly WireUsage[];
  /** Follow-up runs that carry late answers of this one. Default none. */
  followUps?: readonly LateAnswerRun[];
  /** The run whose late answer this one carries. Default none. */
  origin?: RunOrigin | null;
}

/** Where the run comes from. */
export const originLines = ({ origin = null }: Story): string[] =>
  origin === null
    ? []
    : [
        `  ← carries the late answer to ${origin.callIds.map((id) => oneLine(id, 64)).join(', ')} of ${oneLine(origin.runId, 80)}`,
      ];

/** What each turn of the model used. */
export const turnUsageLines = ({ turns = [] }: Story): string[] =>
  turns.map((usage, index) => {
    const model = usage.model === undefined ? '' : `${oneLine(usage.model, 60)}  `;
    return `  turn ${index + 1}  ${model}${tokenText(usage)}${costText(usage, ' · ')}`;
  });

/** The follow-up runs of late answers. */
export const followUpLines = ({ followUps = [] }: Story): string[] =>
  followUps.map(
    ({ callId, runId, started }) =>
      `  → the late answer to ${oneLine(callId, 64)} ${started ? 'is in' : 'will be in'} ${runId}`,
  );

const TEXT_CHARS = 200;
const shown = (text: string): string => oneLine(visible(text), TEXT_CHARS);

/** A denial's output is the run's own, since no tool ran. */
const isDenied = ({ kind, output, attempts }: HistoryCall): boolean =>
  kind === 'approval' && attempts === 0 && output !== null && errorType(output) === 'denied';

const errorType = (output: string): unknown => {
  try {
    const { error } = JSON.parse(output) as { error?: { type?: unknown } };
    return error?.type;
  } catch {
    return undefined;
  }
};

const mark = (call: HistoryCall): string =>
  call.ok === false || call.output === null || isDenied(call) ? '✗' : '✓';

const outcomeText = (call: HistoryCall): string => {
  const { kind, ok, output, attempts, ms } = call;
  if (output === null) return attempts > 0 ? 'did not finish' : 'was not answered';
  if (isDenied(call)) return 'denied';
  const did = kind === 'refused' ? 'refused' : ok === false ? 'failed' : attempts > 0 ? 'done' : 'answered';
  const tries = attempts > 1 ? `, ${attempts} attempts` : '';
  const time = ms === null ? '' : `, ${duration(ms)}`;
  return `${did}${tries}${time}`;
};

/** `ids`: with the call's id, which a person at a terminal has no use for. */
const callLines = (call: HistoryCall, ids: boolean): string[] => [
  `    ${mark(call)} ${oneLine(visible(call.name), 64)}  ${ids ? `${call.callId}  ` : ''}${outcomeText(call)}`,
  ...(call.lastFailure === null ? [] : [`        last failure: ${shown(call.lastFailure)}`]),
  `        arguments ${shown(call.arguments)}`,
  ...(call.output === null ? [] : [`        output ${shown(call.output)}`]),
];

const turnText = ({ attempts, lastFailure }: HistoryRound['turn']): string =>
  attempts > 1
    ? ` · asked for in attempt ${attempts}${lastFailure === null ? '' : `, last failure: ${shown(lastFailure)}`}`
    : '';

const messageLines = (messages: readonly RunMessage[], from: number, to: number): string[] =>
  messages
    .filter(({ afterRound }) => afterRound >= from && afterRound < to)
    .map(({ text }) => `  assistant: ${shown(text)}`);

const lines = (one: HistoryRound, ids: boolean): string[] => [
  `  round ${one.round}${turnText(one.turn)}`,
  ...one.calls.flatMap((call) => callLines(call, ids)),
];

/** `live`: the current round, which is shown elsewhere; null = all rounds are over. */
export const roundLines = ({ rounds, messages }: Story, live: number | null): string[] => {
  const over = rounds.filter(({ round }) => round !== live);
  return [
    ...over.flatMap((one) => [...messageLines(messages, one.round - 1, one.round), ...lines(one, true)]),
    ...messageLines(messages, over.at(-1)?.round ?? 0, Infinity),
  ];
};

/** What a terminal says of each round when it is over, once. `history` is asked when there is a new one. */
export const finishedRounds = (
  history: (runId: string) => Promise<readonly HistoryRound[]>,
  columns: () => number,
): ((run: RunSnapshot) => Promise<string[]>) => {
  let told = 0;
  return async ({ runId, round: current, result }) => {
    const over = result === null ? current - 1 : current;
    if (over <= told) return [];
    const rounds = await history(runId);
    const fresh = rounds.filter(({ round }) => round > told && round <= over);
    told = over;
    return fresh.flatMap((one) => lines(one, false)).flatMap((line) => wrapped(line, columns()));
  };
};
