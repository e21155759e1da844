/** Answers of Google's generateContent, as steps of a scripted HTTP server; forms from its reference. Tests only. */
import type { Scenario } from './model-contract.ts';
import { json, sse, type Step } from './scripted-http.ts';

type Fields = Record<string, unknown>;

export const googleChunk = (parts: Fields[], finishReason: string | null = null, more: Fields = {}): string =>
  `data: ${JSON.stringify({
    candidates: [
      {
        content: { role: 'model', parts },
        index: 0,
        ...(finishReason === null ? {} : { finishReason }),
      },
    ],
    usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 5, totalTokenCount: 8 },
    modelVersion: 'gemini',
    responseId: 'r1',
    ...more,
  })}\r\n\r\n`;

const refuses = (status: number, word: string, message: string, more: Fields[] = []): Step =>
  json({ error: { code: status, message, status: word, details: more } }, status);

export const googleStep = (scenario: Scenario): Step => {
  switch (scenario.kind) {
    case 'text': {
      const { prompt, completion, cached, reasoning } = scenario.usage;
      return sse([
        ...scenario.pieces.map((text) => googleChunk([{ text }])),
        googleChunk([{ text: '' }], 'STOP', {
          usageMetadata: {
            promptTokenCount: prompt,
            candidatesTokenCount: completion - reasoning,
            thoughtsTokenCount: reasoning,
            cachedContentTokenCount: cached,
            totalTokenCount: prompt + completion,
          },
        }),
      ]);
    }
    case 'calls':
      return sse([
        googleChunk(
          scenario.calls.map(({ name, pieces }, at) => ({
            functionCall: { id: `own_${at}`, name, args: JSON.parse(pieces.join('')) as unknown },
            ...(at === 0 ? { thoughtSignature: scenario.signature } : {}),
          })),
        ),
        googleChunk([], 'STOP'),
      ]);
    case 'unknown':
      return sse([
        `data: ${JSON.stringify({ moonPhase: 'full' })}\n\n`,
        googleChunk([{ hologram: { rays: 3 } }, { text: scenario.text, mood: { calm: true } }], null, {
          lumen: [1],
        }),
        googleChunk([], 'STOP', { usageMetadata: { promptTokenCount: 3, glow: { a: 1 } } }),
      ]);
    case 'object':
      return sse([googleChunk([{ text: scenario.text }], 'STOP')]);
    case 'length':
      return sse([googleChunk([{ text: scenario.text }], 'MAX_TOKENS')]);
    case 'filtered':
      return sse([googleChunk([{ text: scenario.text }], 'SAFETY')]);
    case 'cut':
    case 'stalls':
    case 'ends_early':
      return sse(
        [googleChunk([{ text: scenario.text }])],
        scenario.kind === 'cut' ? 'cut' : scenario.kind === 'stalls' ? 'hold' : 'end',
      );
    case 'huge':
      return sse([googleChunk([{ text: 'a' }]), `data: ${'x'.repeat(scenario.chars)}`], 'hold');
    case 'breaks_inside':
      return sse([
        googleChunk([{ text: scenario.text }]),
        `data: ${JSON.stringify({ error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } })}\n\n`,
      ]);
    case 'too_long':
      return refuses(
        400,
        'INVALID_ARGUMENT',
        'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
      );
    case 'unauthorized':
      return refuses(401, 'UNAUTHENTICATED', 'API key not valid.');
    case 'unavailable':
      return refuses(503, 'UNAVAILABLE', 'The model is overloaded.');
    case 'failed':
      return refuses(500, 'INTERNAL', 'An internal error has occurred.');
    case 'rejected':
      return refuses(400, 'INVALID_ARGUMENT', 'Request contains an invalid argument.');
    default:
      return refuses(429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted.', [
        { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${scenario.retryAfterSeconds}s` },
      ]);
  }
};
