/**
 * Streams of the server processes, below the official clients: the reference page's transcript, deltas as the model produces
 * them, resuming by event id, also over a killed server, many readers, and readers that leave.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScriptedTurn } from '../../../testing/index.ts';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { pieces } from '../../../testing/script.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { textOf, type Message, type Run } from '../../support/official/clients.ts';
import {
  deltasOf,
  idsOf,
  openEvents,
  readUntil,
  type EventReader,
  type SentEvent,
} from '../../support/official/events.ts';
import { gatedModel } from '../../support/official/gate.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { COMMAND_BODY, EVENTS, STREAM_COMMAND_BODY } from '../../support/reference-page.ts';

guardAgainstLeaks({ ignore: ['TCPSocketWrap', 'Timeout'] });

const ANSWER = 'The current weather in San Francisco, CA is 70 degrees Fahrenheit and sunny.';
const WORDS = 6;
/** What the script `words` says. */
const SAID = Array.from({ length: WORDS }, (_, index) => `word${index + 1}`).join(' ');

const gate = gatedModel();
let server: OfficialServer;
beforeAll(async () => {
  server = await openOfficial({
    apis: 2,
    sandbox: {
      clock: gate.clock,
      scripts: {
        page: (turn): ScriptedTurn =>
          turn.round === 0
            ? {
                calls: [
                  {
                    name: 'get_current_weather',
                    arguments: { location: 'San Francisco, CA', unit: 'fahrenheit' },
                  },
                ],
                usage: { prompt_tokens: 291, completion_tokens: 24 },
              }
            : {
                text: ANSWER,
                chunkDelayMs: 1,
                usage: { prompt_tokens: 329, completion_tokens: 18 },
              },
      },
      defaultScript: 'page',
    },
  });
});
afterAll(() => server.close());

const post = async <T>(path: string, body: unknown, url = server.url): Promise<T> => {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
};
const get = async <T>(path: string, url = server.url): Promise<T> =>
  (await (await fetch(`${url}${path}`)).json()) as T;

const pathOf = (run: Run): string => `/threads/${run.thread_id}/runs/${run.id}`;

/** A run that speaks words, each behind a gate but the first. */
const words = async (url = server.url): Promise<Run> => {
  const { id } = await post<{ id: string }>('/assistants', { model: `scripted:words:${WORDS}x1` }, url);
  return await post<Run>('/threads/runs', { assistant_id: id }, url);
};
const follow = (run: Run, url = server.url, after?: number): Promise<EventReader> =>
  openEvents(`${url}${pathOf(run)}/events`, {
    headers: after === undefined ? {} : { 'last-event-id': String(after) },
  });
const isDelta = ({ event }: SentEvent): boolean => event === 'thread.message.delta';
const openAll = async (count: number): Promise<void> => {
  for (let opened = 0; opened < count; opened += 1) await gate.open();
};
const counting = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => from + index);

