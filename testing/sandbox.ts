/**
 * The sandbox: a runs API and a chat model that play scripts, on sockets and in process, with faults, quirks and a
 * clock.
 *
 * Rule: one pipeline for both servers and both ways in (log → fault → quirk → response), so what a test proves in
 * process holds on a socket. Ships with the package; the demo, the tests and the drills use it.
 */
import { setMaxListeners } from 'node:events';
import { createApi } from '../api/app.ts';
import { DEFAULT_TENANT, keyAuth, openAuth } from '../api/auth.ts';
import { hashKey } from '../api/keys.ts';
import { serveApi } from '../api/serve.ts';
import type { ServedApi } from '../api/serve.ts';
import { createClock } from './clock.ts';
import type { SandboxClock } from './clock.ts';
import { answerControl, isControl } from './control.ts';
import { createSandboxEngine } from './assistants-server/engine.ts';
import type { SandboxEngine } from './assistants-server/engine.ts';
import { noQuirks } from './assistants-server/quirks.ts';
import type { Quirks } from './assistants-server/quirks.ts';
import { applyFault } from './fault-effects.ts';
import { createFaults } from './faults.ts';
import type { Faults } from './faults.ts';
import { randomIds } from './ids.ts';
import type { IdSource } from './ids.ts';
import { bodyOfText, headersOf, remember } from './log.ts';
import type { LoggedRequest } from './log.ts';
import { createScriptedModel, scriptedModels } from './model.ts';
import { seedReferencePage } from './reference.ts';
import type { ReferencePage } from './reference.ts';
import { reshape } from './reshape.ts';
import type { Script, ScriptCatalogue, ScriptEntry } from './script.ts';
import { catalogue } from './scripts.ts';
import { ConnectionLost, loseConnection } from './wire.ts';
import type { SocketEnv } from './wire.ts';

export interface SandboxOptions {
  /** Port of the runs API on 127.0.0.1. Default 0: any free one. */
  port?: number;
  /** Port of the chat model on 127.0.0.1. Default 0: any free one. */
  modelPort?: number;
  /** false = no sockets: `fetch` only. Default true. */
  listen?: boolean;
  /** Default: one that runs by itself and can be advanced. */
  clock?: SandboxClock;
  /** Default: random. `seededIds(seed)` repeats itself. */
  ids?: IdSource;
  /** Your scripts, by name; they join the built-in ones and win over them. */
  scripts?: Record<string, Script | ScriptEntry>;
  /** Script of models and assistants that name none. Default `auto`. */
  defaultScript?: string;
  /** Seconds from a run's creation to its expiry. Default 600. */
  expiresInSeconds?: number;
  /** Answers say the sandbox's own time in `date`, as a server whose clock is wrong does. Default false: this machine's. */
  ownDate?: boolean;
  /** Milliseconds a run stays `queued`. Default 0. */
  pickupMs?: number;
  /** Milliseconds a run stays `cancelling`. Default 0. */
  cancelMs?: number;
  /** Differences from the original API, from the start. They may be changed later in `quirks`. */
  quirks?: Partial<Quirks>;
  /** When set, both faces want `Authorization: Bearer <apiKey>`. */
  apiKey?: string;
  /** Serve `/sandbox/…` (clock, faults, quirks, log) on the runs API's socket. Default false. */
  controls?: boolean;
  /** Milliseconds between comments on a silent stream. Default 15 000. */
  keepAliveMs?: number;
}

export interface Sandbox {
  /** Base URL of the runs API; ends in `/v1`. */
  url: string;
  /** Base URL of the chat model; ends in `/v1`. */
  modelUrl: string;
  /** Both servers in process, whatever the host: `/v1/chat/completions` and `/v1/models` are the model's. */
  fetch: (request: Request) => Promise<Response>;
  clock: SandboxClock;
  faults: Faults;
  quirks: Quirks;
  /** Every request, oldest first. */
  requests: LoggedRequest[];
  scripts: ScriptCatalogue;
  /** The scripted runs server itself: for simulations and audits. */
  engine: SandboxEngine;
  /** Makes `thread_123`, and `run_123` waiting for `call_001`. */
  seedReferencePage(): ReferencePage;
  /** Forgets objects, faults and the log; keeps sockets, clock, scripts and quirks. */
  reset(): void;
  close(): Promise<void>;
}

const MODEL_PATH = /\/(?:chat\/completions|models)$/;
const RUN_PATH = /^\/v1\/threads\/[^/]+\/runs\/([^/]+)$/;

const asUnstreamed = (body: unknown): string | null => {
  if (typeof body !== 'object' || body === null || !('stream' in body)) return null;
  return JSON.stringify({ ...body, stream: false });
};

