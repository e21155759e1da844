/**
 * A chat-completions server without delay: the lower bound of the runs server. The model's name holds the answer:
 * `zero_t20_g10` = 20 pieces with 10 ms between them; `_k1` = one call of the first tool first, then the pieces.
 *
 * Rule: every piece holds its time of sending, and every request's arrival is stored under the key at the start of its
 * last user message (`key:…`), so lags are differences of two timestamps. Runs as a separate process and uses nothing
 * of the project but its clock.
 */
import { createServer, type ServerResponse } from 'node:http';
import { wallClock } from './usage.ts';

interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  tools?: { function: { name: string } }[];
}

interface ChatMessage {
  role: string;
  content: string | { text?: string }[] | null;
}

/** Key → when each request of that key arrived. */
const arrivals = new Map<string, number[]>();

const textOf = ({ content }: ChatMessage): string =>
  typeof content === 'string' ? content : (content ?? []).map(({ text }) => text ?? '').join('');

const sent = (response: ServerResponse, delta: unknown, finish: string | null = null): void => {
  response.write(
    `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
  );
};

const end = (response: ServerResponse, finish: string): void => {
  sent(response, {}, finish);
  response.write(
    `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } })}\n\n`,
  );
  response.end('data: [DONE]\n\n');
};

const answer = (response: ServerResponse, { model, messages, tools }: ChatRequest): void => {
  const number = (letter: string, otherwise: number): number =>
    Number(new RegExp(`_${letter}(\\d+)`).exec(model)?.[1] ?? otherwise);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const calls = number('k', 0);
  if (calls > 0 && messages.at(-1)?.role !== 'tool') {
    const tool_calls = Array.from({ length: calls }, (_, index) => ({
      index,
      id: `call_zero_${index}`,
      type: 'function',
      function: { name: tools?.[0]?.function.name ?? '', arguments: '{"text":"hello"}' },
    }));
    sent(response, { role: 'assistant', content: null, tool_calls });
    end(response, 'tool_calls');
    return;
  }
  const pieces = number('t', 1);
  const gap = number('g', 0);
  const began = performance.now();
  const say = (index: number): void => {
    if (index === pieces) return end(response, 'stop');
    sent(response, { content: `${wallClock().toFixed(2)} ` });
    // By the schedule, not by the last timer: lateness must not add up.
    if (gap === 0) setImmediate(say, index + 1);
    else setTimeout(say, Math.max(0, began + (index + 1) * gap - performance.now()), index + 1);
  };
  say(0);
};

const json = (response: ServerResponse, body: unknown): void => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

const server = createServer((request, response) => {
  const arrived = wallClock();
  const path = (request.url ?? '/').replace(/^\/v1\//, '');
  if (path.startsWith('stamps/')) return json(response, arrivals.get(path.slice('stamps/'.length)) ?? []);
  if (path !== 'chat/completions') return json(response, { object: 'list', data: [] });
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as ChatRequest;
    const asked = body.messages.findLast(({ role }) => role === 'user');
    const key = /^key:(\S+)/.exec(asked === undefined ? '' : textOf(asked))?.[1];
    if (key !== undefined) arrivals.set(key, [...(arrivals.get(key) ?? []), arrived]);
    answer(response, body);
  });
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null)
    process.send?.({ ready: `http://127.0.0.1:${address.port}/v1` });
});
process.on('disconnect', () => process.exit(0));
