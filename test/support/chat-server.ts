/** Answers of model servers, as steps of a scripted HTTP server. Tests only. */
import { json, sse, type Step } from './scripted-http.ts';

export interface SaidCall {
  id?: string;
  name: string;
  arguments: string;
}

const event = (body: unknown): string => `data: ${JSON.stringify(body)}\n\n`;

export const chunk = (delta: unknown, finish: string | null = null): string =>
  event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] });
export const usageChunk = (prompt: number, completion: number): string =>
  event({
    object: 'chat.completion.chunk',
    choices: [],
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  });
export const DONE = 'data: [DONE]\n\n';

export const says = (pieces: readonly string[], finish = 'stop'): Step =>
  sse([
    chunk({ role: 'assistant', content: '' }),
    ...pieces.map((content) => chunk({ content })),
    chunk({}, finish),
    usageChunk(10, 2),
    DONE,
  ]);

export const calls = (asked: readonly SaidCall[], finish = 'tool_calls'): Step =>
  sse([
    chunk({ role: 'assistant', content: null }),
    ...asked.flatMap((call, index) => [
      chunk({
        tool_calls: [
          {
            index,
            id: call.id ?? `their_${index}`,
            type: 'function',
            function: { name: call.name, arguments: '' },
          },
        ],
      }),
      chunk({ tool_calls: [{ index, function: { arguments: call.arguments } }] }),
    ]),
    chunk({}, finish),
    usageChunk(20, 5),
    DONE,
  ]);

export const refuses = (status: number, message: string, more: Record<string, unknown> = {}): Step =>
  json({ error: { message, type: 'invalid_request_error', param: null, code: null, ...more } }, status);

export const completion = (message: unknown, finish = 'stop'): Step =>
  json({
    object: 'chat.completion',
    choices: [{ index: 0, message, finish_reason: finish }],
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
  });
