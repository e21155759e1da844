import type { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createOpenAiCompatible } from '../../../backends/models/openai-compatible/index.ts';
import type { Model } from '../../../protocol/ports/model.ts';
import { DONE, ends, said } from '../../support/chat-wire.ts';
import { collectTurn } from '../../support/model-turn.ts';
import { scriptedHttp, sse, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const ANSWER = [said('Hello.'), ends(), DONE];

/** The answer comes, and the end of its body does not, until the test sends it. */
const openEnded = (sockets: Socket[]): Step => {
  const answer = sse(ANSWER, 'hold');
  return (request, socket) => {
    sockets.push(socket);
    return answer(request, socket);
  };
};

/** One connection, so that a second turn waits until the first has left it. */
const setUp = async (...script: Step[]): Promise<{ server: ScriptedHttp; model: Model }> => {
  const server = await scriptedHttp(script);
  const model = createOpenAiCompatible({ baseUrl: `${server.url}/v1`, http: { streamConnections: 1 } });
  closing.push(
    () => model.dispose(),
    () => server.close(),
  );
  return { server, model };
};

test('the next turn takes the connection of a whole answer whose body ends later', async () => {
  const sockets: Socket[] = [];
  const { server, model } = await setUp(openEnded(sockets), sse(ANSWER));
  expect((await collectTurn(model)).text).toBe('Hello.');
  const second = collectTurn(model);
  sockets[0]?.write('0\r\n\r\n');
  expect((await second).text).toBe('Hello.');
  expect(server.connections).toBe(1);
});

test.each([
  ['that never ends', ''],
  ['that goes on', `10000\r\n${'x'.repeat(65_536)}\r\n10000\r\n${'x'.repeat(65_536)}\r\n`],
])('the connection of a body %s is given up after its answer', async (_name, more) => {
  const sockets: Socket[] = [];
  const { server, model } = await setUp(openEnded(sockets), sse(ANSWER));
  expect((await collectTurn(model)).text).toBe('Hello.');
  const [socket] = sockets;
  if (socket === undefined) throw new Error('The server had no request.');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(more);
  await closed;
  expect((await collectTurn(model)).text).toBe('Hello.');
  expect(server.connections).toBe(2);
});
