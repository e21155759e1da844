/** Answers of Bedrock's ConverseStream, as steps of a scripted HTTP server; forms from its reference. Tests only. */
import { crc32 } from 'node:zlib';
import type { Scenario } from './model-contract.ts';
import { json, reply, type Step } from './scripted-http.ts';

type Fields = Record<string, unknown>;

const header = (name: string, value: string): Buffer => {
  const text = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([
    Buffer.from([Buffer.byteLength(name)]),
    Buffer.from(name),
    Buffer.from([7]),
    length,
    text,
  ]);
};

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const frame = (headers: Record<string, string>, body: Fields): Buffer => {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)));
  const payload = Buffer.from(JSON.stringify(body));
  const prelude = Buffer.concat([uint32(16 + head.length + payload.length), uint32(head.length)]);
  const start = Buffer.concat([prelude, uint32(crc32(prelude)), head, payload]);
  return Buffer.concat([start, uint32(crc32(start))]);
};

export const bedrockEvent = (type: string, body: Fields): Buffer =>
  frame({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, body);

export const bedrockException = (type: string, message: string): Buffer =>
  frame(
    { ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' },
    { message },
  );

const delta = (contentBlockIndex: number, piece: Fields): Buffer =>
  bedrockEvent('contentBlockDelta', { contentBlockIndex, delta: piece, p: 'abcd' });

export const bedrockText = (index: number, ...pieces: string[]): Buffer[] => [
  ...pieces.map((text) => delta(index, { text })),
  bedrockEvent('contentBlockStop', { contentBlockIndex: index }),
];

export const bedrockThinking = (index: number, text: string, signature: string): Buffer[] => [
  delta(index, { reasoningContent: { text } }),
  delta(index, { reasoningContent: { signature } }),
  bedrockEvent('contentBlockStop', { contentBlockIndex: index }),
];

export const bedrockCall = (index: number, id: string, name: string, ...pieces: string[]): Buffer[] => [
  bedrockEvent('contentBlockStart', {
    contentBlockIndex: index,
    start: { toolUse: { toolUseId: id, name } },
  }),
  ...pieces.map((input) => delta(index, { toolUse: { input } })),
  bedrockEvent('contentBlockStop', { contentBlockIndex: index }),
];

export const bedrockEnd = (
  stopReason: string,
  usage: Fields = { inputTokens: 3, outputTokens: 5, totalTokens: 8 },
): Buffer[] => [
  bedrockEvent('messageStop', { stopReason }),
  bedrockEvent('metadata', { usage, metrics: { latencyMs: 1 } }),
];

const START = bedrockEvent('messageStart', { role: 'assistant' });

const TYPE = { 'content-type': 'application/vnd.amazon.eventstream' };

/** Frames, then the end of the body, a broken connection, or nothing more. */
export const bedrockFrames = (frames: readonly Buffer[], then: 'end' | 'cut' | 'hold' = 'end'): Step => {
  const bytes = Buffer.concat(frames);
  if (then === 'end') return reply(200, bytes, TYPE);
  return async (request, socket) => {
    await reply(200, bytes, { ...TYPE, 'content-length': bytes.length + 1_000_000_000 })(request, socket);
    if (then === 'cut') socket.write('', () => socket.resetAndDestroy());
  };
};

const refuses = (status: number, type: string, message: string, headers: Record<string, string> = {}): Step =>
  json({ message }, status, { 'x-amzn-errortype': type, ...headers });

export const bedrockStep = (scenario: Scenario): Step => {
  switch (scenario.kind) {
    case 'text': {
      const { prompt, completion, cached } = scenario.usage;
      return bedrockFrames([
        START,
        ...bedrockText(0, ...scenario.pieces),
        ...bedrockEnd('end_turn', {
          inputTokens: prompt - cached,
          cacheReadInputTokens: cached,
          outputTokens: completion,
          totalTokens: prompt + completion,
        }),
      ]);
    }
    case 'calls':
      return bedrockFrames([
        START,
        ...bedrockThinking(0, 'Two things are asked.', scenario.signature),
        ...scenario.calls.flatMap(({ name, pieces }, at) =>
          bedrockCall(at + 1, `tooluse_${at}`, name, ...pieces),
        ),
        ...bedrockEnd('tool_use'),
      ]);
    case 'unknown':
      return bedrockFrames([
        START,
        bedrockEvent('moonPhase', { phase: 'full' }),
        delta(0, { hologram: { rays: 3 } }),
        ...bedrockText(1, scenario.text),
        ...bedrockEnd('end_turn'),
      ]);
    case 'object':
      return bedrockFrames([
        START,
        ...bedrockCall(0, 'tooluse_0', 'json', scenario.text),
        ...bedrockEnd('tool_use'),
      ]);
    case 'length':
      return bedrockFrames([START, ...bedrockText(0, scenario.text), ...bedrockEnd('max_tokens')]);
    case 'filtered':
      return bedrockFrames([START, ...bedrockText(0, scenario.text), ...bedrockEnd('guardrail_intervened')]);
    case 'cut':
    case 'stalls':
    case 'ends_early':
      return bedrockFrames(
        [START, ...bedrockText(0, scenario.text)],
        scenario.kind === 'cut' ? 'cut' : scenario.kind === 'stalls' ? 'hold' : 'end',
      );
    case 'huge':
      return bedrockFrames([START, Buffer.concat([uint32(scenario.chars), Buffer.alloc(64)])], 'hold');
    case 'breaks_inside':
      return bedrockFrames([
        START,
        ...bedrockText(0, scenario.text),
        bedrockException('serviceUnavailableException', 'The service is unavailable.'),
      ]);
    case 'too_long':
      return refuses(400, 'ValidationException', 'Input is too long for requested model.');
    case 'unauthorized':
      return refuses(401, 'UnrecognizedClientException', 'The security token is invalid.');
    case 'unavailable':
      return refuses(503, 'ServiceUnavailableException', 'Bedrock is unavailable.');
    case 'failed':
      return refuses(500, 'InternalServerException', 'It failed.');
    case 'rejected':
      return refuses(400, 'ValidationException', 'The provided model identifier is invalid.');
    default:
      return refuses(429, 'ThrottlingException', 'Too many requests', {
        'retry-after': String(scenario.retryAfterSeconds),
      });
  }
};
