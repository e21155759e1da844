/**
 * Arguments of a waiting call for a terminal, and the commands that decide about it.
 *
 * Rule: shortened arguments say so first, and name where they are whole. The model's text stands behind a bar, so that
 * it can't pass for this program's; an approving command names the digest of the shown arguments. Pure.
 * Imported by the commands, the board and the demo.
 */
import { showArguments, wrapShown } from '../../protocol/rules/show-arguments.ts';
import { visible } from '../../protocol/rules/visible.ts';
import type { CallSnapshot } from '../../protocol/temporal/messages.ts';
import { shortCall, shortRun } from '../short-codes.ts';
import { shellWord } from './format.ts';

type Call = Pick<CallSnapshot, 'callId' | 'arguments' | 'argumentsDigest' | 'refusedEdit'>;

/** A terminal would continue at its left edge, where the model's text could pass for this program's. */
const COLUMNS = 70;

interface ArgumentLinesOptions {
  /** The user's command for `runs`; null = print no commands. Default `runs`. */
  command?: string | null;
  /** Show arguments whole, however long they are. */
  whole?: boolean;
}

export const showCommand = (runId: string, callId: string, command = 'runs'): string =>
  `${command} show ${shellWord(shortRun(runId))} --call ${shellWord(shortCall(runId, callId))}`;

/** Lines about the arguments of a call, without indent. */
export const argumentLines = (
  runId: string,
  call: Call,
  { command = 'runs', whole = false }: ArgumentLinesOptions = {},
): string[] => {
  const { text, shortened, problem } = showArguments(call.arguments, whole ? Infinity : undefined);
  const lines: string[] = [];
  if (shortened > 0)
    lines.push(
      `! NOT SHOWN IN FULL: ${shortened} value${shortened === 1 ? ' is' : 's are'} shortened. The full arguments: ${showCommand(runId, call.callId, command ?? 'runs')}`,
    );
  if (call.refusedEdit !== undefined) lines.push(...refusedLines(call.refusedEdit));
  const digest = call.argumentsDigest === undefined ? '' : `, digest ${call.argumentsDigest}`;
  lines.push(
    problem === undefined
      ? `arguments, written by the model${digest}:`
      : "the model's text is not valid arguments; the reason, and the text as one string:",
  );
  if (problem !== undefined) lines.push(...wrapShown(problem, COLUMNS).map((line) => `│ ${line}`));
  return [...lines, ...wrapShown(text, COLUMNS).map((line) => `│ ${line}`)];
};

const refusedLines = ({ count, problem, by }: NonNullable<Call['refusedEdit']>): string[] => [
  `! ${count === 1 ? 'an approval was' : `${count} approvals were`} not used${
    by === undefined ? '' : ` (by ${visible(by)})`
  }: ${count === 1 ? 'its arguments' : 'the arguments of the last one'} do not match the tool's parameters. The tool has not run. Its check reported:`,
  ...wrapShown(visible(problem), COLUMNS).map((line) => `│ ${line}`),
];

/** The commands that answer a waiting call, to be pasted. */
export const answerCommands = (
  runId: string,
  call: Pick<CallSnapshot, 'callId' | 'kind' | 'argumentsDigest' | 'approvers'>,
  command: string | null = 'runs',
): string[] => {
  if (command === null) return [];
  const short = shortCall(runId, call.callId);
  // A code is enough; a short id of a caller's own is of one run only.
  const which = short === call.callId ? `${shellWord(shortRun(runId))} ${shellWord(short)}` : short;
  const head = `${command} answer ${which}`;
  if (call.kind !== 'approval') return [`${head} --output 'your answer'`];
  const digest = call.argumentsDigest === undefined ? '' : ` --digest ${call.argumentsDigest}`;
  const { approvers } = call;
  // Votes are counted by name; where it must be verified, an API key says it.
  const name = approvers === undefined ? '' : approvers.verified ? ' --api' : " --by 'your name'";
  return [`${head} --approve${digest}${name}`, `${head} --deny --reason 'why not'${name}`];
};