export const createSandbox = async (options: SandboxOptions = {}): Promise<Sandbox> => {
  const clock = options.clock ?? createClock();
  const ids = options.ids ?? randomIds;
  const scripts = catalogue(options.scripts);
  const defaultScript = options.defaultScript ?? 'auto';
  const quirks: Quirks = { ...noQuirks(), ...options.quirks };
  const faults = createFaults();
  const requests: LoggedRequest[] = [];
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  const engine = createSandboxEngine({
    clock,
    ids,
    scripts,
    defaultScript,
    quirks,
    ...(options.expiresInSeconds === undefined ? {} : { expiresInSeconds: options.expiresInSeconds }),
    ...(options.pickupMs === undefined ? {} : { pickupMs: options.pickupMs }),
    ...(options.cancelMs === undefined ? {} : { cancelMs: options.cancelMs }),
  });

  const forever = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      const over = AbortSignal.any([signal, closing.signal]);
      const lost = (): void => reject(new ConnectionLost());
      if (over.aborted) lost();
      else over.addEventListener('abort', lost, { once: true });
    });

  const keys =
    options.apiKey === undefined
      ? openAuth()
      : keyAuth([{ tenant: DEFAULT_TENANT, sha256: hashKey(options.apiKey), tools: '*' }]);
  const api = createApi({
    engine,
    models: async () => scriptedModels(scripts, Math.floor(clock.now() / 1000)),
    auth: keys,
    ...(options.keepAliveMs === undefined ? {} : { keepAliveMs: options.keepAliveMs }),
  });
  const model = createScriptedModel({ clock, ids, scripts, defaultScript, quirks, auth: keys, forever });

  const staleRun =
    (method: string, path: string) =>
    (back: number): unknown => {
      const runId = method === 'GET' ? RUN_PATH.exec(path)?.[1] : undefined;
      return runId === undefined ? null : (engine.history(runId).at(-1 - back) ?? null);
    };

  /** Log → fault → quirks → the server itself. */
  const handle = async (
    face: 'api' | 'model',
    given: Request,
    env: SocketEnv | undefined,
  ): Promise<Response> => {
    const { pathname: path, search: query } = new URL(given.url);
    let request = given;
    let body: unknown = null;
    if (given.method !== 'GET' && given.method !== 'HEAD') {
      const text = await given.text();
      body = bodyOfText(text);
      const sent = (quirks.noStreaming ? asUnstreamed(body) : null) ?? text;
      const headers = new Headers(given.headers);
      headers.set('content-length', String(Buffer.byteLength(sent)));
      request = new Request(given.url, {
        method: given.method,
        headers,
        body: sent === '' ? null : sent,
        signal: given.signal,
      });
    }
    const action = faults.take(given.method, path);
    const entry: LoggedRequest = {
      face,
      at: clock.now(),
      method: given.method,
      path,
      query,
      headers: headersOf(given.headers),
      body,
      status: null,
      fault: action?.kind ?? null,
    };
    remember(requests, entry);
    const process = async (): Promise<Response> =>
      reshape(await (face === 'model' ? model(request) : api.fetch(request, env)), quirks);
    const response =
      action === null
        ? await process()
        : await applyFault(action, {
            clock,
            env,
            process,
            forever: () => forever(given.signal),
            staleRun: staleRun(given.method, path),
          });
    entry.status = response.headers.has('x-hono-already-sent') ? null : response.status;
    if (options.ownDate === true) response.headers.set('date', new Date(clock.now()).toUTCString());
    return response;
  };

  const reset = (): void => {
    engine.reset();
    faults.clear();
    requests.length = 0;
  };
  const reference = (): ReferencePage =>
    seedReferencePage(
      engine,
      clock,
      options.expiresInSeconds === undefined ? {} : { lifetimeMs: options.expiresInSeconds * 1000 },
    );
  const controlled = { clock, faults, quirks, requests, scripts, seedReferencePage: reference, reset };

  /** A server on its own socket. A connection that a fault broke is broken there too. */
  const onSocket = (face: 'api' | 'model'): Parameters<typeof serveApi>[0] => ({
    open: true,
    shutdown: () => {
      api.shutdown();
      closing.abort();
    },
    fetch: async (request, env) => {
      const socket = env as SocketEnv | undefined;
      if (options.controls === true && face === 'api' && isControl(new URL(request.url).pathname))
        return answerControl(request, controlled);
      try {
        return await handle(face, request, socket);
      } catch (error) {
        if (error instanceof ConnectionLost) return loseConnection(socket);
        throw error;
      }
    },
  });

  let served: ServedApi[] = [];
  if (options.listen !== false) {
    const drainMs = 500;
    served = [await serveApi(onSocket('api'), { port: options.port ?? 0, drainMs })];
    try {
      served.push(await serveApi(onSocket('model'), { port: options.modelPort ?? 0, drainMs }));
    } catch (error) {
      await Promise.all(served.map((server) => server.close()));
      throw error;
    }
  }

  return {
    url: served[0]?.url ?? 'http://sandbox.test/v1',
    modelUrl: served[1]?.url ?? 'http://sandbox.test/v1',
    fetch: (request) =>
      handle(MODEL_PATH.test(new URL(request.url).pathname) ? 'model' : 'api', request, undefined),
    ...controlled,
    engine,
    async close() {
      closing.abort();
      api.shutdown();
      await Promise.all(served.map((server) => server.close()));
      engine.reset();
      if (options.clock === undefined) clock.stop();
    },
  };
};
