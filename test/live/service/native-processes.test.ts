/** Several real processes on one PostgreSQL: any server serves any run, and each may be killed. */
import { Client, Connection } from '@temporalio/client';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { sseEvents } from '../../../backends/http/index.ts';
import { calls, chunk, says } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { nativeProcesses, type NativeProcesses } from '../../support/native-processes.ts';
import { sse } from '../../support/scripted-http.ts';

guardAgainstLeaks();

const TOOL = { type: 'function' as const, function: { name: 'ask', parameters: { type: 'object' } } };

let native: NativeProcesses;

beforeAll(async () => {
  native = await nativeProcesses({ temporal: inject('temporalAddress'), name: 'native' });
});
afterAll(() => native.close());

interface Seen {
  id: number;
  event: string;
}

/** Reads a run's events until `last` says so, or the connection breaks. */
const follow = async (
  url: string,
  run: { id: string; thread_id: string },
  after: number,
  last: (seen: Seen) => boolean,
): Promise<Seen[]> => {
  const seen: Seen[] = [];
  const stop = new AbortController();
  try {
    const response = await fetch(`${url}/threads/${run.thread_id}/runs/${run.id}/events`, {
      headers: { 'last-event-id': String(after) },
      signal: stop.signal,
    });
    if (response.body === null) throw new Error('no body');
    for await (const { event, id } of sseEvents(response.body)) {
      if (!event.startsWith('thread.')) continue;
      const one = { id: Number(id), event };
      seen.push(one);
      if (last(one)) break;
    }
  } catch (error) {
    if (error instanceof Error && error.message === 'no body') throw error;
  } finally {
    stop.abort();
  }
  return seen;
};
const isEnd = ({ event }: Seen): boolean => event === 'thread.run.completed';

const startRun = async (openai: OpenAI) => {
  const assistant = await openai.beta.assistants.create({ model: 'm', tools: [TOOL] });
  return openai.beta.threads.createAndRun({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'Hello' }] },
  });
};

describe('two servers and two workers', () => {
  test('serve each other’s runs, and a reader goes on where a killed server stopped', async () => {
    const [one, two] = await Promise.all([native.serve(), native.serve()]);
    const workers = [native.start('worker'), native.start('worker')];
    await Promise.all(workers.map(({ ready }) => ready));

    native.model.script.push(calls([{ name: 'ask', arguments: '{"q":1}' }]), says(['All ', 'done.']));
    const run = await startRun(one.openai);
    const atFirst = await follow(one.url, run, 0, ({ event }) => event === 'thread.run.requires_action');
    const waiting = await two.openai.beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id });
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    expect(call?.function).toEqual({ name: 'ask', arguments: '{"q":1}' });

    const cutOff = follow(one.url, run, atFirst.at(-1)?.id ?? 0, () => false);
    one.process.signal('SIGKILL');
    const lost = await cutOff;
    await two.openai.beta.threads.runs.submitToolOutputs(run.id, {
      thread_id: run.thread_id,
      tool_outputs: [{ tool_call_id: call?.id ?? '', output: '42' }],
    });
    const known = lost.at(-1)?.id ?? atFirst.at(-1)?.id ?? 0;
    const rest = await follow(two.url, run, known, isEnd);
    const all = [...atFirst, ...lost, ...rest];
    expect(all.map(({ id }) => id)).toEqual(all.map((_, index) => index + 1));
    expect(rest.at(-1)?.event).toBe('thread.run.completed');
    const messages = await two.openai.beta.threads.messages.list(run.thread_id, { limit: 1 });
    expect(messages.data[0]?.content).toMatchObject([{ text: { value: 'All done.' } }]);
    for (const each of [...workers, two.process]) each.signal('SIGTERM');
    const ends = await Promise.all([...workers, two.process].map(({ exited }) => exited));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
  });

  test('a worker that is killed in the middle of an answer leaves it incomplete, and another one answers once', async () => {
    const { openai, url, process } = await native.serve();
    const first = native.start('worker');
    await first.ready;
    native.model.script.push(sse([chunk({ content: 'Half an ans' })], 'hold'), says(['The whole answer.']));
    const run = await startRun(openai);
    const before = await follow(url, run, 0, ({ event }) => event === 'thread.message.delta');
    first.signal('SIGKILL');
    await first.exited;
    const second = native.start('worker');
    const rest = await follow(url, run, before.at(-1)?.id ?? 0, isEnd);
    expect(rest.map(({ event }) => event).filter((event) => !event.endsWith('.delta'))).toEqual([
      'thread.message.incomplete',
      'thread.run.step.failed',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.completed',
    ]);
    const messages = await openai.beta.threads.messages.list(run.thread_id, { order: 'asc' });
    expect(
      messages.data.map(({ status, content }) => [
        status,
        content[0]?.type === 'text' && content[0].text.value,
      ]),
    ).toEqual([
      ['completed', 'Hello'],
      ['incomplete', 'Half an ans'],
      ['completed', 'The whole answer.'],
    ]);
    for (const one of [second, process]) one.signal('SIGTERM');
    await Promise.all([second.exited, process.exited]);
  });

  test('without a worker runs stay queued, submits say 503, and all goes on when one comes', async () => {
    const { openai, process } = await native.serve();
    native.model.script.push(calls([{ name: 'ask', arguments: '{}' }]), says(['Late, but done.']));
    const run = await startRun(openai);
    const worker = native.start('worker');
    const waiting = await openai.beta.threads.runs.poll(
      run.id,
      { thread_id: run.thread_id },
      { pollIntervalMs: 100 },
    );
    expect(waiting.status).toBe('requires_action');
    worker.signal('SIGKILL');
    await worker.exited;
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const outputs = {
      thread_id: run.thread_id,
      tool_outputs: [{ tool_call_id: call?.id ?? '', output: 'x' }],
    };
    await expect(openai.beta.threads.runs.submitToolOutputs(run.id, outputs)).rejects.toMatchObject({
      status: 503,
    });
    const again = native.start('worker');
    await again.ready;
    const patient = new OpenAI({ baseURL: openai.baseURL, apiKey: 'none', maxRetries: 5 });
    const ended = await patient.beta.threads.runs.submitToolOutputsAndPoll(run.id, outputs, {
      pollIntervalMs: 100,
    });
    expect(ended.status).toBe('completed');
    for (const one of [again, process]) one.signal('SIGTERM');
    await Promise.all([again.exited, process.exited]);
  });
});

