/**
 * Which waiting call a command means.
 *
 * Rule: a call is named by its id, by its code, or by being the only one that waits; a name that fits several is refused
 * with their list. Ids are passed on unchanged: the run knows calls that no longer wait. `matchingCalls` and `onlyCall` are pure.
 * Imported by `answer` and by the approvals over the API.
 */
import type { RunsClient } from '../client/index.ts';
import { RunsError } from '../protocol/errors.ts';
import { CliError, EXIT, usageError } from '../app/exit.ts';
import { findRunByText } from './meant-run.ts';
import { oneLine } from './output/format.ts';
import { isCallCode, isWholeRunId, runIdPrefixes, shortRun } from './short-codes.ts';
import { allWaitingCalls, waitingCallsOf, type WaitingCall } from './waiting-calls.ts';

const named = ({ runId, callId, code, tool }: WaitingCall): string =>
  `${oneLine(tool, 64)} (runs answer ${shortRun(runId)} ${code ?? callId ?? ''})`;

/** Does a text that names a run mean this one? A whole id means itself alone. */
const isMeant = (run: string, runId: string): boolean =>
  runId === run || (!isWholeRunId(run) && runIdPrefixes(run).some((start) => runId.startsWith(start)));

/** Those of the waiting calls that these arguments may mean: a run and a call of it, or a call's code alone. */
export const matchingCalls = <Call extends WaitingCall>(
  waiting: readonly Call[],
  run: string | undefined,
  call: string | undefined,
): Call[] => {
  const coded = call === undefined ? waiting.filter(({ code }) => code === run) : [];
  if (coded.length > 0) return coded;
  const exact = waiting.filter(({ runId }) => runId === run);
  const ofRun =
    exact.length > 0 ? exact : waiting.filter(({ runId }) => run === undefined || isMeant(run, runId));
  return ofRun.filter((item) => call === undefined || item.callId === call || item.code === call);
};

/** The calls with this code, whichever run they are of. */
const codedCalls = async (client: RunsClient, code: string): Promise<WaitingCall[]> => {
  const waiting = await allWaitingCalls(client);
  const found = waiting.filter((call) => call.code === code);
  if (found.length === 0 && waiting.some((call) => call.code === null))
    throw new RunsError(
      'no_worker',
      `The call with the code ${JSON.stringify(code)} can't be found: the codes come from the workers, and for some waiting runs no worker answers. Start one ("runs worker"), or name run and call by their ids.`,
    );
  return found;
};

/** The waiting calls that these arguments may mean; without a run, all of the namespace. */
export const candidateCalls = async (
  client: RunsClient,
  run: string | undefined,
  call: string | undefined,
): Promise<WaitingCall[]> => {
  if (run === undefined) return allWaitingCalls(client);
  if (call === undefined && isCallCode(run) && !(await client.has(run))) {
    const coded = await codedCalls(client, run);
    if (coded.length > 0) return coded;
  }
  const runId = await findRunByText(client, run);
  return matchingCalls(await waitingCallsOf(client, runId), runId, call);
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
    `${what} of run ${JSON.stringify(run)} waits for an answer now. "runs show ${run}" shows the state of the run.`,
  );
};

/** The call and run that a command means. An id is passed on unchanged: the run knows calls that no longer wait. */
export const findCallByText = async (
  client: RunsClient,
  run: string,
  call: string | undefined,
): Promise<{ runId: string; callId: string }> => {
  if (call !== undefined && !isCallCode(call))
    return { runId: await findRunByText(client, run), callId: call };
  const { runId, callId } = onlyCall(await candidateCalls(client, run, call), run, call);
  return { runId, callId };
};
