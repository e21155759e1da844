/**
 * `--suite models`: what the native adapters cost on top of the libraries that they stand on, `openai-compatible` on top of a
 * bare reader, and what they hold in memory.
 *
 * Adapter and library ask the same server in turns, one request at a time, in one process; both are warm. The library is
 * called as its documents describe, over Node's own `fetch`. For the time to the first token, which includes the request, the
 * server holds the other pieces back; for a whole turn all pieces arrive at once.
 */
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createMistral } from '@ai-sdk/mistral';
import { createOpenAI } from '@ai-sdk/openai';
import type { SdkModel } from '../../backends/models/ai-sdk/sdk-types.ts';
import { openModel, type ModelKind } from '../../backends/models/open-model.ts';
import type { Model, ModelRequest } from '../../protocol/ports/model.ts';
import { UNKNOWN_CAPABILITIES } from '../../protocol/rules/resolve-model.ts';
import { forked, gone } from '../processes.ts';
import { figureText } from '../table.ts';
import { quantile } from '../usage.ts';
import { bareReader, olderAdapter, type Asked } from './chat-completions.ts';

export interface ModelRow {
  what: string;
  library: number | null;
  ours: number;
  unit: string;
}

type Native = Exclude<ModelKind, 'openai-compatible'>;

const apiKey = 'key-1';
const MODEL = 'model-a';

const LIBRARIES: Readonly<Record<Native, { path: string; library: (baseURL: string) => SdkModel }>> = {
  'openai-responses': {
    path: '/v1',
    library: (baseURL) => createOpenAI({ baseURL, apiKey }).responses(MODEL),
  },
  anthropic: { path: '/v1', library: (baseURL) => createAnthropic({ baseURL, apiKey }).languageModel(MODEL) },
  google: {
    path: '/v1beta',
    library: (baseURL) => createGoogleGenerativeAI({ baseURL, apiKey }).languageModel(MODEL),
  },
  mistral: { path: '/v1', library: (baseURL) => createMistral({ baseURL, apiKey }).languageModel(MODEL) },
  bedrock: { path: '', library: (baseURL) => createAmazonBedrock({ baseURL, apiKey }).languageModel(MODEL) },
};

const QUESTION = 'What is there to see in Paris?';

const REQUEST: ModelRequest = {
  model: MODEL,
  messages: [{ role: 'user', content: [{ type: 'text', text: QUESTION }] }],
  tools: [],
  toolChoice: null,
  parallelToolCalls: true,
  responseFormat: null,
  temperature: null,
  topP: null,
  reasoningEffort: null,
  maxOutputTokens: null,
  capabilities: UNKNOWN_CAPABILITIES,
};

interface Times {
  first: number;
  whole: number;
}

const timed = async (run: TimedRun): Promise<Times> => {
  const began = performance.now();
  let first: number | null = null;
  await run(() => void (first ??= performance.now() - began));
  const whole = performance.now() - began;
  return { first: first ?? whole, whole };
};

/** Calls `first` at the first token, and resolves at the end of the turn. */
export type TimedRun = (first: () => void) => Promise<void>;

const byLibrary =
  (library: SdkModel): TimedRun =>
  async (first) => {
    const { stream } = await library.doStream({
      prompt: [{ role: 'user', content: [{ type: 'text', text: QUESTION }] }],
    });
    const reader = stream.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read())
      if ((next.value as { type: string }).type === 'text-delta') first();
  };

const signal = new AbortController().signal;

const byAdapter =
  (model: Model): TimedRun =>
  async (first) => {
    const controls = { signal, deadline: Date.now() + 600_000 };
    for await (const parts of model.turn(REQUEST, controls))
      if (parts.some((part) => part.kind === 'text')) first();
  };

/** The first turns of each pair, which warm both up. */
const WARM_UP = 100;

