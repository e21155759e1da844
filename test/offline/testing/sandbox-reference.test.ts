/**
 * The reference page of `submit_tool_outputs` works as printed, host aside: its two commands, sent to the sandbox's
 * socket, get the page's answer and the page's stream, event for event and field for field.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createClock, createSandbox } from '../../../testing/index.ts';
import type { Sandbox } from '../../../testing/index.ts';
import { framesOfText } from '../../support/http.ts';
import type { Frame } from '../../support/http.ts';
import { ANSWER, COMMAND_BODY, EVENTS, STREAM_COMMAND_BODY } from '../../support/reference-page.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  // The page's own moment: its JSON answer shows a run that is 0 s old.
  sandbox = await createSandbox({ clock: createClock({ kind: 'real', start: 1_699_075_592_000 }) });
  sandbox.seedReferencePage();
});
afterEach(() => sandbox.close());

const command = (body: string): Promise<Response> =>
  fetch(`${sandbox.url}/threads/thread_123/runs/run_123/submit_tool_outputs`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer $OPENAI_API_KEY',
      'content-type': 'application/json',
      'openai-beta': 'assistants=v2',
    },
    body,
  });

/** Every key with the kind of its value; nested. Numbers that are times and ids differ from page to page. */
const shape = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shape(item)]));
  return value === null ? null : typeof value;
};

/** Of `actual`, what `printed` shows: the page leaves some fields out that the schema has. */
const asPrinted = (actual: unknown, printed: unknown): unknown => {
  if (Array.isArray(printed) && Array.isArray(actual))
    return actual.map((item, at) => asPrinted(item, printed[at]));
  if (typeof printed !== 'object' || printed === null || typeof actual !== 'object' || actual === null)
    return actual;
  return Object.fromEntries(
    Object.keys(printed).map((key) => [
      key,
      asPrinted((actual as Record<string, unknown>)[key], (printed as Record<string, unknown>)[key]),
    ]),
  );
};

describe('the first command', () => {
  test("gets the page's run, every printed field with the printed value", async () => {
    const response = await command(COMMAND_BODY);
    expect(response.status).toBe(200);
    const run: unknown = await response.json();
    expect(asPrinted(run, ANSWER)).toEqual(ANSWER);
    // Beyond the page: the fields that the schema requires.
    expect(run).toMatchObject({ required_action: null, incomplete_details: null });
  });
});

const deltas = (frames: Frame[]): string =>
  frames
    .filter(({ event }) => event === 'thread.message.delta')
    .map(
      ({ data }) =>
        (data as { delta: { content: { text: { value: string } }[] } }).delta.content[0]?.text.value,
    )
    .join('');

/** Runs of deltas as one. */
const once = (names: (string | null)[]): (string | null)[] =>
  names.filter((name, at) => name !== 'thread.message.delta' || names[at - 1] !== name);

const isDelta = ({ event }: Frame): boolean => event === 'thread.message.delta';

describe('the second command', () => {
  test("gets the page's events in the page's order, ended by done and the end of the body", async () => {
    const response = await command(STREAM_COMMAND_BODY);
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const frames = framesOfText(await response.text());
    expect(once(frames.map(({ event }) => event))).toEqual([...once(EVENTS.map(([event]) => event)), 'done']);
    expect(frames.at(-1)).toEqual({ event: 'done', data: '[DONE]', id: null });
    expect(deltas(frames)).toBe(
      'The current weather in San Francisco, CA is 70 degrees Fahrenheit and sunny.',
    );
  });

  test('each event has the printed fields, with values of the printed kind', async () => {
    const frames = framesOfText(await (await command(STREAM_COMMAND_BODY)).text());
    // Those around the page's ellipsis: all before the fourth delta, and from the last two deltas on.
    const first = frames.findIndex(isDelta);
    const last = frames.findLastIndex(isDelta);
    const shown = [...frames.slice(0, first + 3), ...frames.slice(last - 1, -1)];
    expect(shown).toHaveLength(EVENTS.length);
    for (const [at, [event, printed]] of EVENTS.entries()) {
      const frame = shown[at];
      expect(frame?.event).toBe(event);
      // The reference run has token limits, the streamed one on the page has none.
      const expected = { ...printed };
      if ('max_prompt_tokens' in expected) {
        expected['max_prompt_tokens'] = 1000;
        expected['max_completion_tokens'] = 1000;
      }
      expect([event, shape(asPrinted(frame?.data, expected))]).toEqual([event, shape(expected)]);
    }
  });

  test('the outputs stand in the completed step, and the stream numbers its events', async () => {
    const frames = framesOfText(await (await command(STREAM_COMMAND_BODY)).text());
    expect(frames[0]?.data).toMatchObject({
      id: 'step_001',
      status: 'completed',
      step_details: {
        tool_calls: [
          { id: 'call_001', function: { name: 'get_current_weather', output: '70 degrees and sunny.' } },
        ],
      },
    });
    const numbers = frames.slice(0, -1).map(({ id }) => Number(id));
    expect(numbers).toEqual(numbers.map((_, at) => (numbers[0] ?? 0) + at));
  });
});

test('seeding again starts over', async () => {
  await command(COMMAND_BODY);
  sandbox.seedReferencePage();
  expect((await command(COMMAND_BODY)).status).toBe(200);
});
