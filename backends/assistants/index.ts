/**
 * The backend for an upstream server of the runs wire, Azure Foundry classic included.
 *
 * Rule: the server's state is the truth; this backend reads it, changes it at most once per request, and keeps nothing
 * of its own but what it learned about the server (does it stream, does it return metadata).
 * Imports the HTTP client and protocol. The worker's composition root and tests import it.
 */
import type { Backend } from '../../protocol/ports/backend.ts';
import { METADATA } from '../../protocol/temporal/names.ts';
import { createHttpClient, type HttpClientOptions, type HttpTimeouts } from '../http/index.ts';
import { createAssistantsApi } from './api.ts';
import { close } from './close.ts';
import { follow } from './follow.ts';
import { create } from './create.ts';
import type { PollBounds } from './assess.ts';
import { probe } from './probe.ts';
import { withSession, type BackendEnv, type Settings } from './session.ts';
import { submit } from './submit.ts';

/** How `createAssistantsBackend` reaches a server of the runs API. */
export interface AssistantsOptions {
  /** Root of the API, such as `https://api.example.com/v1` or `https://r.services.ai.azure.com/api/projects/p`. */
  baseUrl: string;
  /** Sent as a bearer token. A function is asked for every request, so a rotated key works from the next one on. */
  apiKey?: string | (() => string | Promise<string>) | undefined;
  /** Azure: sent as `api-version` with every request, and the `OpenAI-Beta` header is left out. */
  apiVersion?: string | undefined;
  /** Further headers for every request. */
  headers?: Readonly<Record<string, string>>;
  timeouts?: HttpTimeouts;
  /** Pauses between readings. Defaults: a tenth of the segment's age, 100 ms to 2 s; hints up to 60 s; unknown states at least 1 s apart for 5 min. */
  poll?: Partial<PollBounds>;
  /** `never` asks no server for event streams. Default `auto`. */
  stream?: 'auto' | 'never';
  /** Milliseconds to wait before looking for the effect of a request whose fate is unknown. Default 3000. */
  settleMs?: number;
  /** What to do when the outcome of a create is unknown: fail with `BackendAmbiguous` (default), or risk a second run. */
  onAmbiguousCreate?: 'fail' | 'retry';
  /** Milliseconds that `close` waits for an end in one attempt. Default 60,000. */
  closeWithinMs?: number;
  /** Milliseconds for which a reading that contradicts an accepted submit counts as an old one. Default 2000. */
  staleMs?: number;
  /** Milliseconds between heartbeats. Default 2000. */
  heartbeatEveryMs?: number;
  /** Sockets for calls. Default 64; streams have their own. */
  connections?: number;
  /** Carries the requests in the place of sockets of our own; never closed here. */
  dispatcher?: HttpClientOptions['dispatcher'];
  now?: () => number;
  random?: () => number;
}

export interface AssistantsBackend extends Backend {
  readonly kind: 'assistants';
  /** Drops all connections. */
  dispose(): Promise<void>;
}

const settingsFrom = (options: AssistantsOptions): Settings => ({
  poll: {
    factor: 0.1,
    minMs: 100,
    maxMs: 2000,
    hintMaxMs: 60_000,
    unknownFloorMs: 1000,
    unknownLimitMs: 300_000,
    ...options.poll,
  },
  settleMs: options.settleMs ?? 3000,
  staleMs: options.staleMs ?? 2000,
  lookBackMs: 300_000,
  // Below the usual heartbeat timeout of 10 s, less the 2 s that a heartbeat may be held back.
  repostWithinMs: 7_000,
  closeWithinMs: options.closeWithinMs ?? 60_000,
  cancelEveryMs: 5000,
  streamMaxMs: 900_000,
  heartbeatEveryMs: options.heartbeatEveryMs ?? 2000,
  onAmbiguousCreate: options.onAmbiguousCreate ?? 'fail',
  random: options.random ?? Math.random,
});

/** Throws `TypeError` when the base URL is unusable. Sends nothing until it is used. */
export const createAssistantsBackend = (options: AssistantsOptions): AssistantsBackend => {
  const azure = options.apiVersion !== undefined && options.apiVersion !== '';
  const env: BackendEnv = {
    api: createAssistantsApi(
      createHttpClient({
        baseUrl: options.baseUrl,
        apiKey: options.apiKey,
        headers: { ...(azure ? {} : { 'openai-beta': 'assistants=v2' }), ...options.headers },
        ...(azure ? { query: { 'api-version': options.apiVersion ?? '' } } : {}),
        ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
        ...(options.connections === undefined ? {} : { connections: options.connections }),
        ...(options.dispatcher === undefined ? {} : { dispatcher: options.dispatcher }),
        ...(options.now === undefined ? {} : { now: options.now }),
      }),
    ),
    settings: settingsFrom(options),
    learned: { streams: options.stream !== 'never', echoesMetadata: null },
  };
  return {
    kind: 'assistants',
    createThread: (request, ctx) =>
      withSession(env, ctx, async (s) => {
        ctx.fence();
        // An empty thread whose id was lost on the way is harmless, so this is simply retried.
        const metadata = { ...request.metadata, [METADATA.token]: request.runId };
        return { threadId: await env.api.createThread(metadata, s.caller) };
      }),
    create: (request, ctx) => withSession(env, ctx, (s) => create(s, request)),
    submit: (run, _round, outputs, ctx) => withSession(env, ctx, (s) => submit(s, run, outputs)),
    follow: (run, ctx) => withSession(env, ctx, (s) => follow(s, run)),
    close: (target, how, ctx) => withSession(env, ctx, (s) => close(s, target, how)),
    probe: (signal) => probe(env.api, signal),
    dispose: () => env.api.dispose(),
  };
};
