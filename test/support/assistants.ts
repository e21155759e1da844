/**
 * The assistants backend in front of the sandbox, on a socket, with both on the sandbox's clock.
 *
 * Rule: the backend's requests are read from the sandbox's log, as short words (`POST run`, `GET run`, `GET runs`,
 * `POST submit`, `GET steps`, `POST cancel`), so a test can list the exact requests that a fault may cost. Tests only.
 */
import {
  createAssistantsBackend,
  type AssistantsBackend,
  type AssistantsOptions,
} from '../../backends/assistants/index.ts';
import type { BusyPolicy, CreateRequest, Settled } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import { METADATA } from '../../protocol/temporal/names.ts';
import type { Run, ToolOutput } from '../../protocol/wire/objects.ts';
import { createSandbox, type FaultAction, type Sandbox, type SandboxOptions } from '../../testing/index.ts';
import { fakeContext, type FakeContext, type FakeContextOptions } from './backend-context.ts';

export interface Harness {
  sandbox: Sandbox;
  backend: AssistantsBackend;
  thread(): Promise<string>;
  request(threadId: string, script: string, more?: Partial<CreateRequest>): CreateRequest;
  context(more?: FakeContextOptions): FakeContext;
  /** Requests since the last `forget`, as words, oldest first. */
  asked(): string[];
  count(word: string): number;
  forget(): void;
  fault(word: keyof typeof ROUTES, action: FaultAction, times?: number): void;
  /** A raw request that is not logged as the backend's. */
  call(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Starts a run of somebody else. */
  foreignRun(threadId: string, script: string): Promise<Run>;
  runs(): Run[];
  close(): Promise<void>;
}

/** Words for requests, and the paths they stand for. */
const ROUTES = {
  'POST thread': ['POST', /^\/v1\/threads$/],
  'POST run': ['POST', /\/threads\/[^/]+\/runs$/],
  'GET runs': ['GET', /\/threads\/[^/]+\/runs$/],
  'GET run': ['GET', /\/runs\/[^/]+$/],
  'POST submit': ['POST', /\/submit_tool_outputs$/],
  'POST cancel': ['POST', /\/cancel$/],
  'GET steps': ['GET', /\/steps$/],
  'GET assistants': ['GET', /\/assistants$/],
} as const satisfies Record<string, readonly [string, RegExp]>;

const wordOf = (method: string, path: string): string =>
  Object.entries(ROUTES).find(([, [verb, pattern]]) => verb === method && pattern.test(path))?.[0] ??
  `${method} ${path}`;

export const TOKEN = 'run_ours';

export const harness = async (
  options: { sandbox?: SandboxOptions; backend?: Partial<AssistantsOptions> } = {},
): Promise<Harness> => {
  const sandbox = await createSandbox({ ownDate: true, ...options.sandbox });
  const backend = createAssistantsBackend({
    baseUrl: sandbox.url,
    random: () => 0.5,
    now: () => sandbox.clock.now(),
    heartbeatEveryMs: 20,
    ...options.backend,
  });
  const words: string[] = [];
  let skip = 0;
  const asked = (): string[] => sandbox.requests.slice(skip).map(({ method, path }) => wordOf(method, path));
  const forget = (): void => {
    skip = sandbox.requests.length;
    words.length = 0;
  };
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${sandbox.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', 'openai-beta': 'assistants=v2' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const at = sandbox.requests.findLastIndex((request) => request.path.endsWith(path.split('?')[0] ?? path));
    if (at >= skip) sandbox.requests.splice(at, 1);
    return response.json();
  };
  return {
    sandbox,
    backend,
    async thread() {
      const { id } = (await call('POST', '/threads', {})) as { id: string };
      return id;
    },
    request: (threadId, script, more = {}) => ({
      runId: TOKEN,
      threadId,
      assistantId: `asst_${script}`,
      params: {},
      busy: 'fail' satisfies BusyPolicy,
      startedAt: sandbox.clock.now(),
      expiresAt: null,
      ...more,
    }),
    context: (more = {}) =>
      fakeContext({
        now: () => sandbox.clock.now(),
        advance: (ms) => void sandbox.clock.advance(ms),
        ...more,
      }),
    asked,
    count: (word) => asked().filter((one) => one === word).length,
    forget,
    fault: (word, action, times = 1) => {
      const [method, path] = ROUTES[word];
      sandbox.faults.add({ match: { method, path }, action, times });
    },
    call,
    foreignRun: async (threadId, script) =>
      (await call('POST', `/threads/${threadId}/runs`, { assistant_id: `asst_${script}` })) as Run,
    runs: () => sandbox.engine.runs(),
    async close() {
      await backend.dispose();
      await sandbox.close();
    },
  };
};

export const callIds = (settled: Settled): string[] =>
  settled.status === 'requires_action' ? settled.calls.map(({ callId }) => callId) : [];

export const outputsFor = (settled: Settled, text = 'output of'): ToolOutput[] =>
  callIds(settled).map((id, index) => ({ tool_call_id: id, output: `${text} ${index}` }));

export const refOf = (settled: Settled): { backendRunId: string; threadId: string } => {
  if (settled.run === null) throw new Error(`expected a run, got ${JSON.stringify(settled)}`);
  return settled.run;
};

/** The `BackendError` that a promise rejects with; anything else fails the test. */
export const errorOf = async (promise: Promise<unknown>): Promise<BackendError> => {
  const error = await promise.then(
    (value) => new Error(`expected a failure, got ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof BackendError) return error;
  throw error;
};

export const withToken = (runs: readonly Run[], token = TOKEN): Run[] =>
  runs.filter(({ metadata }) => metadata[METADATA.token] === token);
