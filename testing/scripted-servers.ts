/**
 * The two scripted servers behind one pipeline: log → fault → quirk → response.
 *
 * Rule: requests of sockets and requests in process take the same way. Only `sandbox.ts` imports it.
 */
import { setMaxListeners } from 'node:events';
import { createApi } from '../api/app.ts';
import { DEFAULT_TENANT, keyAuth, openAuth } from '../api/auth.ts';
import { hashKey } from '../api/keys.ts';
import { serveApi } from '../api/serve.ts';
import type { ServedApi } from '../api/serve.ts';
import { createClock } from './clock.ts';
import type { SandboxClock } from './clock.ts';
import { createSandboxEngine } from './assistants-server/engine.ts';
import type { SandboxEngine } from './assistants-server/engine.ts';
import { noQuirks } from './assistants-server/quirks.ts';
import type { Quirks } from './assistants-server/quirks.ts';
import { applyFault } from './fault-effects.ts';
import { createFaults } from './faults.ts';
import { randomIds } from './ids.ts';
import { bodyOfText, headersOf, remember } from './log.ts';
import type { LoggedRequest } from './log.ts';
import { createScriptedModel, scriptedModels } from './model.ts';
import { seedReferencePage } from './reference.ts';
import type { ReferencePage } from './reference.ts';
import { reshape } from './reshape.ts';
import type { ScriptCatalogue } from './script.ts';
import type { SandboxOptions } from './sandbox-options.ts';
import { catalogue } from './scripts.ts';
import { ConnectionLost, loseConnection } from './wire.ts';
import type { SocketEnv } from './wire.ts';

const RUN_PATH = /^\/v1\/threads\/[^/]+\/runs\/([^/]+)$/;

/** Answers a request in the place of the server; null = not one of its requests. */
export type RequestFilter = (request: Request) => Promise<Response> | null;

const asUnstreamed = (body: unknown): string | null => {
  if (typeof body !== 'object' || body === null || !('stream' in body)) return null;
  return JSON.stringify({ ...body, stream: false });
};

/** A promise that rejects when the caller gives up or the sandbox closes. */
const foreverUntil = (signal: AbortSignal, closing: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const over = AbortSignal.any([signal, closing]);
    const lost = (): void => reject(new ConnectionLost());
    if (over.aborted) lost();
    else over.addEventListener('abort', lost, { once: true });
  });

/** The request with its body read, and as the quirk `noStreaming` leaves it. */
const readRequest = async (given: Request, quirks: Quirks): Promise<{ request: Request; body: unknown }> => {
  if (given.method === 'GET' || given.method === 'HEAD') return { request: given, body: null };
  const text = await given.text();
  const body = bodyOfText(text);
  const sent = (quirks.noStreaming ? asUnstreamed(body) : null) ?? text;
  const headers = new Headers(given.headers);
  headers.set('content-length', String(Buffer.byteLength(sent)));
  const request = new Request(given.url, {
    method: given.method,
    headers,
    body: sent === '' ? null : sent,
    signal: given.signal,
  });
  return { request, body };
};

/** The options that are set, without those that are undefined. */
const setOptions = <K extends keyof SandboxOptions>(options: SandboxOptions, ...names: K[]) =>
  Object.fromEntries(
    names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  ) as { [N in K]?: NonNullable<SandboxOptions[N]> };

/** Both servers behind one pipeline. */
export class ScriptedServers {
  readonly clock: SandboxClock;
  readonly scripts: ScriptCatalogue;
  readonly quirks: Quirks;
  readonly faults = createFaults();
  readonly requests: LoggedRequest[] = [];
  readonly engine: SandboxEngine;
  readonly #options: SandboxOptions;
  readonly #closing = new AbortController();
  readonly #api: ReturnType<typeof createApi>;
  readonly #model: (request: Request) => Promise<Response>;

