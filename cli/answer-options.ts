/**
 * Turns the options of `runs answer` into the message to send. Pure.
 *
 * Rule: contradicting options are refused before a server is asked. Imported by `answer`.
 */
import { usageError } from '../app/exit.ts';
import { parseArguments } from '../protocol/rules/tool-arguments.ts';
import type { AnswerPayload } from '../protocol/temporal/messages.ts';

export interface AnswerOptions {
  output?: string;
  approve?: boolean;
  arguments?: string;
  digest?: string;
  deny?: boolean;
  delegate?: string;
  reason?: string;
  by?: string;
  note?: string;
}

/** How many of the options that state the answer are given. */
export const decisionsIn = ({ output, approve, deny, delegate }: AnswerOptions): number =>
  [output !== undefined, approve === true, deny === true, delegate !== undefined].filter(Boolean).length;

/** The message of these options; throws a usage error when they contradict each other. */
export const answerPayload = (runId: string, callId: string, options: AnswerOptions): AnswerPayload => {
  const decisions = decisionsIn(options);
  if (decisions !== 1)
    throw usageError(
      `answer needs exactly one of --output, --approve, --deny and --delegate, got ${decisions}. Use --output TEXT for a call that waits for an answer, --approve, --deny or --delegate NAMES for one that waits for an approval.`,
    );
  if (options.arguments !== undefined && options.approve !== true)
    throw usageError('--arguments goes with --approve only. Leave it out, or add --approve.');
  if (options.reason !== undefined && options.deny !== true)
    throw usageError('--reason goes with --deny only. Leave it out, or add --deny.');
  if (options.digest !== undefined && options.delegate !== undefined)
    throw usageError('--digest goes with --approve or --deny. Leave it out.');
  if (options.digest !== undefined && options.output !== undefined)
    throw usageError('--digest goes with --approve or --deny. Leave it out, or decide.');
  const digest = options.digest === undefined ? {} : { arguments_digest: options.digest };
  const base = {
    call_id: callId,
    run_id: runId,
    ...(options.by === undefined ? {} : { by: options.by }),
    ...(options.note === undefined ? {} : { note: options.note }),
  };
  if (options.output !== undefined) return { ...base, output: options.output };
  if (options.delegate !== undefined)
    return { ...base, decision: 'delegate', to: peopleAndGroups(options.delegate) };
  if (options.deny === true)
    return {
      ...base,
      decision: 'deny',
      ...digest,
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    };
  return {
    ...base,
    decision: 'approve',
    ...digest,
    ...(options.arguments === undefined ? {} : { arguments: jsonObject(options.arguments) }),
  };
};

/** `bob,@heads` → the person bob and the group heads. */
const peopleAndGroups = (text: string): { people?: string[]; groups?: string[] } => {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '' || name === '@'))
    throw usageError(
      `--delegate needs names, and "@" before the name of a group, such as --delegate bob,@heads; got ${JSON.stringify(text)}.`,
    );
  const people = names.filter((name) => !name.startsWith('@'));
  const groups = names.filter((name) => name.startsWith('@')).map((name) => name.slice(1));
  return { ...(people.length === 0 ? {} : { people }), ...(groups.length === 0 ? {} : { groups }) };
};

const jsonObject = (text: string): object => {
  const parsed = parseArguments(text);
  if (parsed.ok && text.trim() !== '') return parsed.value;
  throw usageError(
    `--arguments must be a JSON object, got ${JSON.stringify(text)}${parsed.ok ? '' : `: ${parsed.problem}`}. Quote it for the shell, such as --arguments '{"amount": 20}'.`,
  );
};
