/**
 * Decisions as lines for people: who decided what, when, through which channel, and which arguments ran.
 *
 * Rule: pure. A name without an API key is marked as not verified; foreign text is escaped before it reaches a
 * terminal. Imported by `show`, `watch` and `decisions`.
 */
import type { Decision } from '../protocol/decisions.ts';
import type { RunDecision } from '../protocol/wire/decisions.ts';
import { showArguments, wrapShown } from '../protocol/rules/show-arguments.ts';
import { oneLine } from './output/format.ts';

/** Fits a terminal of 80 columns. */
const COLUMNS = 70;

export const signedBy = (by: string, verified: boolean | undefined): string =>
  `by ${oneLine(by, 60)} (${verified === true ? 'API key' : 'not verified'})`;

const utc = (at: number): string =>
  new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');

const VERBS: Record<Decision['decision'], string> = {
  approve: 'approved',
  deny: 'denied',
  delegate: 'handed over',
  remind: 'reminded of',
  escalate: 'escalated',
  comment: 'commented on',
};

const verdictOf = ({ refusedEdit, refused, decision, undecided }: Decision): string => {
  if (refused !== undefined) return `REFUSED, nothing was decided: ${decision}`;
  if (refusedEdit !== undefined) return 'refused by the tool, waits again:';
  const vote = decision === 'approve' || decision === 'deny' ? 'one vote of several: ' : '';
  return `${undecided === true ? vote : ''}${VERBS[decision]}`;
};

/** To whom a decision was handed over, or escalated. */
const toText = ({ to }: Decision): string[] =>
  to === undefined
    ? []
    : [
        `to ${[...to.people, ...to.groups.map((group) => `@${group}`)].map((name) => oneLine(name, 60)).join(', ')}`,
      ];

const senderText = ({ by, verified, door, inPlaceOf }: Decision): string => {
  if (door === 'workflow') return 'by a timer,';
  const place = inPlaceOf === undefined ? '' : ` in place of ${oneLine(inPlaceOf, 60)}`;
  return by === undefined ? `without a name${place},` : `${signedBy(by, verified)}${place},`;
};

/** One line: `approved call_1 (refund) with other arguments by alice (API key), 2026-11-26 14:00:00 UTC, http`. */
export const decisionLine = (decision: Decision): string =>
  [
    verdictOf(decision),
    oneLine(decision.callId, 64),
    `(${oneLine(decision.name, 64)})`,
    ...(decision.editedArguments === undefined ? [] : ['with other arguments']),
    ...toText(decision),
    senderText(decision),
    `${utc(decision.at)}, ${decision.door}${decision.late === true ? ', late' : ''}`,
  ].join(' ');

const NOT_KEPT = '(not kept here: too long)';

const detail = (label: string, text: string | null | undefined): string[] =>
  text === undefined ? [] : [`    ${label} ${text === null ? NOT_KEPT : oneLine(text, 2_000)}`];

/** Arguments as every channel shows them: a record must not hide a key. */
const argumentsDetail = (label: string, json: string | null | undefined): string[] => {
  if (json === undefined || json === null) return detail(label, json);
  const { text, shortened } = showArguments(json);
  const size = shortened === 0 ? '' : ` (${shortened} shortened, of ${json.length} characters)`;
  return [`    ${label.trimEnd()}${size}:`, ...wrapShown(text, COLUMNS).map((line) => `    │ ${line}`)];
};

/** A line, and the decision that it describes. */
export const decisionLines = (decision: Decision): string[] => [
  decisionLine(decision),
  ...argumentsDetail('arguments', decision.arguments),
  ...argumentsDetail(
    decision.refused === undefined && decision.undecided !== true ? 'ran with ' : 'proposed ',
    decision.editedArguments,
  ),
  ...detail('reason   ', decision.reason),
  ...detail('note     ', decision.note),
  ...detail('shown    ', decision.shownDigest),
  ...detail('problem  ', decision.refusedEdit),
  ...detail('refused  ', decision.refused?.message),
];

/** A decision from the API, in the form of the workflow's. */
export const fromWire = (wire: RunDecision): Decision => ({
  callId: wire.call_id,
  name: wire.tool,
  round: 0,
  decision: wire.decision,
  at: wire.created_at * 1000,
  door: wire.door,
  ...(wire.by === null ? {} : { by: wire.by }),
  ...(wire.verified ? { verified: true } : {}),
  arguments: wire.arguments,
  ...(wire.edited ? { editedArguments: wire.edited_arguments } : {}),
  ...(wire.reason === null ? {} : { reason: wire.reason }),
  ...(wire.note === null ? {} : { note: wire.note }),
  ...(wire.shown_digest === null ? {} : { shownDigest: wire.shown_digest }),
  ...(wire.late ? { late: true } : {}),
  ...(wire.undecided ? { undecided: true } : {}),
  ...(wire.in_place_of === null ? {} : { inPlaceOf: wire.in_place_of }),
  ...(wire.to === null ? {} : { to: wire.to }),
  ...(wire.refused_edit === null ? {} : { refusedEdit: wire.refused_edit }),
  ...(wire.refused === null ? {} : { refused: wire.refused }),
});
