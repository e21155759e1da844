/**
 * The calls that wait for a person or a caller: of one run, or of all.
 *
 * Rule: what no worker tells is null, not left out. Imported by `list`, and by what finds out which call or run is meant.
 */
import type { RunListItem, RunsClient } from '../client/index.ts';
import type { CallSnapshot } from '../protocol/temporal/messages.ts';
import type { RefusedEdit } from '../protocol/tool-calls.ts';
import { RunsError } from '../protocol/errors.ts';
import { callCode } from './short-codes.ts';

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

/** Runs that are looked at side by side for their calls. */
const CONCURRENCY = 32;

type KnownCall = Pick<CallSnapshot, 'callId' | 'name' | 'arguments' | 'kind'> & Partial<CallSnapshot>;

const ofCall = (runId: string, call: KnownCall): WaitingCall => ({
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
      `The waiting calls of run ${JSON.stringify(runId)} can't be listed: no worker answers. Start one ("runs worker"), or name the call by its id.`,
    );
  return run.calls.filter((call) => call.state === 'waiting').map((call) => ofCall(runId, call));
};

const ofItem = async (client: RunsClient, item: RunListItem): Promise<WaitingCall[]> => {
  // A worker is asked only where the history does not tell: that costs five times as much, and a replay of each run that is not cached.
  const known = await client.waitingCall(item).catch(() => null);
  if (known !== null)
    return [ofCall(item.runId, { ...known, ...(item.deadline === null ? {} : { answerBy: item.deadline }) })];
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
  let next = 0;
  const found: WaitingCall[][] = [];
  const look = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) {
      const item = items[at];
      if (item !== undefined) found[at] = await ofItem(client, item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, look));
  return found.flat();
};

/** Every waiting call of the namespace that Temporal's visibility store knows already. */
export const allWaitingCalls = async (client: RunsClient): Promise<WaitingCall[]> => {
  const items: RunListItem[] = [];
  for await (const item of client.list({ waiting: true })) items.push(item);
  return waitingCallsIn(client, items);
};
