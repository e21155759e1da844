/**
 * A model server for all native wires that takes no time of its own, as a process: each answer is the same text in a hundred pieces. Below
 * `/held` the pieces after the first wait for some milliseconds, so that a first token is not counted with the work on the others.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { anthropicEnd, anthropicStart, anthropicText } from '../../test/support/anthropic-wire.ts';
import { bedrockEnd, bedrockText } from '../../test/support/bedrock-wire.ts';
import { googleChunk } from '../../test/support/google-wire.ts';
import { MISTRAL_USAGE, mistralChunk } from '../../test/support/mistral-wire.ts';
import { responsesEnd, responsesStart, responsesText } from '../../test/support/responses-wire.ts';

const PIECES = Array.from({ length: 100 }, (_, at) => `piece ${at} of the answer `);
const FIRST = 'piece 0 of';
const HELD = '/held/';
/** Longer than any client takes to show the first piece. */
const HELD_MS = 15;

/** By a part of the path. */
const ANSWERS: readonly (readonly [string, (string | Buffer)[]])[] = [
  ['/responses', [responsesStart(), ...responsesText(0, ...PIECES), responsesEnd()]],
  ['/messages', [anthropicStart(), ...anthropicText(0, ...PIECES), ...anthropicEnd('end_turn')]],
  [':streamGenerateContent', [...PIECES.map((text) => googleChunk([{ text }])), googleChunk([], 'STOP')]],
  ['/converse-stream', [...bedrockText(0, ...PIECES), ...bedrockEnd('end_turn')]],
  [
    '/chat/completions',
    [
      ...PIECES.map((content) => mistralChunk({ content })),
      mistralChunk({ content: '' }, 'stop', MISTRAL_USAGE),
    ],
  ],
];

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    const [, answer = []] = ANSWERS.find(([part]) => request.url?.includes(part) === true) ?? [];
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const rest = (from: number): void => {
      for (const piece of answer.slice(from)) response.write(piece);
      response.end();
    };
    if (request.url?.startsWith(HELD) !== true) return rest(0);
    // What opens the answer, and its first text.
    const first = answer.findIndex((piece) => piece.toString().includes(FIRST)) + 1;
    response.write(Buffer.concat(answer.slice(0, first).map((piece) => Buffer.from(piece))));
    setTimeout(rest, HELD_MS, first);
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ ready: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } });
});
process.once('disconnect', () => process.exit(0));
