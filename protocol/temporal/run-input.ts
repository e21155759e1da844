/**
 * The compact form of a workflow's input: default values are left out. Packing loses nothing, and a plain input reads
 * the same.
 * Imports protocol shapes; the workflow sandbox and the client import it.
 */
import type { RunInput } from './messages.ts';

/** A workflow's input as it is sent, without default values. */
export type RunInputPayload = Pick<RunInput, 'runId' | 'backend' | 'assistantId'> & Partial<RunInput>;

export const packRunInput = (input: RunInput): RunInputPayload => {
  const {
    threadId,
    params,
    metadata,
    busy,
    expiresAt,
    createdAt,
    searchAttributes,
    hooks,
    settings,
    ...rest
  } = input;
  return {
    ...rest,
    ...(threadId === null ? {} : { threadId }),
    ...(Object.keys(params).length === 0 ? {} : { params }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(busy === 'fail' ? {} : { busy }),
    ...(expiresAt === null ? {} : { expiresAt }),
    ...(createdAt === null ? {} : { createdAt }),
    ...(searchAttributes ? { searchAttributes } : {}),
    ...(hooks.onWaiting || hooks.onEnd ? { hooks } : {}),
    ...(Object.keys(settings).length === 0 ? {} : { settings }),
  };
};

export const unpackRunInput = (sent: RunInputPayload): RunInput => ({
  ...sent,
  threadId: sent.threadId ?? null,
  params: sent.params ?? {},
  metadata: sent.metadata ?? {},
  busy: sent.busy ?? 'fail',
  expiresAt: sent.expiresAt ?? null,
  createdAt: sent.createdAt ?? null,
  searchAttributes: sent.searchAttributes ?? false,
  hooks: sent.hooks ?? { onWaiting: false, onEnd: false },
  settings: sent.settings ?? {},
});
