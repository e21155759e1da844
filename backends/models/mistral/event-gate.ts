/**
 * Chunks of Mistral's chat completions, as far as a turn needs them.
 *
 * Rule: contents of other kinds than text and thinking do not reach the library, and of those that do only the named fields. The
 * answer is whole when a reason for its end has come. Pure. Imported by the adapter and tests.
 */
import { DROP, type EventGate, type GateVerdict } from '../ai-sdk/event-gate.ts';
import { isErrorBody } from '../openai-compatible/error-report.ts';
import { asList, count, record, text } from '../openai-compatible/json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

type Fields = Record<string, unknown>;

const contentOf = (content: unknown): string | Fields[] | null => {
  if (!Array.isArray(content)) return typeof content === 'string' ? content : null;
  return content.flatMap((value): Fields[] => {
    const chunk = record(value);
    if (chunk['type'] === 'text') return [{ type: 'text', text: text(chunk['text']) }];
    if (chunk['type'] !== 'thinking') return [];
    const thinking =
      typeof chunk['thinking'] === 'string'
        ? [{ type: 'text', text: chunk['thinking'] }]
        : asList(chunk['thinking'])
            .filter((one) => record(one)['type'] === 'text')
            .map((one) => ({ type: 'text', text: text(record(one)['text']) }));
    return [{ type: 'thinking', thinking }];
  });
};

const callOf = (value: unknown): Fields => {
  const call = record(value);
  const called = record(call['function']);
  const args = called['arguments'];
  const id = text(call['id']);
  return {
    index: count(call['index']),
    // Later pieces of a call have no id, or this word.
    ...(id === '' || id === 'null' ? {} : { id }),
    function: {
      ...(text(called['name']) === '' ? {} : { name: text(called['name']) }),
      ...(args == null ? {} : { arguments: typeof args === 'string' ? args : JSON.stringify(args) }),
    },
  };
};

const usageOf = (value: unknown): Fields | null => {
  if (!isRecord(value)) return null;
  const prompt = count(value['prompt_tokens']) ?? 0;
  const completion = count(value['completion_tokens']) ?? 0;
  const cached =
    count(value['num_cached_tokens']) ?? count(record(value['prompt_tokens_details'])['cached_tokens']);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...(cached === null ? {} : { num_cached_tokens: cached }),
  };
};

export class MistralGate implements EventGate {
  readonly countsFollow = true;
  reason: string | null = null;
  whole = false;

  event(value: Fields): GateVerdict {
    if (isErrorBody(value)) return { kind: 'error', body: value };
    const usage = usageOf(value['usage']);
    const choice = record(asList(value['choices'])[0]);
    const reason = text(choice['finish_reason']);
    if (reason !== '') {
      this.reason = reason;
      this.whole = true;
    }
    const delta = record(choice['delta']);
    const content = contentOf(delta['content']);
    const calls = asList(delta['tool_calls']).map(callOf);
    if (content === null && calls.length === 0 && usage === null && reason === '') return DROP;
    return {
      kind: 'pass',
      value: {
        choices: [
          {
            index: 0,
            delta: { content, ...(calls.length === 0 ? {} : { tool_calls: calls }) },
            finish_reason: reason === '' ? null : reason,
          },
        ],
        ...(usage === null ? {} : { usage }),
      },
    };
  }
}