describe('the transcript of the reference page', () => {
  /** Ids as they came, moments as any number; everything else as printed. */
  const asPrinted = (printed: unknown, ids: Record<string, string>): unknown => {
    if (typeof printed === 'number') return printed > 1_600_000_000 ? expect.any(Number) : printed;
    if (typeof printed === 'string') return ids[printed] ?? printed;
    if (Array.isArray(printed)) return printed.map((item) => asPrinted(item, ids));
    if (typeof printed !== 'object' || printed === null) return printed;
    return Object.fromEntries(Object.entries(printed).map(([key, value]) => [key, asPrinted(value, ids)]));
  };

  test('event for event on create and on submit, each delta before the model says the next', async () => {
    const assistant = await post<{ id: string }>('/assistants', { model: 'gpt-4o', tools: [WEATHER_TOOL] });
    const first = await openEvents(`${server.url}/threads/runs`, {
      method: 'POST',
      body: {
        assistant_id: assistant.id,
        thread: { messages: [{ role: 'user', content: 'How is the weather in San Francisco?' }] },
        stream: true,
      },
    });
    const created = await first.rest();
    const names = created.map(({ event }) => event);
    expect(names.filter((name, index) => name !== names[index - 1])).toEqual([
      'thread.created',
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.step.delta',
      'thread.run.requires_action',
      'done',
    ]);
    expect(created.at(-1)).toEqual({ id: null, event: 'done', data: '[DONE]' });
    const deltas = created.filter(({ event }) => event === 'thread.run.step.delta');
    expect(deltas[0]?.data).toMatchObject({
      object: 'thread.run.step.delta',
      delta: {
        step_details: {
          type: 'tool_calls',
          tool_calls: [
            {
              index: 0,
              type: 'function',
              function: { name: 'get_current_weather', arguments: '', output: null },
            },
          ],
        },
      },
    });
    const waiting = created.at(-2)?.data as Run;
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const started = created.find(({ event }) => event === 'thread.run.step.created')?.data as { id: string };

    const body = JSON.parse(STREAM_COMMAND_BODY.replace('call_001', call?.id ?? '')) as unknown;
    const second = await openEvents(`${server.url}${pathOf(waiting)}/submit_tool_outputs`, {
      method: 'POST',
      body,
    });
    const submitted: SentEvent[] = [];
    for (const piece of pieces({ text: ANSWER })) {
      submitted.push(...(await readUntil(second, isDelta)));
      // Nobody has opened the gate to the next piece: it can't be in here.
      expect(deltasOf(submitted).endsWith(piece)).toBe(true);
      if (deltasOf(submitted) !== ANSWER) await gate.open();
    }
    submitted.push(...(await second.rest()));

    const at = (name: string): { id: string } =>
      submitted.find(({ event }) => event === name)?.data as { id: string };
    const ids = {
      run_123: waiting.id,
      thread_123: waiting.thread_id,
      asst_123: assistant.id,
      call_iWr0kQ2EaYMaxNdl0v3KYkx7: call?.id ?? '',
      step_001: started.id,
      step_002: at('thread.run.step.created').id,
      msg_002: at('thread.message.created').id,
    };
    // The page leaves deltas out in the middle, and its run counts other tokens than its steps.
    const printed = EVENTS.filter(([event]) => event !== 'thread.message.delta');
    const expected = printed.map(([event, data]) => ({
      event,
      data: asPrinted(
        event === 'thread.run.completed'
          ? { ...data, usage: { prompt_tokens: 620, completion_tokens: 42, total_tokens: 662 } }
          : data,
        ids,
      ),
    }));
    const told = submitted.filter(({ event }) => event !== 'thread.message.delta');
    expect(told.map(({ event }) => event)).toEqual([...printed.map(([event]) => event), 'done']);
    expect(told.slice(0, -1)).toMatchObject(expected);
    const message = submitted.filter(isDelta).map(({ data }) => data);
    expect(message).toEqual(
      pieces({ text: ANSWER }).map((value, index) => ({
        id: ids.msg_002,
        object: 'thread.message.delta',
        delta: {
          content: [{ index: 0, type: 'text', text: index === 0 ? { value, annotations: [] } : { value } }],
        },
      })),
    );
    const [queued, resumed] = ['queued', 'in_progress'].map((name) => at(`thread.run.${name}`) as Run);
    expect(queued?.expires_at).toBe(waiting.expires_at);
    expect(resumed?.started_at).toBeGreaterThanOrEqual(queued?.started_at ?? Infinity);
  });

  test("the page's first command gets the run as JSON, queued or on its way", async () => {
    const { id } = await post<{ id: string }>('/assistants', {
      model: 'scripted:weather',
      tools: [WEATHER_TOOL],
    });
    const run = await post<Run>('/threads/runs', { assistant_id: id });
    const events = await readUntil(await follow(run), ({ event }) => event === 'thread.run.requires_action');
    const waiting = events.at(-1)?.data as Run;
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const body = JSON.parse(COMMAND_BODY.replace('call_001', call?.id ?? '')) as unknown;
    const answered = await post<Run>(`${pathOf(run)}/submit_tool_outputs`, body);
    expect(answered).toMatchObject({ id: run.id, object: 'thread.run', required_action: null });
    expect(['queued', 'in_progress', 'completed']).toContain(answered.status);
  });
});

