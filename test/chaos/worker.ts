/**
 * The worker process of a drill: `runs worker` as production composes it, with fault points around its ports.
 *
 * Rule: the only place that reads what a drill wants (`DRILL_…`), once, at its start.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createAssistantsBackend } from '../../backends/assistants/index.ts';
import type { HttpTimeouts } from '../../backends/http/index.ts';
import type { Backend, BackendObservation } from '../../protocol/ports/backend.ts';
import { configFromEnv } from '../../worker/config.ts';
import { runWorker } from '../../worker/run-worker.ts';
import { chatOnServer } from '../support/chat-backend.ts';
import { createFaults, parseFaults } from './faults.ts';
import { openLedger } from './ledger.ts';
import { faultyBackend, faultyStore } from './ports.ts';
import { drillTools } from './tools.ts';

/** Short, so that a half-open socket is noticed within a drill; the rules behind them are production's. */
const TIMEOUTS: HttpTimeouts = {
  connectMs: 2_000,
  headersMs: 3_000,
  bodyGapMs: 2_000,
  totalMs: 6_000,
  streamGapMs: 3_000,
};
const HEARTBEAT_EVERY_MS = 200;

const { env } = process;
const dir = env['DRILL_DIR'] ?? '';
const label = env['DRILL_WORKER'] ?? String(process.pid);
const ledger = openLedger(join(dir, 'ledger.jsonl'));
const faults = createFaults(parseFaults(env['DRILL_FAULTS'] ?? ''), ({ point, occurrence, action }) => {
  ledger.append({ kind: 'struck', point, occurrence, action });
  process.kill(process.pid, action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
});
const observe = (what: BackendObservation): void => {
  if (what.kind === 'duplicate_run') ledger.append({ kind: 'duplicate', backendRunId: what.backendRunId });
};

const config = configFromEnv(env);
const common = {
  baseUrl: config.baseUrl ?? '',
  ...(config.apiKey === null ? {} : { apiKey: config.apiKey }),
};
const headers = { 'x-drill-worker': label };

const chat = async (databaseUrl: string): Promise<Backend> => {
  const { openStore } = await import('../../store/index.ts');
  const store = await openStore({ databaseUrl });
  return chatOnServer({
    ...common,
    store: faultyStore(store, faults),
    firstByteMs: 4_000,
    gapMs: 3_000,
    http: { headers },
  });
};

const backend =
  config.databaseUrl === null
    ? createAssistantsBackend({
        ...common,
        headers,
        timeouts: TIMEOUTS,
        heartbeatEveryMs: HEARTBEAT_EVERY_MS,
      })
    : await chat(config.databaseUrl);

// A successor is loaded and waits here for its predecessor's death, so that recovery can be measured without its loading.
const released = (): boolean => env['DRILL_HOLD'] === undefined || existsSync(env['DRILL_HOLD']);
while (!released()) await pause(5);

await runWorker(config, {
  backends: { [backend.kind]: faultyBackend(backend, faults, observe) },
  tools: drillTools(dir, faults),
});
// The store's connections would keep the process; it is a drill's, and has nothing left to say.
process.exit(0);
