/** Whole streams of model servers, byte for byte: recorded from a server that was run, or written from its documents. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { streamAs } from '../../support/chat-wire.ts';
import { checkTurn, collectTurn, outcomeOf, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';

const FOLDER = join(import.meta.dirname, 'recorded');
const server = useModelServer();

/** File → how the turn ends, its token counts, and what goes back with it. */
const STREAMS: Record<string, [outcome: string, tokens: [number, number] | null, back?: string]> = {
  'azure-text': ['stop "Sunny."', [12, 2]],
  'deepseek-reasoning': ['stop "Sunny."', [18, 30], 'The user asks.'],
  'gemini-tool-call': ['tool_calls get_weather({"city":"Paris"})', [60, 15], 'c2lnbmF0dXJl'],
  'groq-text': ['stop "Sunny."', [18, 2]],
  'mistral-thinking': ['stop "Sunny."', [20, 21]],
  'mistral-tool-call': ['tool_calls get_weather({"city": "Paris"})', [94, 22], 'D681PevKs'],
  'ollama-tool-call': ['tool_calls get_weather({"city":"Paris"})', [157, 19]],
  'openrouter-error': ['error:broken_off retry', null],
  'openrouter-text': ['stop "Sunny."', [14, 3]],
  'openrouter-tool-call': ['tool_calls get_weather({"city":"Paris"})', [60, 15], 'c2lnbmF0dXJl'],
  'tgi-text': ['stop "Sunny."', [40, 3]],
  'vllm-tool-call': ['tool_calls get_weather({"city": "Paris"})', [170, 20]],
};

describe('a recorded stream is read as its server means it', () => {
  test.each(Object.entries(STREAMS))('%s', async (name, [outcome, tokens, back = '']) => {
    server.script(streamAs('text/event-stream', readFileSync(join(FOLDER, `${name}.sse`))));
    const turn = await collectTurn(server.model, withTools());
    checkTurn(turn);
    expect(outcomeOf(turn)).toBe(outcome);
    expect(turn.usage === null ? null : [turn.usage.promptTokens, turn.usage.completionTokens]).toEqual(
      tokens,
    );
    expect(JSON.stringify(turn.turn)).toContain(back);
  });

  test('and every stream in the folder is', () => {
    expect(readdirSync(FOLDER).toSorted()).toEqual(Object.keys(STREAMS).map((name) => `${name}.sse`));
  });
});
