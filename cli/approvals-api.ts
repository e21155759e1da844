/**
 * Waiting approvals over the HTTP API: which calls wait, and a person's decision about one. A key with the role `approver` and
 * the URL are enough.
 *
 * Rule: the API names thread, run and call of what waits, so no other request is needed. An output goes to an external call of
 * a worker's tool, and is refused for all others. Imported by `answer`, `list` and `show`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { TEMPORAL_CHOICE } from '../app/temporal-env.ts';
import { nonEmpty } from '../app/dev-state.ts';
import { CliError, EXIT, usageError } from '../app/exit.ts';
import type { AnswerPayload, AnswerReply } from '../protocol/temporal/messages.ts';
import type { Approval } from '../protocol/wire/decisions.ts';
import { ApiClient, type WantedApprovals } from './api-client.ts';
import { callCode } from './short-codes.ts';
import type { CliIo } from './command.ts';
import { connections } from './connections.ts';
import { matchingCalls, onlyCall } from './meant-call.ts';
import type { WaitingCall } from './waiting-calls.ts';

/** Text of `--api` in the help of the commands that have it. */
export const API_OPTION =
  'use the HTTP API (RUNS_URL, RUNS_API_KEY) instead of Temporal; the default when both are set and TEMPORAL_ADDRESS is not';

export interface WaitingApproval extends WaitingCall {
  threadId: string;
  /** Names the call in paths of approvals. */
  approvalId: string;
}

/**
 * The API, where decisions go through it: with `--api`, or when the environment names a URL and a key and no Temporal. Null =
 * they go through Temporal.
 */
export const approvalsApi = async (io: CliIo, wanted: boolean | undefined): Promise<ApiClient | null> => {
  const named = ['RUNS_URL', 'RUNS_API_KEY'].every((name) => nonEmpty(io.env[name]) !== undefined);
  const temporal = TEMPORAL_CHOICE.some((name) => nonEmpty(io.env[name]) !== undefined);
  if (wanted !== true && (!named || temporal)) return null;
  return new ApiClient((await connections(io)).api(), io.signal);
};

/** Unix ms by which a decision is of use; null = none known. A server of an earlier version does not name the call's deadline. */
const answerBy = ({
  answer_by: named,
  created_at: created,
  answer_within: within,
  expires_at,
  late,
}: Approval) => {
  const own = created === null || within === null ? Infinity : created + within;
  const least = late ? (expires_at ?? Infinity) : (named ?? Math.min(own, expires_at ?? Infinity));
  return Number.isFinite(least) ? least * 1_000 : null;
};

const waitingApproval = (approval: Approval): WaitingApproval => ({
  runId: approval.run_id,
  threadId: approval.thread_id,
  callId: approval.call_id,
  code: callCode(approval.run_id, approval.call_id),
  tool: approval.tool,
  arguments: approval.arguments,
  argumentsDigest: approval.arguments_digest,
  refusedEdit: null,
  kind: approval.kind === 'output' ? 'external' : 'approval',
  approvalId: approval.id,
  answerBy: answerBy(approval),
});

/** Of the key's tenant and tools, the earliest deadline first. */
export const waitingApprovals = async (
  api: ApiClient,
  wanted: WantedApprovals = {},
): Promise<WaitingApproval[]> => (await api.approvals(wanted)).map(waitingApproval);

/** The calls that these arguments of a command may mean; without a run, all of them. */
export const approvalsMeant = async (
  api: ApiClient,
  run: string | undefined,
  call: string | undefined,
): Promise<WaitingApproval[]> => matchingCalls(await waitingApprovals(api), run, call);

export const approvalMeant = async (
  api: ApiClient,
  run: string,
  call: string | undefined,
): Promise<WaitingApproval> => {
  const meant = await approvalsMeant(api, run, call);
  if (meant.length > 0) return onlyCall(meant, run, call);
  throw new CliError(
    EXIT.refused,
    'nothing_waits',
    `no call fits ${JSON.stringify(call === undefined ? run : `${run} ${call}`)} and waits for an approval by this key. "runs list --waiting" lists the calls that do.`,
  );
};

/** How often and how far apart decisions are read for the tool's verdict on a person's arguments: milliseconds. */
const DECISION_POLLS = { count: 8, everyMs: 250 };

const refusedEdits = async (
  api: ApiClient,
  { threadId, runId, callId }: WaitingApproval,
): Promise<string[]> =>
  (await api.decisions(threadId, runId))
    .filter((decision) => decision.call_id === callId)
    .flatMap(({ refused_edit: problem }) => (problem === null ? [] : [problem]));

/** `refused`: what the tool has against the arguments that came with the approval, when it says so within two seconds. */
export const sendDecision = async (
  api: ApiClient,
  call: WaitingApproval,
  payload: AnswerPayload,
): Promise<{ reply: AnswerReply; refused: string | null }> => {
  if (payload.decision === undefined && call.kind === 'external') {
    const { output, by, note } = payload;
    const text = typeof output === 'string' ? output : JSON.stringify(output);
    const body = { decision: 'answer', output: text, ...(by === undefined ? {} : { by }) };
    const path = `/v1/approvals/${encodeURIComponent(call.approvalId)}`;
    const said = note === undefined ? body : { ...body, note };
    return { reply: await api.call<AnswerReply>('POST', path, said), refused: null };
  }
  if (payload.decision === undefined)
    throw usageError(
      'Over the HTTP API this command only decides calls that wait for an approval: give --approve, --deny or --delegate. To send an output, set TEMPORAL_ADDRESS; the command then goes through Temporal.',
    );
  if (payload.arguments == null)
    return { reply: await api.answer(call.threadId, call.runId, payload), refused: null };
  const before = (await refusedEdits(api, call)).length;
  const reply = await api.answer(call.threadId, call.runId, payload);
  if (reply.votes_needed !== undefined) return { reply, refused: null };
  for (let look = 0; look < DECISION_POLLS.count; look += 1) {
    await pause(DECISION_POLLS.everyMs);
    const problems = await refusedEdits(api, call).catch(() => []);
    if (problems.length > before) return { reply, refused: problems.at(-1) ?? null };
  }
  return { reply, refused: null };
};
