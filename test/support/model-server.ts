/**
 * A scripted server and a model of the chat-completions adapter before each test of a file.
 *
 * Rule: each test gets a new model, because limits that a model has learned change later turns. Tests only.
 */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import {
  createOpenAiCompatible,
  type OpenAiCompatibleOptions,
} from '../../backends/models/openai-compatible/index.ts';
import type { Model } from '../../protocol/ports/model.ts';
import { scriptedHttp, type ScriptedHttp, type Step } from './scripted-http.ts';

export interface ModelServer {
  readonly model: Model;
  readonly http: ScriptedHttp;
  script(...steps: Step[]): void;
  /** The parsed body of a request of this test. */
  sent(index: number): Record<string, unknown>;
  /** Another model before the same server, disposed of after the test. */
  another(options: Partial<OpenAiCompatibleOptions>): Model;
}

export const useModelServer = (options: Partial<OpenAiCompatibleOptions> = {}): ModelServer => {
  const state: { http?: ScriptedHttp; models: Model[] } = { models: [] };
  const http = (): ScriptedHttp => {
    if (state.http === undefined) throw new Error('the server is up within tests only');
    return state.http;
  };
  const create = (more: Partial<OpenAiCompatibleOptions>): Model => {
    const model = createOpenAiCompatible({ baseUrl: `${http().url}/v1`, settleMs: 30, ...options, ...more });
    state.models.push(model);
    return model;
  };
  beforeAll(async () => {
    state.http = await scriptedHttp();
  });
  beforeEach(() => {
    http().script.length = 0;
    http().requests.length = 0;
    create({});
  });
  afterEach(async () => {
    for (const model of state.models.splice(0)) await model.dispose();
  });
  afterAll(() => http().close());
  return {
    get model() {
      const [first] = state.models;
      if (first === undefined) throw new Error('the model is there within tests only');
      return first;
    },
    get http() {
      return http();
    },
    script: (...steps) => void http().script.push(...steps),
    sent: (index) => JSON.parse(http().requests[index]?.body ?? 'null') as Record<string, unknown>,
    another: create,
  };
};