const historyOf = async (runId: string) => {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  try {
    const { events } = await new Client({ connection }).workflow.getHandle(runId).fetchHistory();
    return events ?? [];
  } finally {
    await connection.close();
  }
};

describe('a server with a worker in its process', () => {
  test('takes the runs that it creates at once', async () => {
    const { openai, process } = await native.serve('--worker');
    expect(process.said()).toMatch(/ready api at http:\S+, without keys.*; worker on task queue/);
    native.model.script.push(says(['Here.']));
    const run = await startRun(openai);
    const ended = await openai.beta.threads.runs.poll(
      run.id,
      { thread_id: run.thread_id },
      { pollIntervalMs: 50 },
    );
    expect(ended.status).toBe('completed');
    const [started] = await historyOf(run.id);
    expect(started?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted).toBe(true);
    process.signal('SIGTERM');
    expect((await process.exited).code).toBe(0);
    expect(process.printed()).toBe('');
  });

  test('is killed while a run waits: another one serves the run, and takes its answer', async () => {
    const one = await native.serve('--worker');
    native.model.script.push(calls([{ name: 'ask', arguments: '{}' }]), says(['Thanks.']));
    const run = await startRun(one.openai);
    const place = { thread_id: run.thread_id };
    const waiting = await one.openai.beta.threads.runs.poll(run.id, place, { pollIntervalMs: 50 });
    expect(waiting.status).toBe('requires_action');
    one.process.signal('SIGKILL');
    await one.process.exited;

    const two = await native.serve('--worker');
    const patient = new OpenAI({ baseURL: two.url, apiKey: 'none', maxRetries: 5 });
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const ended = await patient.beta.threads.runs.submitToolOutputsAndPoll(
      run.id,
      { ...place, tool_outputs: [{ tool_call_id: call?.id ?? '', output: 'yes' }] },
      { pollIntervalMs: 50 },
    );
    expect(ended.status).toBe('completed');
    two.process.signal('SIGTERM');
    expect((await two.process.exited).code).toBe(0);
  });
});
