/** A namespace of a real Temporal server: a new one takes starts at once, and what Temporal no longer keeps is still read over HTTP. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { says } from '../support/chat-server.ts';
import { nativeProcesses, type NativeProcesses } from '../support/native-processes.ts';
import { liveTemporal, uniqueName, type LiveTemporal } from '../support/temporal.ts';
import { prepareNamespace } from './harness/cluster.ts';

const NAMESPACE = uniqueName('fresh');
const DAY_S = 86_400;

let temporal: LiveTemporal;
let native: NativeProcesses;

beforeAll(async () => {
  temporal = await liveTemporal();
  native = await nativeProcesses({
    temporal: temporal.address,
    name: 'namespace',
    env: () => ({ TEMPORAL_NAMESPACE: NAMESPACE }),
  });
});
afterAll(async () => {
  await native.close();
  await temporal.close();
});

const ask = async (url: string, path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json();

test('a namespace that the script has just made takes each of fifty runs at once, and keeps the retention that it was given', async () => {
  await prepareNamespace(inject('temporalAddress'), {
    TEMPORAL_NAMESPACE: NAMESPACE,
    TEMPORAL_RETENTION: '24h',
  });
  const server = await native.serve();
  await Promise.all([native.start('worker').ready, native.start('worker').ready]);
  const { id } = await server.openai.beta.assistants.create({ model: 'm' });
  native.model.script.push(...Array.from({ length: 50 }, () => says(['Hello.'])));
  const begin = () =>
    server.openai.beta.threads.createAndRun({
      assistant_id: id,
      thread: { messages: [{ role: 'user', content: 'Hello' }] },
    });
  const runs = await Promise.all(Array.from({ length: 50 }, begin));
  const ended = await Promise.all(
    runs.map((run) =>
      server.openai.beta.threads.runs.poll(run.id, { thread_id: run.thread_id }, { pollIntervalMs: 200 }),
    ),
  );
  expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(['completed']));
  expect(native.model.requests).toHaveLength(50);
  const { config } = await temporal.connection.workflowService.describeNamespace({ namespace: NAMESPACE });
  expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(DAY_S);
});

test('a run whose history Temporal has deleted is read as before, with its messages and steps', async () => {
  const server = await native.serve();
  const { id } = await server.openai.beta.assistants.create({ model: 'm' });
  native.model.script.push(says(['Kept.']));
  const run = await server.openai.beta.threads.createAndRunPoll(
    { assistant_id: id, thread: { messages: [{ role: 'user', content: 'Hello' }] } },
    { pollIntervalMs: 100 },
  );
  const paths = ['', '/steps'].map((path) => `/threads/${run.thread_id}/runs/${run.id}${path}`);
  const read = () =>
    Promise.all([...paths, `/threads/${run.thread_id}/messages`].map((path) => ask(server.url, path)));
  const before = await read();
  const workflowExecution = { workflowId: run.id };
  await temporal.connection.workflowService.deleteWorkflowExecution({
    namespace: NAMESPACE,
    workflowExecution,
  });
  await expect
    .poll(() =>
      temporal.connection.workflowService
        .describeWorkflowExecution({ namespace: NAMESPACE, execution: workflowExecution })
        .then(
          () => 'there',
          () => 'gone',
        ),
    )
    .toBe('gone');
  expect(await read()).toEqual(before);
});
