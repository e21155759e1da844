/**
 * The calls that wait for an answer, and which of them a command means.
 *
 * Rule: a call is named by its id, by its code, or by being the only one that waits; an ambiguous name is refused with
 * a list. Ids are passed on unchanged: the run knows calls that no longer wait. `matchingCalls` and `onlyCall` are pure.
 * Imported by `list`, `answer` and `show`.
 */
import type { RunListItem, RunsClient } from '../client/index.ts';
import type { CallSnapshot } from '../protocol/temporal/messages.ts';
import type { RefusedEdit } from '../protocol/tool-calls.ts';
import { RunsError } from '../protocol/errors.ts';
import { CliError, EXIT, usageError } from '../app/exit.ts';
import { callCode, isCallCode } from './call-code.ts';
import { oneLine } from './output/format.ts';

export interface WaitingCall {
  runId: string;
  /** Null when no worker answers: then only the tool's name is known. */
  callId: string | null;
  code: string | null;
  tool: string;
  /** JSON text; null when no worker answers. */
  arguments: string | null;
  /** The digest that a decision about these arguments names; null = none is recorded. */
  argumentsDigest: string | null;
  refusedEdit: RefusedEdit | null;
  kind: CallSnapshot['kind'] | null;
  /** Unix ms of the deadline; null = none is known. */
  answerBy: number | null;
}

/** Runs that are queried at a time for their calls. */
const AT_ONCE = 8;

const ofCall = (runId: string, call: CallSnapshot): WaitingCall => ({
  runId,
  callId: call.callId,
  code: callCode(runId, call.callId),
  tool: call.name,
  arguments: call.arguments,
  argumentsDigest: call.argumentsDigest ?? null,
  refusedEdit: call.refusedEdit ?? null,
  kind: call.kind,
  answerBy: call.answerBy ?? null,
});

/** The calls of one run that wait now. */
export const waitingCallsOf = async (client: RunsClient, runId: string): Promise<WaitingCall[]> => {
  const run = await client.get(runId);
  if (run.partial === true && run.result === null)
    throw new RunsError(
      'no_worker',
      `Which calls of run ${JSON.stringify(runId)} wait is told by a worker, and none answers. Start one ("runs worker"), or name the call by its id.`,
    );
  return run.calls.filter((call) => call.state === 'waiting').map((call) => ofCall(runId, call));
};

const ofItem = async (client: RunsClient, item: RunListItem): Promise<WaitingCall[]> => {
  const calls = await waitingCallsOf(client, item.runId).catch(() => []);
  if (calls.length > 0) return calls;
  const { runId, deadline } = item;
  return item.waitingFor.map((tool) => ({
    runId,
    callId: null,
    code: null,
    tool,
    arguments: null,
    argumentsDigest: null,
    refusedEdit: null,
    kind: null,
    answerBy: deadline,
  }));
};

/** One entry for each waiting call of the runs, in their order. */
export const waitingCallsIn = async (
  client: RunsClient,
  items: readonly RunListItem[],
): Promise<WaitingCall[]> => {
  const found: WaitingCall[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const some = items.slice(at, at + AT_ONCE).map((item) => ofItem(client, item));
    found.push(...(await Promise.all(some)).flat());
  }
  return found;
};

/** Every waiting call of the namespace that Temporal's visibility store knows already. */
export const allWaitingCalls = async (client: RunsClient): Promise<WaitingCall[]> => {
  const items: RunListItem[] = [];
  for await (const item of client.list({ waiting: true })) items.push(item);
  return waitingCallsIn(client, items);
};

const named = ({ runId, callId, code, tool }: WaitingCall): string =>
  `${oneLine(tool, 64)} (runs answer ${runId} ${code ?? callId ?? ''})`;

/** Those of the waiting calls that these arguments may mean: a run and a call of it, or a call's code alone. */
export const matchingCalls = <Call extends WaitingCall>(
  waiting: readonly Call[],
  run: string | undefined,
  call: string | undefined,
): Call[] => {
  const coded = call === undefined ? waiting.filter(({ code }) => code === run) : [];
  return coded.length > 0
    ? coded
    : waiting.filter(
        (item) =>
          (run === undefined || item.runId === run) &&
          (call === undefined || item.callId === call || item.code === call),
      );
};

/** The waiting calls that these arguments may mean; without a run, all of the namespace. */
export const candidateCalls = async (
  client: RunsClient,
  run: string | undefined,
  call: string | undefined,
): Promise<WaitingCall[]> => {
  if (run === undefined) return allWaitingCalls(client);
  if (call === undefined && isCallCode(run)) {
    const coded = (await allWaitingCalls(client)).filter(({ code }) => code === run);
    if (coded.length > 0) return coded;
  }
  return matchingCalls(await waitingCallsOf(client, run), run, call);
};

/** The only one of the candidates. */
export const onlyCall = <Call extends WaitingCall>(
  candidates: readonly Call[],
  run: string,
  call?: string,
): Call & { callId: string } => {
  const [only, second] = candidates;
  if (only?.callId != null && second === undefined) return { ...only, callId: only.callId };
  if (only !== undefined)
    throw usageError(
      `${candidates.length} calls fit ${JSON.stringify(run)}: ${candidates.map(named).join('; ')}. Name one of them.`,
    );
  const what = call === undefined ? 'no call' : `no call with the code ${JSON.stringify(call)}`;
  throw new CliError(
    EXIT.refused,
    'nothing_waits',
    `${what} of run ${JSON.stringify(run)} waits for an answer now. "runs show ${run}" tells what goes on.`,
  );
};

/** The call and run that a command means. An id is passed on unchanged: the run knows calls that no longer wait. */
export const meantCall = async (
  client: RunsClient,
  run: string,
  call: string | undefined,
): Promise<{ runId: string; callId: string }> => {
  if (call !== undefined && !isCallCode(call)) return { runId: run, callId: call };
  const { runId, callId } = onlyCall(await candidateCalls(client, run, call), run, call);
  return { runId, callId };
};
