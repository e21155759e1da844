/**
 * The finished rounds of a run and the assistant's messages between them, as lines for people.
 *
 * Rule: pure; one call takes a few lines however long its texts are. Foreign text is escaped before it reaches a
 * terminal. Imported by `view.ts`.
 */
import type { LateAnswerRun, HistoryCall, HistoryRound, RunOrigin } from '../../client/index.ts';
import { visible } from '../../protocol/rules/visible.ts';
import { duration, oneLine } from './format.ts';

/** A message of the assistant in the run. */
export interface RunMessage {
  /** How many rounds were over before it. */
  afterRound: number;
  text: string;
}

export interface Story {
  rounds: readonly HistoryRound[];
  messages: readonly RunMessage[];
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

/** The follow-up runs of late answers. */
export const followUpLines = ({ followUps = [] }: Story): string[] =>
  followUps.map(
    ({ callId, runId, started }) =>
      `  → the late answer to ${oneLine(callId, 64)} ${started ? 'goes on' : 'is to go on'} in ${runId}`,
  );

const TEXT_CHARS = 200;
const shown = (text: string): string => oneLine(visible(text), TEXT_CHARS);

const mark = ({ ok, output }: HistoryCall): string => (ok === false || output === null ? '✗' : '✓');

const outcomeText = ({ kind, ok, output, attempts, lastFailure, ms }: HistoryCall): string => {
  if (output === null) return attempts > 0 ? 'was given up' : 'was not answered';
  const did = kind === 'refused' ? 'refused' : ok === false ? 'failed' : attempts > 0 ? 'done' : 'answered';
  const tries = attempts > 1 ? `, ${attempts} attempts` : '';
  const time = ms === null ? '' : `, ${duration(ms)}`;
  return `${did}${tries}${time}${lastFailure === null ? '' : `, last failure: ${shown(lastFailure)}`}`;
};

const callLines = (call: HistoryCall): string[] => [
  `    ${mark(call)} ${oneLine(visible(call.name), 64)}  ${call.callId}  ${outcomeText(call)}`,
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

/** `live`: the current round, which is shown elsewhere; null = all rounds are over. */
export const roundLines = ({ rounds, messages }: Story, live: number | null): string[] => {
  const over = rounds.filter(({ round }) => round !== live);
  return [
    ...over.flatMap((one) => [
      ...messageLines(messages, one.round - 1, one.round),
      `  round ${one.round}${turnText(one.turn)}`,
      ...one.calls.flatMap(callLines),
    ]),
    ...messageLines(messages, over.at(-1)?.round ?? 0, Infinity),
  ];
};
