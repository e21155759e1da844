import { brotliCompressSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { body, data, DONE, ends, said, streamAs, wholeMessage } from '../../support/chat-wire.ts';
import { checkTurn, collectTurn, outcomeOf } from '../../support/model-turn.ts';
import { deferred } from '../../support/deferred.ts';
import { useModelServer } from '../../support/model-server.ts';
import { reply, sse, type Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const STREAM = said('Hel') + said('lo') + ends() + DONE;
const CHUNKS = [
  { choices: [{ index: 0, delta: { content: 'Hel' } }] },
  { choices: [{ index: 0, delta: { content: 'lo' }, finish_reason: 'stop' }] },
];
const WHOLE = JSON.stringify({
  choices: [{ index: 0, message: { content: 'Hello' }, finish_reason: 'stop' }],
});
const HELLO = 'stop "Hello"';
const BROKEN = 'error:broken_off retry';

const forms: [form: string, source: string, answer: Step, outcome: string][] = [
  ['an event stream', 'OpenAI', streamAs('text/event-stream', STREAM), HELLO],
  [
    'an event stream called plain text',
    'ramalama#2837',
    streamAs('text/plain; charset=utf-8', STREAM),
    HELLO,
  ],
  ['an event stream called octets', 'aichat#651', streamAs('application/octet-stream', STREAM), HELLO],
  ['an event stream called JSON', 'cc-switch-cli#170', streamAs('application/json', STREAM), HELLO],
  ['an event stream without a type', 'ktor#5836', streamAs(null, STREAM), HELLO],
  ['JSON called an event stream', 'reference', streamAs('text/event-stream', WHOLE), HELLO],
  ['JSON called plain text', 'reference', streamAs('text/plain', WHOLE), HELLO],
  [
    'JSON after white space',
    'DeepSeek keep-alive',
    streamAs('application/json', `\n\n  \n${WHOLE}\n`),
    HELLO,
  ],
  [
    'pretty JSON',
    'reference',
    streamAs('application/json', JSON.stringify(JSON.parse(WHOLE), null, 2)),
    HELLO,
  ],
  [
    'one chunk a line, no framing',
    'dify#4120',
    streamAs('application/x-ndjson', CHUNKS.map((one) => JSON.stringify(one)).join('\n')),
    HELLO,
  ],
  ['a byte order mark', 'reference', streamAs('text/event-stream', `\uFEFF${STREAM}`), HELLO],
  ['CRLF', 'reference', streamAs('text/event-stream', STREAM.replaceAll('\n', '\r\n')), HELLO],
  ['CR', 'reference', streamAs('text/event-stream', STREAM.replaceAll('\n', '\r')), HELLO],
  [
    'no space after `data:`',
    'reference',
    streamAs('text/event-stream', STREAM.replaceAll('data: ', 'data:')),
    HELLO,
  ],
  [
    'no blank lines between events',
    'reference',
    streamAs('text/event-stream', STREAM.replaceAll('\n\n', '\n')),
    HELLO,
  ],
  ['no blank line at the end', 'reference', streamAs('text/event-stream', STREAM.trimEnd()), HELLO],
  ['no `[DONE]`', 'reference', streamAs('text/event-stream', said('Hel') + said('lo') + ends()), HELLO],
  [
    'a bare `[DONE]`',
    'reference',
    streamAs('text/event-stream', `${said('Hel') + said('lo') + ends()}[DONE]\n\n`),
    HELLO,
  ],
  [
    'comments',
    'openai-go#227',
    streamAs(
      'text/event-stream',
      `: OPENROUTER PROCESSING\n\n${said('Hel')}: OPENROUTER PROCESSING\n\n${said('lo')}${ends()}${DONE}`,
    ),
    HELLO,
  ],
  [
    'empty `data:` heartbeats',
    'coddy-agent#106',
    streamAs('text/event-stream', `data:\n\n${said('Hel')}data: \n\n${said('lo')}${ends()}${DONE}`),
    HELLO,
  ],
  [
    '`event: ping` with text',
    'reference',
    streamAs('text/event-stream', `event: ping\ndata: 2026-11-26T14:00:00Z\n\n${STREAM}`),
    HELLO,
  ],
  [
    '`event: keepalive` without data',
    'OmniRoute#1146',
    streamAs('text/event-stream', `event: keepalive\n\n${STREAM}`),
    HELLO,
  ],
  ['`data: ping`', 'wave-agent#1326', streamAs('text/event-stream', `data: ping\n\n${STREAM}`), HELLO],
  [
    'a heartbeat as JSON',
    'copilot-api#88',
    streamAs('text/event-stream', `data: {"type":"ping"}\n\n${STREAM}`),
    HELLO,
  ],
  [
    'named events with ids',
    'llmgateway#2334',
    streamAs('text/event-stream', STREAM.replaceAll('data: ', 'id: 7\nevent: chunk\nretry: 100\ndata: ')),
    HELLO,
  ],
  [
    'chunks of old completions',
    'reference',
    streamAs(
      'text/event-stream',
      data({ choices: [{ index: 0, text: 'Hello', finish_reason: 'stop' }] }) + DONE,
    ),
    HELLO,
  ],
  [
    'content as parts',
    'Mistral',
    streamAs(
      'text/event-stream',
      data({ choices: [{ delta: { content: [{ type: 'text', text: 'Hello' }] }, finish_reason: 'stop' }] }) +
        DONE,
    ),
    HELLO,
  ],
  [
    'thinking among the parts of the content',
    'Mistral',
    wholeMessage({
      content: [
        { type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] },
        { type: 'text', text: 'Hello' },
      ],
    }),
    HELLO,
  ],
  [
    'gzip that nobody asked for',
    'reference',
    streamAs('text/event-stream', gzipSync(STREAM), { 'content-encoding': 'gzip' }),
    HELLO,
  ],
  [
    'brotli that nobody asked for',
    'reference',
    streamAs('text/event-stream', brotliCompressSync(STREAM), { 'content-encoding': 'br' }),
    HELLO,
  ],
  [
    'an unknown encoding',
    'reference',
    streamAs('text/event-stream', STREAM, { 'content-encoding': 'rot13' }),
    'error:rejected',
  ],
  [
    'a chunk that is cut in the middle',
    'reference',
    streamAs('text/event-stream', `${said('Hel')}data: {"choices":[{"del`),
    BROKEN,
  ],
  ['JSON that is cut in the middle', 'reference', streamAs('application/json', WHOLE.slice(0, 40)), BROKEN],
  ['a page', 'reference', streamAs('text/html', '<!doctype html><title>Welcome</title>'), 'error:rejected'],
  ['words', 'reference', body('upstream connect error or disconnect/reset before headers'), BROKEN],
  ['JSON that is no answer', 'reference', body({ hello: 'world' }), 'error:rejected'],
  ['a redirect', 'reference', reply(302, '', { location: 'https://elsewhere.example/' }), 'error:rejected'],
];

test.each(forms)('an answer is read in any framing: %s (%s)', async (_form, _source, answer, outcome) => {
  server.script(answer);
  const turn = await collectTurn(server.model);
  checkTurn(turn);
  expect(outcomeOf(turn)).toBe(outcome);
});

test('a piece is reported before the next one is sent, for any content type', async () => {
  const order: string[] = [];
  const told = deferred();
  server.script(async (_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n');
    socket.write(said('one'));
    await told.promise;
    order.push('sent');
    socket.end(said('two') + ends() + DONE);
  });
  await collectTurn(server.model, undefined, {
    onParts: (parts) => {
      for (const part of parts) if (part.kind === 'text') order.push(part.text);
      told.resolve();
    },
  });
  expect(order).toEqual(['one', 'sent', 'two']);
});

test('characters that are cut over chunks are read whole', async () => {
  const bytes = Buffer.from(said('für €') + ends() + DONE);
  server.script(sse([...bytes].map((byte) => Buffer.from([byte]))));
  expect(outcomeOf(await collectTurn(server.model))).toBe('stop "für €"');
});

test.each([
  ['an answer without an end', sse(Array.from({ length: 40 }, () => said('x'.repeat(1_000_000))))],
  ['an event without an end', sse([`data: ${'x'.repeat(9_000_000)}`])],
])('%s is given up for good', async (_form, answer) => {
  server.script(answer);
  expect(outcomeOf(await collectTurn(server.model))).toBe('error:rejected');
});
