/**
 * What `openai-compatible` is held against: a bare reader of chat completions, and the adapter of an older checkout.
 *
 * The bare reader is what a program of its own would have: undici, a split at blank lines, `JSON.parse`. The older
 * adapter is the one that backends had before the port for models: commit 89741aa, in a directory of its own.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Pool } from 'undici';
import type { TimedRun } from './suite.ts';

export interface Asked {
  baseUrl: string;
  apiKey: string;
  model: string;
  question: string;
}

interface Delta {
  choices: { delta: { content?: string } }[];
}

const bodyOf = ({ model, question }: Asked): Record<string, unknown> => ({
  model,
  messages: [{ role: 'user', content: question }],
  stream: true,
  stream_options: { include_usage: true },
});

export const bareReader = (asked: Asked): TimedRun => {
  const { origin, pathname } = new URL(asked.baseUrl);
  const pool = new Pool(origin, { pipelining: 1 });
  return async (first) => {
    const { body } = await pool.request({
      method: 'POST',
      path: `${pathname}/chat/completions`,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${asked.apiKey}` },
      body: JSON.stringify(bodyOf(asked)),
    });
    const decoder = new TextDecoder();
    let held = '';
    for await (const bytes of body) {
      const events = (held + decoder.decode(bytes as Uint8Array, { stream: true })).split('\n\n');
      held = events.pop() ?? '';
      for (const event of events) {
        if (event === 'data: [DONE]') continue;
        const chunk = JSON.parse(event.slice(6)) as Delta;
        if ((chunk.choices[0]?.delta.content ?? '') !== '') first();
      }
    }
  };
};

interface News {
  kind: string;
}
/** Of the older checkout, whose types are not at hand. */
interface OlderModel {
  ask(asking: {
    body: () => Record<string, unknown>;
    signal: AbortSignal;
    observe: () => void;
    reader: unknown;
    onNews: (news: News[]) => Promise<void>;
  }): Promise<void>;
}
interface OlderParts {
  createModel: (http: unknown, timeouts: { firstByteMs: number; gapMs: number }) => OlderModel;
  createTurnReader: (mint: () => string) => unknown;
  createHttpClient: (options: { baseUrl: string; apiKey: string }) => unknown;
}

export const olderAdapter = async (checkout: string, asked: Asked): Promise<TimedRun> => {
  const load = async (...path: string[]): Promise<object> =>
    (await import(pathToFileURL(join(checkout, 'backends', ...path)).href)) as object;
  const { createModel, createTurnReader, createHttpClient } = {
    ...(await load('chat', 'model.ts')),
    ...(await load('chat', 'chunks.ts')),
    ...(await load('http', 'index.ts')),
  } as OlderParts;
  const http = createHttpClient({ baseUrl: asked.baseUrl, apiKey: asked.apiKey });
  const model = createModel(http, { firstByteMs: 600_000, gapMs: 300_000 });
  const { signal } = new AbortController();
  let calls = 0;
  return (first) =>
    model.ask({
      body: () => bodyOf(asked),
      signal,
      observe: () => undefined,
      reader: createTurnReader(() => `call_${(calls += 1)}`),
      onNews: (news) => {
        if (news.some(({ kind }) => kind === 'text')) first();
        return Promise.resolve();
      },
    });
};
