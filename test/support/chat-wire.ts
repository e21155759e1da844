/** Answers of chat-completions servers in every dialect, as steps of a scripted HTTP server. Tests only. */
import { reply, sse, type Step } from './scripted-http.ts';
import { DONE } from './chat-server.ts';

export const data = (value: unknown): string =>
  `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;

/** A chunk with one choice. */
export const delta = (
  value: Record<string, unknown>,
  finish: string | null = null,
  more: Record<string, unknown> = {},
): string =>
  data({
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta: value, finish_reason: finish }],
    ...more,
  });
export const said = (content: string): string => delta({ content });
export const ends = (reason: string | null = 'stop', more: Record<string, unknown> = {}): string =>
  delta({}, reason, more);
export const piece = (...calls: unknown[]): string => delta({ tool_calls: calls });
export const usage = (value: unknown): string =>
  data({ object: 'chat.completion.chunk', choices: [], usage: value });
export { DONE };

/** A piece of a call. */
export const call = (
  index: unknown,
  id: unknown,
  name: string | null,
  args: unknown,
  more: Record<string, unknown> = {},
): Record<string, unknown> => ({
  ...(index === undefined ? {} : { index }),
  ...(id === undefined ? {} : { id }),
  type: 'function',
  function: { ...(name === null ? {} : { name }), ...(args === undefined ? {} : { arguments: args }) },
  ...more,
});

/** A stream of calls that ends as such. */
export const callStream = (...pieces: readonly string[]): Step => sse([...pieces, ends('tool_calls'), DONE]);

export const whole = (choices: unknown, more: Record<string, unknown> = {}): Step =>
  reply(200, JSON.stringify({ object: 'chat.completion', choices, ...more }), {
    'content-type': 'application/json',
  });
export const wholeMessage = (
  message: unknown,
  finish: string | null = 'stop',
  more: Record<string, unknown> = {},
): Step => whole([{ index: 0, message, finish_reason: finish }], more);

export const body = (value: unknown, status = 200, headers: Record<string, string> = {}): Step =>
  reply(status, typeof value === 'string' ? value : JSON.stringify(value), {
    'content-type': typeof value === 'string' ? 'text/plain' : 'application/json',
    ...headers,
  });

/** The bytes of a stream under any content type. */
export const streamAs = (
  contentType: string | null,
  text: string | Buffer,
  headers: Record<string, string> = {},
): Step => reply(200, text, { ...(contentType === null ? {} : { 'content-type': contentType }), ...headers });

/** An answer that nobody can object to. */
export const fine = (text = 'ok'): Step => sse([said(text), ends(), DONE]);
