/** What the demo prints, and the commands it offers. Pure. Imported by the demo and its tests. */
import type { CallSnapshot } from '../../protocol/temporal/messages.ts';
import { argumentLines } from '../output/call-arguments.ts';
import { oneLine, shellWord } from '../output/format.ts';
import { callCode } from '../short-codes.ts';

export interface Question {
  runId: string;
  threadId: string;
  call: Pick<CallSnapshot, 'callId' | 'name' | 'arguments' | 'argumentsDigest'>;
  /** The page where a click decides; null = this installation has no console. */
  consoleUrl: string | null;
  /** The page that tells what to paste; null without a Web UI. */
  uiUrl: string | null;
  apiUrl: string;
  temporalAddress: string;
  /** Do commands of this folder find that address by themselves? */
  found: boolean;
}

/** The person's answer by the CLI, from the folder of the checkout. */
export const answerCommandText = ({ runId, call, temporalAddress }: Question): string =>
  `TEMPORAL_ADDRESS=${shellWord(temporalAddress)} npx runs answer ${shellWord(runId)} ${shellWord(call.callId)} --approve${call.argumentsDigest === undefined ? '' : ` --digest ${call.argumentsDigest}`} --by you`;

/** The same by our API. */
export const answerCurl = ({ runId, threadId, call, apiUrl }: Question): string => {
  const body = JSON.stringify({
    call_id: call.callId,
    decision: 'approve',
    arguments_digest: call.argumentsDigest,
    by: 'you',
  });
  const url = `${apiUrl}/threads/${threadId}/runs/${runId}/answers`;
  return `curl -sS ${shellWord(url)} -H 'content-type: application/json' -d ${shellWord(body)}`;
};

export const questionLines = (question: Question): string[] => [
  '',
  `A person must decide: ${oneLine(question.call.name, 64)}`,
  ...argumentLines(question.runId, question.call, { command: 'npx runs' }).map((line) => `  ${line}`),
  '',
  ...(question.consoleUrl === null
    ? []
    : ['In the console, with one click on Approve:', `  ${question.consoleUrl}`]),
  ...(question.uiUrl === null
    ? []
    : ['In the Web UI (the page says what to paste into "Send an Update"):', `  ${question.uiUrl}`]),
  'In another terminal of this folder:',
  `  ${answerCommandText(question)}`,
  'Or over HTTP:',
  `  ${answerCurl(question)}`,
  '',
];

/** What a person at the terminal reads; the board shows the run below. Every line fits into 80 columns. */
export const keyLines = (question: Question): string[] => {
  const { runId, call, found, temporalAddress, consoleUrl } = question;
  const place = found ? '' : `TEMPORAL_ADDRESS=${shellWord(temporalAddress)} `;
  return [
    '',
    `The model calls the tool ${oneLine(call.name, 40)}. A person must allow it.`,
    ...argumentLines(runId, call, { command: `${place}npx runs` }).map((line) => `  ${line}`),
    '',
    ...(consoleUrl === null ? [] : ['Open the console and click Approve:', `  ${consoleUrl}`, '']),
    'Press a key:  a approve   d deny   e edit the arguments',
    '              o open its page in the Web UI   c show it as curl   q quit',
    'Or type in another terminal of this folder:',
    `  ${place}npx runs answer ${callCode(runId, call.callId)}`,
    '',
  ];
};
