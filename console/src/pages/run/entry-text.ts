/** Entries of a timeline in words. Rule: pure. Texts of models, tools and people stay out of it: the page shows those escaped. */
import type { TimelineEntry } from '../../../../protocol/wire/run-timeline.ts';
import { moneyText, countText, spanText, statusText, type Tone } from '../../runs/figures.ts';

type DecisionEntry = Extract<TimelineEntry, { kind: 'decision' }>;

const DECISIONS: Readonly<Record<DecisionEntry['decision'], string>> = {
  approve: 'Approved',
  deny: 'Denied',
  delegate: 'Handed over',
  remind: 'Reminded',
  escalate: 'Escalated',
  comment: 'Commented',
};

/** What changed nothing, or decided nothing yet, is no verdict. */
const REFUSED: Readonly<Partial<typeof DECISIONS>> = {
  approve: 'Approval',
  deny: 'Denial',
  delegate: 'Hand-over',
};
const VOTES: Readonly<Partial<typeof DECISIONS>> = { approve: 'Vote to approve', deny: 'Vote to deny' };

const isVote = ({ decision }: DecisionEntry): boolean => decision === 'approve' || decision === 'deny';

const decisionText = ({ decision, refused, undecided }: DecisionEntry): string =>
  (refused !== null ? REFUSED[decision] : undecided ? VOTES[decision] : undefined) ?? DECISIONS[decision];

const decisionTone = (entry: DecisionEntry): Tone => {
  if (entry.refused !== null || !isVote(entry)) return 'dim';
  if (entry.undecided) return 'wait';
  return entry.decision === 'approve' ? 'ok' : 'bad';
};

/** What a line of the timeline is called; `name`: of a model, a tool or a timer, shown escaped. */
export const entryTitle = (entry: TimelineEntry): { what: string; name: string } => {
  switch (entry.kind) {
    case 'state':
      return { what: statusText(entry.status), name: '' };
    case 'turn':
      return { what: 'Model', name: entry.model ?? '' };
    case 'tool':
      return { what: 'Tool', name: entry.tool };
    case 'wait':
      return {
        what: entry.waits_for === 'approval' ? 'Waits for a person' : 'Waits for the caller',
        name: entry.tool,
      };
    case 'decision':
      return { what: decisionText(entry), name: entry.tool };
    case 'timer':
      return { what: 'Timer', name: entry.name };
    case 'message':
      return { what: entry.form === 'update' ? 'Update' : 'Signal', name: entry.name };
    default:
      return { what: 'Continued as new', name: '' };
  }
};

/** Entries that take time, and are drawn as bars. */
export const isSpan = (entry: TimelineEntry): boolean =>
  entry.kind === 'turn' || entry.kind === 'tool' || entry.kind === 'wait' || entry.kind === 'timer';

/** Entries of the workflow's own work, which most readers do not look for. */
export const isInternal = (entry: TimelineEntry): boolean =>
  entry.kind === 'timer' || entry.kind === 'message' || entry.kind === 'continued';

export const entryTone = (entry: TimelineEntry): Tone => {
  switch (entry.kind) {
    case 'turn':
    case 'tool':
      return entry.outcome === 'failed'
        ? 'bad'
        : entry.outcome === 'cancelled'
          ? 'dim'
          : entry.kind === 'turn'
            ? 'busy'
            : 'ok';
    case 'wait':
      return entry.outcome === 'expired' ? 'bad' : 'wait';
    case 'decision':
      return decisionTone(entry);
    case 'state':
      return entry.status === 'failed' || entry.status === 'expired' || entry.status === 'incomplete'
        ? 'bad'
        : 'dim';
    default:
      return 'dim';
  }
};

const attemptsText = (attempts: number | null): string =>
  attempts === null || attempts < 2 ? '' : `${attempts} attempts`;

/** Figures of an entry, each a short text. */
export const entryFacts = (entry: TimelineEntry): string[] => {
  const facts: string[] = [];
  if (entry.kind === 'turn') {
    if (entry.usage !== null)
      facts.push(`${countText(entry.usage.total_tokens)} tokens`, moneyText(entry.usage));
    if (entry.fallback) facts.push('fallback model');
    if (entry.finish_reason === 'length' || entry.finish_reason === 'content_filter')
      facts.push(`stopped by ${statusText(entry.finish_reason)}`);
  }
  if (entry.kind === 'turn' || entry.kind === 'tool') {
    facts.push(attemptsText(entry.attempts));
    if (entry.outcome !== 'ok') facts.push(entry.outcome);
  }
  if (entry.kind === 'wait') facts.push(entry.outcome);
  if (entry.kind === 'timer') facts.push(entry.outcome);
  if (entry.kind === 'decision') {
    if (entry.edited) facts.push('edited');
    if (entry.late) facts.push('late');
    if (entry.refused !== null) facts.push('refused');
    // A timer has no name that somebody could verify.
    if (!entry.verified && entry.door !== 'workflow') facts.push('unverified');
  }
  return facts.filter((fact) => fact !== '');
};

/** How long the entry took; of one that goes on, so far. */
export const entrySpan = (entry: TimelineEntry, now: number): string =>
  isSpan(entry) ? spanText((entry.end_ms ?? Math.max(now, entry.start_ms)) - entry.start_ms) : '';

/** The whole line for a screen reader and for the title. */
export const entryLine = (entry: TimelineEntry, now: number): string => {
  const { what, name } = entryTitle(entry);
  const goesOn = isSpan(entry) && entry.end_ms === null ? 'goes on' : '';
  return [name === '' ? what : `${what} ${name}`, entrySpan(entry, now), goesOn, ...entryFacts(entry)]
    .filter((part) => part !== '')
    .join(', ');
};
