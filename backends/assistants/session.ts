/**
 * Context of one call of this backend: capabilities of the server, settings, heartbeats, and the translation of
 * transport failures.
 *
 * Rule: progress is reported by heartbeat at once when it changes, and repeated during every wait, so a silent stream
 * does not look like a dead worker. The details of an earlier attempt are kept until newer ones are known. Imports the
 * API and HTTP failures. The rest of this folder imports it.
 */
import type { BackendContext, Progress } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { HttpFailure, toBackendError } from '../http/index.ts';
import type { AssistantsApi, AssistantsCaller } from './api.ts';
import type { PollBounds } from './assess.ts';

export interface Settings {
  poll: PollBounds;
  /** After a request whose fate is unknown: how long to wait before looking for its effect. */
  settleMs: number;
  /** How long a reading that contradicts an accepted submit counts as an old one. */
  staleMs: number;
  /** How far before the workflow's start the search for the token reaches. */
  lookBackMs: number;
  /** How old an attempt may be that posts again after it was refused a busy thread; older ones leave that to the next. */
  repostWithinMs: number;
  /** How long `close` waits for an end before it gives the attempt up. */
  closeWithinMs: number;
  /** How often `close` repeats a cancel that seems to have been ignored. */
  cancelEveryMs: number;
  /** Longest life of one event stream; afterwards the run is polled. */
  streamMaxMs: number;
  heartbeatEveryMs: number;
  onAmbiguousCreate: 'fail' | 'retry';
  random: () => number;
}

/** Observed behaviour of the server; learned while the backend lives, never required. */
export interface ServerCapabilities {
  /** It answers `stream: true` with events. */
  streams: boolean;
  /** It returns run metadata: true once seen, null before. */
  echoesMetadata: boolean | null;
}

export interface BackendEnv {
  api: AssistantsApi;
  settings: Settings;
  learned: ServerCapabilities;
}

export interface BackendSession {
  env: BackendEnv;
  ctx: BackendContext;
  caller: AssistantsCaller;
  /** Replaces the heartbeat details for the next attempt. */
  progress(progress: Progress): void;
  /** Unix ms, our clock: waiting longer than this is of no use. */
  deadline: number | null;
}

export const fallback = (s: BackendSession, reason: string): void => {
  s.ctx.log.info({ reason }, 'polling the run instead of reading its stream');
  s.ctx.observe?.({ kind: 'fallback', reason });
};

export const unsupported = (
  what: string,
  origin: string,
  details: Record<string, unknown> = {},
): BackendError =>
  new BackendError(
    FAILURES.backendUnsupported,
    `The server at ${origin} shows ${what}, which this version can't handle. Close the run there, or use a newer version.`,
    { details: [{ what, ...details }] },
  );

export const toError = (s: BackendSession, error: unknown): unknown =>
  error instanceof HttpFailure
    ? toBackendError(error, {
        now: s.ctx.now(),
        attempt: s.ctx.attempt,
        deadline: s.deadline,
        random: s.env.settings.random,
      })
    : error;

/** Runs one call of the backend. Nothing but `BackendError`, the fence's error and the abort reason comes out. */
export const withSession = async <T>(
  env: BackendEnv,
  ctx: BackendContext,
  body: (session: BackendSession) => Promise<T>,
): Promise<T> => {
  ctx.signal.throwIfAborted();
  let current: Progress = ctx.previous ?? {};
  const session: BackendSession = {
    env,
    ctx,
    caller: { signal: ctx.signal, observe: (what) => ctx.observe?.(what) },
    deadline: null,
    progress(progress) {
      current = progress;
      ctx.heartbeat(current);
    },
  };
  const timer = setInterval(() => ctx.heartbeat(current), env.settings.heartbeatEveryMs);
  try {
    return await body(session);
  } catch (error) {
    throw toError(session, error);
  } finally {
    clearInterval(timer);
  }
};

/**
 * Sleeps for what is left of the settle time since a request was sent. Unknown (null) means that its attempt was lost
 * without a word, so at least a heartbeat timeout has passed, which is longer.
 */
export const settle = async (s: BackendSession, sentAt: number | null): Promise<void> => {
  if (sentAt === null) return;
  const left = s.env.settings.settleMs - Math.max(0, s.ctx.now() - sentAt);
  if (left > 0) await s.ctx.sleep(left);
};
