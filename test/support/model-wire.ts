/**
 * A scripted server before an adapter, as the contract of models needs it.
 *
 * Rule: a file brings how its wire plays a scenario, and how the adapter is made; sockets and disposal are the same for all. Tests only.
 */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Model } from '../../protocol/ports/model.ts';
import type { ModelWire, Scenario } from './model-contract.ts';
import { scriptedHttp, type ScriptedHttp, type Step } from './scripted-http.ts';

export interface WireOfAdapter {
  stepOf: (scenario: Scenario) => Step;
  create: (url: string) => Promise<Model>;
  repeats: ModelWire['repeats'];
  uncounted?: ModelWire['uncounted'];
}

const watched =
  (step: Step, closings: Promise<void>[]): Step =>
  (request, socket) => {
    closings.push(new Promise((resolve) => socket.once('close', () => resolve())));
    return step(request, socket);
  };

export interface UsedWire extends ModelWire {
  readonly http: ScriptedHttp;
  script(...steps: Step[]): void;
}

/** To be called once in a file; the server is up within tests only. */
export const useWire = ({ stepOf, create, repeats, uncounted = [] }: WireOfAdapter): (() => UsedWire) => {
  let server: ScriptedHttp | null = null;
  let model: Model | null = null;
  const closings: Promise<void>[] = [];
  const http = (): ScriptedHttp => {
    if (server === null) throw new Error('the server is up within tests only');
    return server;
  };
  beforeAll(async () => {
    server = await scriptedHttp();
  });
  beforeEach(async () => {
    http().script.length = 0;
    http().requests.length = 0;
    closings.length = 0;
    model = await create(http().url);
  });
  afterEach(async () => {
    await model?.dispose();
  });
  afterAll(() => http().close());
  return () => ({
    http: http(),
    script: (...steps) => void http().script.push(...steps.map((step) => watched(step, closings))),
    play: (...scenarios) =>
      void http().script.push(...scenarios.map((one) => watched(stepOf(one), closings))),
    requests: () => http().requests.map((one) => JSON.parse(one.body) as Record<string, unknown>),
    closed: async () => await closings.at(-1),
    create: () => {
      if (model === null) throw new Error('the model is there within tests only');
      return model;
    },
    repeats,
    uncounted,
  });
};
