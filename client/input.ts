/**
 * Start options → a checked `RunInput`. Pure.
 *
 * Rule: every error of the input is reported here, in one message, before anything is started; the workflow never sees it.
 * Imported by the client only.
 */
import { idProblem, METADATA, metadataProblem, RunsError, quote, type RunInput } from '../protocol/index.ts';
import type { StartOptions } from './types.ts';

/** Metadata pairs left to the caller: the create token and the link of a follow-up run need one each. */
export const CALLER_METADATA_PAIRS = 14;
/** Temporal refuses a payload of 2 MB; the rest of the input needs room too. */
const MAX_PARAMS_BYTES = 1_500_000;

const RESERVED_PARAMS = ['assistant_id', 'stream', 'metadata'] as const;

const timeProblem = (subject: string, value: number | null | undefined): string | undefined =>
  value == null || (Number.isSafeInteger(value) && value > 0)
    ? undefined
    : `${subject} must be unix milliseconds or null; got ${quote(value)}`;

const paramsProblem = (
  params: Record<string, unknown> | undefined,
  backend: StartOptions['backend'],
): string | undefined => {
  if (params === undefined) return undefined;
  if (typeof params !== 'object' || params === null || Array.isArray(params))
    return `params must be an object; got ${quote(params)}`;
  const reserved = RESERVED_PARAMS.find((key) => key in params);
  if (reserved !== undefined)
    return `params may not hold ${quote(reserved)}: ${
      reserved === 'stream' ? 'the worker decides how it follows the run' : 'use the option of that name'
    }`;
  if (backend === 'chat' && Object.keys(params).length > 0)
    return `params must be empty on the chat backend, where the store holds them; got ${quote(Object.keys(params))}`;
  const bytes = Buffer.byteLength(JSON.stringify(params));
  return bytes > MAX_PARAMS_BYTES
    ? `params may have at most ${MAX_PARAMS_BYTES} bytes of JSON; got ${bytes}. Put long texts into the thread's messages`
    : undefined;
};

const callerMetadataProblem = (metadata: Record<string, string> | undefined): string | undefined => {
  const problem = metadataProblem(metadata);
  if (problem !== undefined || metadata === undefined) return problem;
  const keys = Object.keys(metadata);
  const own = keys.filter((key) => key !== METADATA.followUpOf);
  if (own.length > CALLER_METADATA_PAIRS)
    return `metadata may have ${CALLER_METADATA_PAIRS} pairs (two more are reserved); got ${own.length}`;
  return keys.includes(METADATA.token) ? `metadata key ${quote(METADATA.token)} is reserved` : undefined;
};

/** Every problem of the options, in the order of the options; empty = they are fine. */
export const startProblems = (runId: string, options: StartOptions): string[] =>
  [
    idProblem('runId', runId),
    options.backend === 'assistants' || options.backend === 'chat'
      ? undefined
      : `backend must be "assistants" or "chat"; got ${quote(options.backend)}`,
    idProblem('assistantId', options.assistantId),
    options.threadId == null ? undefined : idProblem('threadId', options.threadId),
    options.threadId == null && options.backend === 'chat'
      ? `threadId is needed on the chat backend, whose threads exist before their runs; got ${quote(options.threadId)}`
      : undefined,
    paramsProblem(options.params, options.backend),
    // On the chat backend the row holds the metadata, which needs no room for the reserved pairs.
    options.backend === 'chat' ? metadataProblem(options.metadata) : callerMetadataProblem(options.metadata),
    options.busy === undefined || ['fail', 'wait', 'cancel'].includes(options.busy)
      ? undefined
      : `busy must be "fail", "wait" or "cancel"; got ${quote(options.busy)}`,
    timeProblem('expiresAt', options.expiresAt),
    timeProblem('createdAt', options.createdAt),
  ].filter((problem) => problem !== undefined);

/** On `assistants` the run there shows the caller's metadata too; natively its row has them already. */
const bodyOf = ({ backend, params = {}, metadata = {} }: StartOptions): Record<string, unknown> =>
  backend === 'assistants' && Object.keys(metadata).length > 0 ? { ...params, metadata } : params;

/** The workflow's input. Throws `RunsError('invalid_input')` that names every problem. */
export const toRunInput = (runId: string, options: StartOptions, searchAttributes: boolean): RunInput => {
  const problems = startProblems(runId, options);
  if (problems.length > 0) {
    throw new RunsError('invalid_input', `The run can't be started: ${problems.join('; ')}.`, {
      details: problems,
    });
  }
  return {
    runId,
    backend: options.backend,
    assistantId: options.assistantId,
    threadId: options.threadId ?? null,
    params: bodyOf(options),
    metadata: options.metadata ?? {},
    busy: options.busy ?? 'fail',
    expiresAt: options.expiresAt ?? null,
    createdAt: options.createdAt ?? null,
    searchAttributes,
    hooks: { onWaiting: options.hooks?.onWaiting ?? false, onEnd: options.hooks?.onEnd ?? false },
    settings: options.settings ?? {},
    ...(options.followUpOf === undefined ? {} : { followUpOf: options.followUpOf }),
  };
};
