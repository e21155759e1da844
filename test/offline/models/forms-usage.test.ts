import { expect, test } from 'vitest';
import type { ModelUsage } from '../../../protocol/ports/model.ts';
import { data, delta, DONE, ends, said, usage, wholeMessage } from '../../support/chat-wire.ts';
import { collectTurn } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { sse, type Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const counts = (
  promptTokens: number,
  completionTokens: number,
  more: Partial<ModelUsage> = {},
): ModelUsage => ({
  promptTokens,
  completionTokens,
  totalTokens: promptTokens + completionTokens,
  cachedTokens: null,
  reasoningTokens: null,
  ...more,
});
const stream = (...events: string[]): Step => sse([said('Hi'), ...events, DONE]);

const forms: [form: string, source: string, answer: Step, expected: ModelUsage | null][] = [
  [
    'a last chunk of its own',
    'OpenAI',
    stream(ends(), usage({ prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 })),
    counts(7, 3),
  ],
  [
    'with the reason',
    'Mistral',
    stream(ends('stop', { usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } })),
    counts(7, 3),
  ],
  [
    'in the choice',
    'pi#2017',
    stream(
      data({
        choices: [
          { index: 0, delta: {}, finish_reason: 'stop', usage: { prompt_tokens: 7, completion_tokens: 3 } },
        ],
      }),
    ),
    counts(7, 3),
  ],
  [
    'in the delta',
    'reference',
    stream(delta({ usage: { prompt_tokens: 7, completion_tokens: 3 } }, 'stop')),
    counts(7, 3),
  ],
  [
    'under `x_groq`',
    'Groq',
    stream(ends('stop', { x_groq: { usage: { prompt_tokens: 7, completion_tokens: 3 } } })),
    counts(7, 3),
  ],
  [
    'twice',
    'reference',
    stream(
      ends('stop', { usage: { prompt_tokens: 7, completion_tokens: 3 } }),
      usage({ prompt_tokens: 7, completion_tokens: 3 }),
    ),
    counts(7, 3),
  ],
  [
    'growing with every chunk',
    'vLLM continuous_usage_stats',
    stream(
      usage({ prompt_tokens: 7, completion_tokens: 1 }),
      usage({ prompt_tokens: 7, completion_tokens: 2 }),
      ends('stop', { usage: { prompt_tokens: 7, completion_tokens: 3 } }),
    ),
    counts(7, 3),
  ],
  [
    'as zeros at the end',
    'reference',
    stream(
      ends('stop', { usage: { prompt_tokens: 7, completion_tokens: 3 } }),
      usage({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
    ),
    counts(7, 3),
  ],
  [
    'as text',
    'reference',
    stream(ends('stop', { usage: { prompt_tokens: '7', completion_tokens: '3', total_tokens: '10' } })),
    counts(7, 3),
  ],
  [
    'without a total',
    'reference',
    stream(ends('stop', { usage: { prompt_tokens: 7, completion_tokens: 3 } })),
    counts(7, 3),
  ],
  [
    'with other names',
    'Anthropic proxies',
    stream(ends('stop', { usage: { input_tokens: 7, output_tokens: 3 } })),
    counts(7, 3),
  ],
  [
    '`usage: null` in every chunk',
    'OpenAI',
    stream(ends('stop', { usage: null }), usage({ prompt_tokens: 7, completion_tokens: 3 })),
    counts(7, 3),
  ],
  [
    'as timings',
    'llama.cpp',
    stream(ends('stop', { timings: { prompt_n: 7, predicted_n: 3 } })),
    counts(7, 3),
  ],
  [
    'with cached and reasoning tokens',
    'OpenAI',
    stream(
      ends(),
      usage({
        prompt_tokens: 7,
        completion_tokens: 3,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 2 },
      }),
    ),
    counts(7, 3, { cachedTokens: 4, reasoningTokens: 2 }),
  ],
  [
    'with cached tokens by another name',
    'DeepSeek',
    stream(ends('stop', { usage: { prompt_tokens: 7, completion_tokens: 3, prompt_cache_hit_tokens: 4 } })),
    counts(7, 3, { cachedTokens: 4 }),
  ],
  [
    'with cached tokens at the top',
    'AstrBot#6614',
    stream(ends('stop', { usage: { prompt_tokens: 7, completion_tokens: 3, cached_tokens: 4 } })),
    counts(7, 3, { cachedTokens: 4 }),
  ],
  [
    'absurd',
    'reference',
    stream(ends('stop', { usage: { prompt_tokens: 1e15, completion_tokens: -3 } })),
    null,
  ],
  ['absent', 'reference', stream(ends()), null],
  [
    'of a whole answer',
    'OpenAI',
    wholeMessage({ content: 'Hi' }, 'stop', {
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    }),
    counts(7, 3),
  ],
];

test.each(forms)('token counts are read %s (%s)', async (_form, _source, answer, expected) => {
  server.script(answer);
  expect((await collectTurn(server.model)).usage).toEqual(expected);
});