  constructor(options: SandboxOptions) {
    this.#options = options;
    setMaxListeners(0, this.#closing.signal);
    const clock = options.clock ?? createClock();
    const scripts = catalogue(options.scripts);
    const quirks: Quirks = { ...noQuirks(), ...options.quirks };
    this.clock = clock;
    this.scripts = scripts;
    this.quirks = quirks;
    const shared = {
      clock,
      scripts,
      quirks,
      ids: options.ids ?? randomIds,
      defaultScript: options.defaultScript ?? 'auto',
    };
    this.engine = createSandboxEngine({
      ...shared,
      ...setOptions(options, 'expiresInSeconds', 'pickupMs', 'cancelMs'),
    });
    const auth =
      options.apiKey === undefined
        ? openAuth()
        : keyAuth([{ tenant: DEFAULT_TENANT, sha256: hashKey(options.apiKey), tools: '*' }]);
    this.#api = createApi({
      engine: this.engine,
      models: async () => scriptedModels(scripts, Math.floor(clock.now() / 1000)),
      auth,
      ...setOptions(options, 'keepAliveMs'),
    });
    this.#model = createScriptedModel({
      ...shared,
      auth,
      forever: (signal) => foreverUntil(signal, this.#closing.signal),
    });
  }

  /** Log → fault → quirks → the server itself. */
  async handle(face: 'api' | 'model', given: Request, env: SocketEnv | undefined): Promise<Response> {
    const { pathname: path, search: query } = new URL(given.url);
    const { request, body } = await readRequest(given, this.quirks);
    const action = this.faults.take(given.method, path);
    const entry: LoggedRequest = {
      face,
      at: this.clock.now(),
      method: given.method,
      path,
      query,
      headers: headersOf(given.headers),
      body,
      status: null,
      fault: action?.kind ?? null,
    };
    remember(this.requests, entry);
    const process = async (): Promise<Response> =>
      reshape(await (face === 'model' ? this.#model(request) : this.#api.fetch(request, env)), this.quirks);
    const response =
      action === null
        ? await process()
        : await applyFault(action, {
            clock: this.clock,
            env,
            process,
            forever: () => foreverUntil(given.signal, this.#closing.signal),
            staleRun: (back) => this.#staleRun(given.method, path, back),
          });
    entry.status = response.headers.has('x-hono-already-sent') ? null : response.status;
    if (this.#options.ownDate === true)
      response.headers.set('date', new Date(this.clock.now()).toUTCString());
    return response;
  }

  /** A server on its own socket. A connection that a fault broke is broken there too. */
  async serve(face: 'api' | 'model', port: number, control: RequestFilter): Promise<ServedApi> {
    return await serveApi(
      {
        open: true,
        shutdown: () => this.shutdown(),
        fetch: async (request, env) => {
          const socket = env as SocketEnv | undefined;
          const controlled = control(request);
          if (controlled !== null) return await controlled;
          try {
            return await this.handle(face, request, socket);
          } catch (error) {
            if (error instanceof ConnectionLost) return loseConnection(socket);
            throw error;
          }
        },
      },
      { port, drainMs: 500 },
    );
  }

  seedReferencePage(): ReferencePage {
    const { expiresInSeconds } = this.#options;
    return seedReferencePage(
      this.engine,
      this.clock,
      expiresInSeconds === undefined ? {} : { lifetimeMs: expiresInSeconds * 1000 },
    );
  }

  reset(): void {
    this.engine.reset();
    this.faults.clear();
    this.requests.length = 0;
  }

  /** Ends streams and hanging requests. */
  shutdown(): void {
    this.#api.shutdown();
    this.#closing.abort();
  }

  /** The state that the run had `back` changes ago; null when the request does not read a run. */
  #staleRun(method: string, path: string, back: number): unknown {
    const runId = method === 'GET' ? RUN_PATH.exec(path)?.[1] : undefined;
    return runId === undefined ? null : (this.engine.history(runId).at(-1 - back) ?? null);
  }
}
