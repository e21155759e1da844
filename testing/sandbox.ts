/**
 * The sandbox: a runs API and a chat model that play scripts, on sockets and in process, with faults, quirks and a
 * clock.
 *
 * Rule: one pipeline for both servers and both ways in (log → fault → quirk → response), so what a test proves in
 * process holds on a socket. Ships with the package; the demo, the tests and the drills use it.
 */
import type { ServedApi } from '../api/serve.ts';
import type { SandboxEngine } from './assistants-server/engine.ts';
import type { Quirks } from './assistants-server/quirks.ts';
import type { SandboxClock } from './clock.ts';
import { answerControl, isControl } from './control.ts';
import type { Faults } from './faults.ts';
import type { LoggedRequest } from './log.ts';
import type { ReferencePage } from './reference.ts';
import type { ScriptCatalogue } from './script.ts';
import { ScriptedServers } from './scripted-servers.ts';
import type { SandboxOptions } from './sandbox-options.ts';
import type { RequestFilter } from './scripted-servers.ts';

/** A running sandbox: its addresses, and what a test steers. */
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
/** Starts a scripted runs server and chat model on 127.0.0.1, or in process alone. Throws when a port is taken. */
export const createSandbox = async (options: SandboxOptions = {}): Promise<Sandbox> => {
  const servers = new ScriptedServers(options);
  const { clock, faults, quirks, requests, scripts, engine } = servers;
  const controlled = {
    clock,
    faults,
    quirks,
    requests,
    scripts,
    seedReferencePage: () => servers.seedReferencePage(),
    reset: () => servers.reset(),
  };
  const control: RequestFilter = (request) =>
    options.controls === true && isControl(new URL(request.url).pathname)
      ? answerControl(request, controlled)
      : null;
  const served: ServedApi[] = [];
  const closeServed = () => Promise.all(served.map((server) => server.close()));
  if (options.listen !== false) {
    try {
      served.push(await servers.serve('api', options.port ?? 0, control));
      served.push(await servers.serve('model', options.modelPort ?? 0, () => null));
    } catch (error) {
      await closeServed();
      throw error;
    }
  }
  return {
    url: served[0]?.url ?? 'http://sandbox.test/v1',
    modelUrl: served[1]?.url ?? 'http://sandbox.test/v1',
    fetch: (request) =>
      servers.handle(MODEL_PATH.test(new URL(request.url).pathname) ? 'model' : 'api', request, undefined),
    ...controlled,
    engine,
    async close() {
      servers.shutdown();
      await closeServed();
      engine.reset();
      if (options.clock === undefined) clock.stop();
    },
  };
};
