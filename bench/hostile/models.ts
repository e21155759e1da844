/** A model server that answers in one hostile shape. The address names the shape (`/SHAPE/v1`). */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const delta = (value: unknown): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: value }] })}\n\n`;
const call = (index: number, args = '{}') => ({
  index,
  id: `x${index}`,
  function: { name: 'f', arguments: args },
});
const times = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index));
const END = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

/** Pieces of a stream, or a whole answer. */
type Shape = { stream: () => Iterable<string> } | { whole: () => string };

function* repeated(piece: string, count: number): Generator<string> {
  for (let at = 0; at < count; at += 1) yield piece;
}
const batches = (piece: string, each: number, count: number): Iterable<string> =>
  repeated(piece.repeat(each), count);

export const SHAPES: Readonly<Record<string, Shape>> = {
  '30,000 calls in a chunk': { stream: () => [delta({ tool_calls: times(30_000, (at) => call(at)) }), END] },
  '4,000 calls in a chunk': { stream: () => [delta({ tool_calls: times(4_000, (at) => call(at)) }), END] },
  '512 calls in a chunk': { stream: () => [delta({ tool_calls: times(512, (at) => call(at)) }), END] },
  '512 calls, 200,000 pieces': {
    stream: function* () {
      yield delta({ tool_calls: times(512, (at) => call(at, '')) });
      for (let round = 0; round < 390; round += 1)
        yield times(512, (at) => delta({ tool_calls: [{ index: at, function: { arguments: '1' } }] })).join(
          '',
        );
      yield END;
    },
  },
  '8 MB of arguments in 500 calls': {
    stream: function* () {
      for (let at = 0; at < 500; at += 1)
        yield delta({ tool_calls: [call(at, `{"a":"${'x'.repeat(16_000)}"}`)] });
      yield END;
    },
  },
  '300,000 words in large pieces': {
    stream: function* () {
      yield* batches(delta({ content: 'x ' }), 1_000, 300);
      yield END;
    },
  },
  '1,100,000 events of nothing': { stream: () => batches('data: {}\n\n', 10_000, 110) },
  'a text of 1 MB in one event': { stream: () => [delta({ content: 'x'.repeat(1_040_000) }), END] },
  'a text of 174,000 control characters': {
    stream: () => [delta({ content: '\u0001'.repeat(174_000) }), END],
  },
  'a text of 4 MB in one event': { stream: () => [delta({ content: 'x'.repeat(4_000_000) }), END] },
  'a text of 40 MB': { stream: () => repeated(delta({ content: 'x'.repeat(100_000) }), 400) },
  escapes: { stream: () => [delta({ content: '\u0001'.repeat(650_000) }), END] },
  'an event without an end': { stream: () => repeated(`data: ${'x'.repeat(60_000)}\n`, 500) },
  'a line without an end': { stream: () => repeated('x'.repeat(60_000), 500) },
  'empty data lines': { stream: () => batches('data:\n', 10_000, 500) },
  'values in an event': { stream: () => [`data: {"choices":[${'{},'.repeat(1_300_000)}{}]}\n\n`] },
  nesting: { stream: () => [`data: ${'['.repeat(4_000_000)}\n\n`] },
  comments: { stream: () => batches(': x\n', 20_000, 1_700) },
  'a whole answer of 8 MB': {
    whole: () => JSON.stringify({ choices: [{ message: { content: 'x'.repeat(8_300_000) } }] }),
  },
  'a whole answer of 4,000,000 values': { whole: () => `{"choices":[${'1,'.repeat(4_000_000)}1]}` },
  'a whole answer of 60 MB': {
    whole: () => JSON.stringify({ choices: [{ message: { content: 'x'.repeat(60_000_000) } }] }),
  },
};

const stream = async (response: ServerResponse, pieces: Iterable<string>): Promise<void> => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const piece of pieces) {
    if (response.destroyed) return;
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
};

export const startHostileModel = async (): Promise<{
  urlOf(shape: string): string;
  close(): Promise<void>;
}> => {
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    request.resume();
    request.on('end', () => {
      const shape = SHAPES[decodeURIComponent(request.url?.split('/')[1] ?? '')];
      if (shape === undefined) response.writeHead(404).end();
      else if ('whole' in shape)
        response.writeHead(200, { 'content-type': 'application/json' }).end(shape.whole());
      else void stream(response, shape.stream());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    urlOf: (shape) => `http://127.0.0.1:${port}/${encodeURIComponent(shape)}/v1`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
