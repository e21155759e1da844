/**
 * What a client program does, step by step, and how its output is read. Pure.
 *
 * Rule: a program prints one JSON line for each step, `{"step", "ok", "detail"}`: `ok` is true, false (`detail` = the error) or
 * null (`detail` = why the client itself offers no such call). A step without a line was not reached and counts as failed.
 * The harness and its test import it.
 */

export const STEPS = {
  assistant: 'creates an assistant with a function tool',
  run: 'creates a thread with a message and a run, and follows it to `requires_action`',
  submit: "submits the tool's output and follows the run to `completed`",
  message: "reads the assistant's final message",
  stream: 'streams a run and adds up its deltas',
  silence: 'the same with a model that is silent for 17 s, longer than the keep-alive interval',
  dripping: 'the same with a model that says a word a second for 20 s',
  paging: 'reads a list of messages page by page',
  cancel: 'cancels a run that waits, to its status `cancelled`',
  error: 'gets the 400 for an unsupported tool as its typed error',
} as const;
export type Step = keyof typeof STEPS;
export const STEP_NAMES = Object.keys(STEPS) as Step[];

export interface StepResult {
  ok: boolean | null;
  detail: string;
}
export type StepResults = Record<Step, StepResult>;

interface StepLine extends StepResult {
  step: string;
}

const asLine = (text: string): StepLine | null => {
  if (!text.startsWith('{')) return null;
  try {
    const line = JSON.parse(text) as StepLine;
    return typeof line.step === 'string' ? line : null;
  } catch {
    return null;
  }
};

/** The last line of a step counts; what else a library prints is passed over. `ended` = how the program ended. */
export const readSteps = (output: string, ended: string): StepResults => {
  const lines = output.split('\n').flatMap((text) => asLine(text.trim()) ?? []);
  return Object.fromEntries(
    STEP_NAMES.map((step): [Step, StepResult] => {
      const line = lines.findLast((each) => each.step === step);
      return [step, line === undefined ? { ok: false, detail: `not reached: ${ended}` } : resultOf(line)];
    }),
  ) as StepResults;
};

const resultOf = ({ ok, detail }: StepLine): StepResult => ({ ok, detail: oneLine(detail) });

const MAX_DETAIL = 300;
const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_DETAIL ? `${line.slice(0, MAX_DETAIL)}…` : line;
};

/** What must not be: a failed step without a known reason, and a known reason for a step that does not fail. */
export const problemsOf = (results: StepResults, known: Partial<Record<Step, string>>): string[] =>
  STEP_NAMES.flatMap((step) => {
    const { ok, detail } = results[step];
    if (ok === false && known[step] === undefined) return [`${step}: ${detail}`];
    if (ok !== false && known[step] !== undefined)
      return [`${step}: no longer fails; delete its known reason ${JSON.stringify(known[step])}`];
    return [];
  });
