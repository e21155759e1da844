/**
 * Asks a person at a terminal for an answer: for which call, and which answer.
 *
 * Rule: nothing is sent before everything is known; an empty line at a choice ends the dialogue. Imported by `answer`.
 */
import type { AnswerOptions } from './answer-options.ts';
import { editableArguments } from './edit-arguments.ts';
import { decisionsIn } from './answer-options.ts';
import { argumentLines } from './output/call-arguments.ts';
import { duration, oneLine } from './output/format.ts';
import { shortRun } from './short-codes.ts';
import type { WaitingCall } from './waiting-calls.ts';

export interface AskForAnswer {
  waiting: readonly WaitingCall[];
  /** Options of the command line: these are not asked for. */
  options: AnswerOptions;
  /** Unix ms. */
  now: number;
  say: (line: string) => void;
  /** null = the input has ended. */
  ask: (question: string) => Promise<string | null>;
}

export interface AskedAnswer {
  runId: string;
  callId: string;
  options: AnswerOptions;
  /** Arguments to be edited before they are sent, as JSON; absent = there is nothing to edit. */
  edit?: string;
}

/** null = the person chose nothing, or no call waits. */
export const askForAnswer = async (about: AskForAnswer): Promise<AskedAnswer | null> => {
  const { waiting, options, say } = about;
  if (waiting.length === 0) {
    say('No call waits for an answer.');
    return null;
  }
  for (const [index, call] of waiting.entries())
    for (const line of callLines(call, index, about.now)) say(line);
  const call = await choose(about);
  if (call === null || call.callId === null) return null;
  const decided = decisionsIn(options) === 1 ? { options } : await decide(call, about);
  return decided === null ? null : { runId: call.runId, callId: call.callId, ...decided };
};

const callLines = (call: WaitingCall, index: number, now: number): string[] => {
  const left = call.answerBy === null ? '' : `  ${duration(call.answerBy - now)} left`;
  const head = `${index + 1}. ${oneLine(call.tool, 64)}  ${call.code ?? ''}  ${shortRun(call.runId)}${left}`;
  return [head, ...shownArguments(call).map((line) => `   ${line}`)];
};

const shownArguments = (call: WaitingCall, whole = false): string[] =>
  call.callId === null || call.arguments === null
    ? []
    : argumentLines(
        call.runId,
        {
          callId: call.callId,
          arguments: call.arguments,
          ...(call.argumentsDigest === null ? {} : { argumentsDigest: call.argumentsDigest }),
          ...(call.refusedEdit === null ? {} : { refusedEdit: call.refusedEdit }),
        },
        { whole },
      );

const choose = async ({ waiting, ask, say }: AskForAnswer): Promise<WaitingCall | null> => {
  const [only] = waiting;
  if (waiting.length === 1) return only ?? null;
  for (;;) {
    const text = (await ask(`Which one (1 to ${waiting.length}, Enter for none)? `))?.trim() ?? '';
    if (text === '') return null;
    const chosen = /^\d+$/.test(text) ? waiting[Number(text) - 1] : waiting.find(({ code }) => code === text);
    if (chosen !== undefined) return chosen;
    say(`There is no ${JSON.stringify(text)} in the list.`);
  }
};

const decide = async (
  call: WaitingCall,
  { options, ask, say }: AskForAnswer,
): Promise<Pick<AskedAnswer, 'options' | 'edit'> | null> => {
  if (call.kind === 'external') {
    const output = await ask("The call's output, as the model will read it: ");
    return output === null || output === '' ? null : { options: { ...options, output } };
  }
  const digest = call.argumentsDigest === null ? {} : { digest: call.argumentsDigest };
  for (;;) {
    const choice = (await ask('a = approve, d = deny, e = edit, w = show whole, Enter = stop: '))?.trim();
    if (choice === undefined || choice === '') return null;
    if (choice === 'w') {
      for (const line of shownArguments(call, true)) say(`   ${line}`);
      continue;
    }
    if (choice === 'a') return { options: { ...options, ...digest, approve: true } };
    if (choice === 'd') {
      const reason = await ask('Reason for the model (Enter for none): ');
      return { options: { ...options, deny: true, ...(reason === null || reason === '' ? {} : { reason }) } };
    }
    if (choice === 'e')
      return {
        options: { ...options, ...digest, approve: true },
        edit: editableArguments(call.arguments ?? '{}'),
      };
    say(`There is no choice ${JSON.stringify(choice)}.`);
  }
};