const compared = async (
  what: string,
  part: keyof Times,
  turns: number,
  sides: { library: TimedRun; ours: TimedRun },
): Promise<ModelRow> => {
  const theirs: Times[] = [];
  const ours: Times[] = [];
  for (let turn = 0; turn < turns + WARM_UP; turn += 1) {
    const [one, other] = [await timed(sides.library), await timed(sides.ours)];
    if (turn < WARM_UP) continue;
    theirs.push(one);
    ours.push(other);
  }
  const p50 = (list: readonly Times[]): number =>
    quantile(
      list.map((times) => times[part]),
      0.5,
    );
  return {
    what: `${what}: ${part === 'first' ? 'time to first token' : 'whole turn of 100 pieces'}, p50`,
    library: p50(theirs),
    ours: p50(ours),
    unit: 'ms',
  };
};

/** Both figures: the first token where the server holds the rest back, and the whole turn where it does not. */
const figures = async (
  what: string,
  turns: number,
  url: string,
  sidesAt: (url: string) => Promise<{ library: TimedRun; ours: TimedRun; close(): Promise<void> }>,
): Promise<ModelRow[]> => {
  const rows: ModelRow[] = [];
  for (const part of ['first', 'whole'] as const) {
    const sides = await sidesAt(part === 'first' ? `${url}/held` : url);
    try {
      rows.push(await compared(what, part, turns, sides));
    } finally {
      await sides.close();
    }
  }
  return rows;
};

/** `openai-compatible` against another reader of the same server. */
const compatibleAgainst =
  (against: (asked: Asked) => TimedRun | Promise<TimedRun>) => async (origin: string) => {
    const asked = { baseUrl: `${origin}/v1`, apiKey, model: MODEL, question: QUESTION };
    const model = await openModel('openai-compatible', { baseUrl: asked.baseUrl, apiKey });
    return { library: await against(asked), ours: byAdapter(model), close: () => model.dispose() };
  };

/** `before`: a checkout of the commit whose adapter is measured, too. */
const compatible = async (url: string, turns: number, before: string | null): Promise<ModelRow[]> => {
  const rows = await figures(
    'openai-compatible, against a bare reader',
    turns,
    url,
    compatibleAgainst(bareReader),
  );
  if (before === null) return rows;
  const older = compatibleAgainst((asked) => olderAdapter(before, asked));
  return [...rows, ...(await figures('openai-compatible, against the adapter before', turns, url, older))];
};

export const benchModels = async (
  turns: number,
  before: string | null,
  told: (phase: string) => void,
): Promise<ModelRow[]> => {
  const rows: ModelRow[] = [];
  const { child, ready } = await forked('models/server.ts', {});
  const { url } = ready as { url: string };
  try {
    told('models: openai-compatible');
    rows.push(...(await compatible(url, turns, before)));
    for (const [kind, { path, library }] of Object.entries(LIBRARIES)) {
      told(`models: ${kind}`);
      const sidesAt = async (origin: string) => {
        const baseUrl = `${origin}${path}`;
        const model = await openModel(kind as Native, { baseUrl, apiKey });
        return { library: byLibrary(library(baseUrl)), ours: byAdapter(model), close: () => model.dispose() };
      };
      rows.push(...(await figures(kind, turns, url, sidesAt)));
    }
  } finally {
    await gone(child);
  }
  told('models: memory');
  const memory = await forked('models/memory.ts', {});
  await gone(memory.child);
  const grown = Object.entries(memory.ready as Record<string, number>);
  for (const [kind, bytes] of [
    ...grown,
    ['all kinds', grown.reduce((sum, [, one]) => sum + one, 0)] as const,
  ])
    rows.push({ what: `${kind}: memory once loaded`, library: null, ours: bytes / 1_048_576, unit: 'MiB' });
  return rows;
};

export const modelTable = (rows: readonly ModelRow[]): string =>
  [
    '| figure | library alone | adapter | ratio |',
    '|---|---|---|---|',
    ...rows.map(({ what, library, ours, unit }) =>
      [
        '',
        what,
        figureText(library, unit),
        figureText(ours, unit),
        library === null ? '–' : (ours / library).toFixed(2),
        '',
      ]
        .join(' | ')
        .trim(),
    ),
  ].join('\n');
