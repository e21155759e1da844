/**
 * Results of the client programs as the table of docs/reference/clients.md. Pure.
 *
 * Rule: the table says what the committed results say; a test compares the two. The harness and its test import it.
 */
import { STEP_NAMES, STEPS, type Step, type StepResults } from './steps.ts';

export interface LaneResult {
  client: string;
  language: string;
  version: string;
  steps: StepResults;
  known: Partial<Record<Step, string>>;
}

const MARK = { passed: '✓', absent: '–', failed: '✗' } as const;
const LANGUAGES: Record<string, string> = {
  python: 'Python',
  node: 'JavaScript',
  go: 'Go',
  rust: 'Rust',
  java: 'Java',
};

const markOf = (ok: boolean | null): string => {
  if (ok === null) return MARK.absent;
  return ok ? MARK.passed : MARK.failed;
};

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const notesOf = ({ client, version, steps, known }: LaneResult): string[] => {
  const reasons = new Map<string, Step[]>();
  for (const step of STEP_NAMES) {
    const { ok, detail } = steps[step];
    if (ok === true) continue;
    const reason = `${markOf(ok)} ${known[step] ?? detail}`;
    reasons.set(reason, [...(reasons.get(reason) ?? []), step]);
  }
  return [...reasons].map(([reason, names]) => `- ${client} ${version}, ${names.join(', ')}: ${reason}`);
};

export const tableOf = (results: readonly LaneResult[]): string =>
  [
    row(['client', 'version', 'language', ...STEP_NAMES]),
    row(['---', '---', '---', ...STEP_NAMES.map(() => ':-:')]),
    ...results.map(({ client, version, language, steps }) =>
      row([
        client,
        version,
        LANGUAGES[language] ?? language,
        ...STEP_NAMES.map((step) => markOf(steps[step].ok)),
      ]),
    ),
    '',
    `${MARK.passed} passes, ${MARK.absent} the client offers no such call, ${MARK.failed} fails:`,
    '',
    ...results.flatMap(notesOf),
    '',
    'The steps:',
    '',
    ...STEP_NAMES.map((step) => `- **${step}** ${STEPS[step]}`),
  ].join('\n');

const BEGIN = '<!-- clients:begin -->';
const END = '<!-- clients:end -->';

/** The document with the table between its markers replaced. Throws when it lacks them. */
export const withTable = (document: string, table: string): string => {
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new Error(`The document holds no ${JSON.stringify(BEGIN)} … ${JSON.stringify(END)}.`);
  return `${before}${BEGIN}\n\n${table}\n\n${END}${after}`;
};
