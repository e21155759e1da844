/** Answers of OpenAI's Responses, as steps of a scripted HTTP server; forms from its reference of streaming events. Tests only. */
import type { Scenario } from './model-contract.ts';
import { json, sse, type Step } from './scripted-http.ts';

type Fields = Record<string, unknown>;

export const responsesEvent = (type: string, fields: Fields = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: 1, ...fields })}\n\n`;

export const responsesStart = (): string =>
  responsesEvent('response.created', {
    response: {
      id: 'resp_1',
      object: 'response',
      created_at: 1_700_000_000,
      status: 'in_progress',
      model: 'm',
    },
  });

export const responsesText = (at: number, ...pieces: string[]): string[] => [
  responsesEvent('response.output_item.added', {
    output_index: at,
    item: { id: `msg_${at}`, type: 'message', status: 'in_progress', role: 'assistant', content: [] },
  }),
  responsesEvent('response.content_part.added', {
    item_id: `msg_${at}`,
    output_index: at,
    content_index: 0,
    part: { type: 'output_text', text: '', annotations: [] },
  }),
  ...pieces.map((delta) =>
    responsesEvent('response.output_text.delta', {
      item_id: `msg_${at}`,
      output_index: at,
      content_index: 0,
      delta,
    }),
  ),
  responsesEvent('response.output_item.done', {
    output_index: at,
    item: { id: `msg_${at}`, type: 'message', status: 'completed', role: 'assistant', content: [] },
  }),
];

export const responsesReasoning = (at: number, encrypted: string, ...summary: string[]): string[] => [
  responsesEvent('response.output_item.added', {
    output_index: at,
    item: { id: `rs_${at}`, type: 'reasoning', summary: [] },
  }),
  ...summary.flatMap((delta, index) => [
    responsesEvent('response.reasoning_summary_part.added', {
      item_id: `rs_${at}`,
      output_index: at,
      summary_index: index,
      part: { type: 'summary_text', text: '' },
    }),
    responsesEvent('response.reasoning_summary_text.delta', {
      item_id: `rs_${at}`,
      output_index: at,
      summary_index: index,
      delta,
    }),
    responsesEvent('response.reasoning_summary_part.done', {
      item_id: `rs_${at}`,
      output_index: at,
      summary_index: index,
      part: { type: 'summary_text', text: delta },
    }),
  ]),
  responsesEvent('response.output_item.done', {
    output_index: at,
    item: { id: `rs_${at}`, type: 'reasoning', summary: [], encrypted_content: encrypted },
  }),
];

export const responsesCall = (at: number, callId: string, name: string, ...pieces: string[]): string[] => {
  const item = { id: `fc_${at}`, type: 'function_call', call_id: callId, name };
  return [
    responsesEvent('response.output_item.added', {
      output_index: at,
      item: { ...item, status: 'in_progress', arguments: '' },
    }),
    ...pieces.map((delta) =>
      responsesEvent('response.function_call_arguments.delta', {
        item_id: `fc_${at}`,
        output_index: at,
        delta,
      }),
    ),
    responsesEvent('response.output_item.done', {
      output_index: at,
      item: { ...item, status: 'completed', arguments: pieces.join('') },
    }),
  ];
};

export const responsesEnd = (
  usage: Fields = { input_tokens: 3, output_tokens: 5, total_tokens: 8 },
  incomplete: string | null = null,
): string => {
  const status = incomplete === null ? 'completed' : 'incomplete';
  return responsesEvent(`response.${status}`, {
    response: {
      id: 'resp_1',
      status,
      usage,
      incomplete_details: incomplete === null ? null : { reason: incomplete },
    },
  });
};

const refuses = (status: number, code: string, message: string, headers: Record<string, string> = {}): Step =>
  json({ error: { message, type: 'invalid_request_error', param: null, code } }, status, headers);

export const responsesStep = (scenario: Scenario): Step => {
  switch (scenario.kind) {
    case 'text': {
      const { prompt, completion, cached, reasoning } = scenario.usage;
      return sse([
        responsesStart(),
        ...responsesText(0, ...scenario.pieces),
        responsesEnd({
          input_tokens: prompt,
          input_tokens_details: { cached_tokens: cached },
          output_tokens: completion,
          output_tokens_details: { reasoning_tokens: reasoning },
          total_tokens: prompt + completion,
        }),
      ]);
    }
    case 'calls':
      return sse([
        responsesStart(),
        ...responsesReasoning(0, scenario.signature),
        ...scenario.calls.flatMap(({ name, pieces }, at) =>
          responsesCall(at + 1, `call_own_${at}`, name, ...pieces),
        ),
        responsesEnd(),
      ]);
    case 'unknown':
      return sse([
        responsesStart(),
        responsesEvent('response.moon_phase', { phase: 'full' }),
        responsesEvent('response.output_item.added', {
          output_index: 7,
          item: { type: 'hologram', id: 'ho_1' },
        }),
        responsesEvent('response.output_text.delta', { item_id: 'ho_1', delta: 'ray' }),
        ...responsesText(0, scenario.text),
        responsesEvent('response.output_item.done', {
          output_index: 7,
          item: { type: 'hologram', id: 'ho_1' },
        }),
        responsesEnd({ input_tokens: 3, output_tokens: 5, lumen: { a: 1 } }),
      ]);
    case 'object':
      return sse([responsesStart(), ...responsesText(0, scenario.text), responsesEnd()]);
    case 'length':
      return sse([
        responsesStart(),
        ...responsesText(0, scenario.text),
        responsesEnd(undefined, 'max_output_tokens'),
      ]);
    case 'filtered':
      return sse([
        responsesStart(),
        ...responsesText(0, scenario.text),
        responsesEnd(undefined, 'content_filter'),
      ]);
    case 'cut':
    case 'stalls':
    case 'ends_early':
      return sse(
        [responsesStart(), ...responsesText(0, scenario.text)],
        scenario.kind === 'cut' ? 'cut' : scenario.kind === 'stalls' ? 'hold' : 'end',
      );
    case 'huge':
      return sse([responsesStart(), `data: ${'x'.repeat(scenario.chars)}`], 'hold');
    case 'breaks_inside':
      return sse([
        responsesStart(),
        ...responsesText(0, scenario.text),
        responsesEvent('response.failed', {
          response: {
            id: 'resp_1',
            status: 'failed',
            error: { code: 'server_error', message: 'It failed.' },
          },
        }),
      ]);
    case 'too_long':
      return refuses(400, 'context_length_exceeded', 'Your input exceeds the context window of this model.');
    case 'unauthorized':
      return refuses(401, 'invalid_api_key', 'Incorrect API key');
    case 'unavailable':
      return refuses(503, 'server_is_overloaded', 'Overloaded');
    case 'failed':
      return refuses(500, 'server_error', 'The server had an error');
    case 'rejected':
      return refuses(400, 'invalid_value', 'Invalid value');
    default:
      return refuses(429, 'rate_limit_exceeded', 'Slow down', {
        'retry-after': String(scenario.retryAfterSeconds),
      });
  }
};
