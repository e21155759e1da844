/**
 * The process that receives hostile input: API, service and store of the runs server, workflows that accept everything
 * and do nothing, and the chat backend for the hostile models. It measures itself between two messages of its parent.
 *
 * Rule: load of the machine does not count: the longest block is CPU time of this process between two turns of its
 * event loop, not wall time. Runs as a separate process.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createApi, keyAuth, parseApiKeys, serveApi } from '../../api/index.ts';
import type { BackendContext } from '../../protocol/ports/backend.ts';
import { mintId } from '../../protocol/wire/ids.ts';
import { createRunsService } from '../../service/index.ts';
import { openStore } from '../../store/index.ts';
import { chatOnServer } from '../../test/support/chat-backend.ts';

export type Order =
  | { kind: 'begin' }
  | { kind: 'end' }
  /** One attempt of a run whose model is at this address. */
  | { kind: 'attempt'; modelUrl: string; runId: string; threadId: string; assistantId: string };

export interface Measured {
  /** Longest CPU time between two turns of the event loop, in milliseconds. */
  holdMs: number;
  /** The same by the clock: longer when others use the machine. */
  wallMs: number;
  cpuMs: number;
  /** Highest resident memory above what it was before, in bytes. */
  grownBytes: number;
}

const TURN_MS = 1;

const measuring = (): (() => Measured) => {
  globalThis.gc?.();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const before = process.memoryUsage.rss();
  const began = process.cpuUsage();
  let [turn, hold, highest] = [process.cpuUsage(), 0, before];
  const look = (): void => {
    const { user, system } = process.cpuUsage(turn);
    turn = process.cpuUsage();
    hold = Math.max(hold, (user + system) / 1_000);
    highest = Math.max(highest, process.memoryUsage.rss());
  };
  const timer = setInterval(look, TURN_MS);
  return () => {
    look();
    clearInterval(timer);
    delay.disable();
    const used = process.cpuUsage(began);
    return {
      holdMs: hold,
      wallMs: delay.max / 1e6,
      cpuMs: (used.user + used.system) / 1_000,
      grownBytes: highest - before,
    };
  };
};

const store = await openStore({ databaseUrl: process.env['BENCH_DATABASE'] ?? '' });
const service = createRunsService({
  store,
  client: {
    workflows: {
      start: async ({ runId }) => ({ runId: runId ?? '', started: true }),
      cancel: async () => undefined,
      answer: () => Promise.reject(new Error('no worker')),
      submitToolOutputs: () => Promise.reject(new Error('no worker')),
      tools: async () => [],
      look: async () => 'running',
      trace: async () => null,
      history: async () => null,
      running: async (runIds) => new Set(runIds),
      brokenOffSince: async () => [],
      ping: async () => undefined,
      namespaceId: async () => ({ id: 'bench', name: 'bench' }),
    },
  },
});
const served = await serveApi(
  createApi({ engine: service, auth: keyAuth(parseApiKeys(process.env['BENCH_KEYS'] ?? '')) }),
);

const contextOf = (): BackendContext => ({
  signal: new AbortController().signal,
  attempt: 1,
  heartbeat: () => {},
  previous: null,
  fence: () => {},
  now: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
  plan: (calls) =>
    calls.map((call) => ({
      ...call,
      plan: { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } },
    })),
  log: { debug() {}, info() {}, warn() {}, error() {} },
});

/** What the attempt came to. */
const attempt = async (order: Extract<Order, { kind: 'attempt' }>): Promise<string> => {
  const backend = chatOnServer({ store, baseUrl: order.modelUrl });
  const now = Date.now();
  try {
    const { runId, threadId, assistantId } = order;
    const settled = await backend.create(
      { runId, threadId, assistantId, params: {}, busy: 'fail', startedAt: now, expiresAt: now + 600_000 },
      contextOf(),
    );
    return settled.status;
  } catch (error) {
    const { type, retryable } = error as { type?: string; retryable?: boolean };
    return type === undefined ? String(error) : `${type}${retryable === true ? ', retried' : ''}`;
  } finally {
    await backend.dispose();
  }
};

let end: (() => Measured) | null = null;
const reply = (value: unknown): void => void process.send?.({ reply: value });
process.on('message', (order: Order) => {
  if (order.kind === 'begin') {
    end = measuring();
    reply(null);
  } else if (order.kind === 'end') reply(end?.());
  else void attempt(order).then(reply);
});
process.on('disconnect', () => {
  void served.close().then(() => store.close());
});
process.send?.({ ready: { url: served.url, minted: mintId('req') } });