describe('following a run', () => {
  test('goes on from any event, without loss or repeat, by header and by query', async () => {
    const run = await words();
    const first = await follow(run);
    const before = await readUntil(first, isDelta);
    first.abort();
    const seen = idsOf(before).at(-1) ?? 0;
    // Said while nobody listens.
    await openAll(2);
    const second = await follow(run, server.url, seen);
    // Pieces that were said close together may travel together.
    const middle: SentEvent[] = [];
    while (!deltasOf([...before, ...middle]).endsWith('word3'))
      middle.push(...(await readUntil(second, isDelta)));
    second.abort();
    await openAll(WORDS - 3);
    const place = idsOf(middle).at(-1) ?? 0;
    const third = await openEvents(`${server.url}${pathOf(run)}/events?after=${place}`);
    const all = [...before, ...middle, ...(await third.rest())];
    expect(idsOf(all)).toEqual(counting(1, idsOf(all).length));
    expect(deltasOf(all)).toBe(SAID);
    expect(all.slice(-2).map(({ event }) => event)).toEqual(['thread.run.completed', 'done']);

    const last = idsOf(all).at(-1) ?? 0;
    expect(await (await follow(run, server.url, last)).rest()).toEqual([
      { id: null, event: 'done', data: '[DONE]' },
    ]);
    await expect(openEvents(`${server.url}${pathOf(run)}/events?after=x`)).rejects.toThrow(/answered 400/);
  });

  test('is for many readers, early and late, on every server, and all read the same', async () => {
    const [here, there] = server.apis.map(({ url }) => url);
    const run = await words(here);
    const early = await Promise.all(
      Array.from({ length: 20 }, (_, index) => follow(run, index % 2 === 0 ? here : there)),
    );
    const reading = early.map((reader) => reader.rest());
    await openAll(2);
    const late = await Promise.all([here, there].map((url) => follow(run, url)));
    reading.push(...late.map((reader) => reader.rest()));
    await openAll(WORDS - 3);
    const [one, ...others] = await Promise.all(reading);
    expect(deltasOf(one ?? [])).toBe(SAID);
    for (const other of others) expect(other).toEqual(one);
  });

  test('a reader that hangs up ends nothing: not the run, not the reading of others', async () => {
    const { id } = await post<{ id: string }>('/assistants', { model: `scripted:words:${WORDS}x1` });
    const creator = await openEvents(`${server.url}/threads/runs`, {
      method: 'POST',
      body: { assistant_id: id, stream: true },
    });
    const begun = await readUntil(creator, isDelta);
    const run = begun.find(({ event }) => event === 'thread.run.created')?.data as Run;
    const other = await follow(run);
    creator.abort();
    await openAll(WORDS - 1);
    expect((await other.rest()).slice(-2).map(({ event }) => event)).toEqual([
      'thread.run.completed',
      'done',
    ]);
    expect((await get<Run>(pathOf(run))).status).toBe('completed');
  });
});

describe('a server that goes', () => {
  test('killed -9 in the middle: the run goes on, and a reader that resumes misses and repeats nothing', async () => {
    const doomed = await server.startApi();
    const run = await words(doomed.url);
    const reader = await follow(run, doomed.url);
    const before = await readUntil(reader, isDelta);
    doomed.signal('SIGKILL');
    await doomed.exited;
    await expect(reader.rest()).rejects.toThrow(/terminated|reset|closed/);
    // Said while the server is down.
    await openAll(2);
    const restarted = await server.startApi({}, doomed.port);
    expect(restarted.url).toBe(doomed.url);
    const again = await follow(run, doomed.url, idsOf(before).at(-1));
    await openAll(WORDS - 3);
    const all = [...before, ...(await again.rest())];
    expect(idsOf(all)).toEqual(counting(1, idsOf(all).length));
    expect(deltasOf(all)).toBe(SAID);
    const { data } = await get<{ data: Message[] }>(`/threads/${run.thread_id}/messages`, doomed.url);
    expect(data.map(textOf)).toEqual([SAID]);
    restarted.signal('SIGTERM');
    await restarted.exited;
  });

  test('stopped in good order: streams are told, the process ends with 0, and the run goes on elsewhere', async () => {
    const leaving = await server.startApi();
    const run = await words(leaving.url);
    const reader = await follow(run, leaving.url);
    const before = await readUntil(reader, isDelta);
    leaving.signal('SIGTERM');
    const left = await reader.rest();
    expect(left.at(-1)).toMatchObject({ event: 'error', data: { error: { code: 'shutting_down' } } });
    expect(await leaving.exited).toEqual({ code: 0, signal: null });
    const elsewhere = await follow(run, server.url, idsOf([...before, ...left]).at(-1));
    await openAll(WORDS - 1);
    expect(deltasOf([...before, ...left, ...(await elsewhere.rest())])).toBe(SAID);
  });
});
