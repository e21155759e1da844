/**
 * Responses in the form of other servers: the quirks that concern only the form of what is sent.
 *
 * Rule: with all quirks off a response passes unchanged. Only the sandbox imports it.
 */
import type { Quirks } from './assistants-server/quirks.ts';
import { bytesOf, framesOf } from './frames.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

type Json = Record<string, unknown>;
const reshapes = (quirks: Quirks): boolean =>
  quirks.noDone ||
  quirks.noPollHint ||
  quirks.millisecondTimes ||
  quirks.emptyRequiredAction ||
  quirks.absentRequiredAction ||
  quirks.unknownStatus !== null ||
  quirks.unknownAction !== null;

const reshapeObject = (object: Json, quirks: Quirks): Json => {
  const shaped: Json = { ...object };
  if (quirks.millisecondTimes) {
    for (const [key, value] of Object.entries(shaped))
      if (key.endsWith('_at') && typeof value === 'number') shaped[key] = value * 1000;
  }
  if (shaped['object'] === 'list' && Array.isArray(shaped['data']))
    shaped['data'] = shaped['data'].map((item) => (isRecord(item) ? reshapeObject(item, quirks) : item));
  if (shaped['object'] !== 'thread.run') return shaped;
  if (quirks.unknownStatus !== null && shaped['status'] === 'in_progress')
    shaped['status'] = quirks.unknownStatus;
  if (shaped['required_action'] === null) {
    if (quirks.absentRequiredAction) delete shaped['required_action'];
    else if (quirks.emptyRequiredAction) shaped['required_action'] = {};
  } else if (quirks.unknownAction !== null && isRecord(shaped['required_action']))
    shaped['required_action'] = { type: quirks.unknownAction, [quirks.unknownAction]: {} };
  return shaped;
};

async function* reshapedFrames(frames: AsyncIterable<string>, quirks: Quirks): AsyncGenerator<string> {
  for await (const frame of frames) {
    if (quirks.noDone && frame.includes('data: [DONE]')) continue;
    yield frame.replace(/^data: (\{.*)$/m, (_, json: string) => {
      const value: unknown = JSON.parse(json);
      return `data: ${JSON.stringify(isRecord(value) ? reshapeObject(value, quirks) : value)}`;
    });
  }
}

export const reshape = async (response: Response, quirks: Quirks): Promise<Response> => {
  if (!reshapes(quirks) || response.body === null) return response;
  const headers = new Headers(response.headers);
  if (quirks.noPollHint) headers.delete('openai-poll-after-ms');
  const { status } = response;
  const type = headers.get('content-type') ?? '';
  if (type.startsWith('text/event-stream')) {
    const parts = bytesOf(reshapedFrames(framesOf(response.body), quirks));
    return new Response(ReadableStream.from(parts), { status, headers });
  }
  if (!type.startsWith('application/json')) return new Response(response.body, { status, headers });
  const value: unknown = await response.json();
  return new Response(JSON.stringify(isRecord(value) ? reshapeObject(value, quirks) : value), {
    status,
    headers,
  });
};
