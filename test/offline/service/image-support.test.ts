import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller, MessageParams, RunsService } from '../../../protocol/ports/runs-service.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { createRunsService, type Workflows } from '../../../service/index.ts';
import { memoryStore } from '../../support/store.ts';

const image: MessageParams = {
  role: 'user',
  content: [
    { type: 'text', text: { value: 'What is this?', annotations: [] } },
    { type: 'image_url', image_url: { url: 'https://example.org/cat.png' } },
  ],
};
const text: MessageParams = { role: 'user', content: 'Hello' };
const caller: Caller = {
  tenant: 'tenant',
  requestId: 'req_1',
  isRetry: false,
  idempotencyKey: null,
  verified: false,
  groups: [],
};

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
});
afterAll(() => store.close());

const workflows = { start: async () => undefined, ping: async () => undefined } as unknown as Workflows;

/** `blind`: as its operator has named it. */
const serviceWith = (blind: (asked: string | null) => { name: string | null } | null): RunsService =>
  createRunsService({ store, client: { workflows }, blindModel: blind });

const refused = (param: string, words: string) => ({
  status: 400,
  param,
  code: 'unsupported_value',
  message: expect.stringContaining(words) as unknown,
});

const service = (): RunsService => serviceWith((asked) => ({ name: asked }));

describe('where no model can see', () => {
  test('a message with an image is refused, alone and with a new thread', async () => {
    const { id } = await service().createThread(caller, { messages: [text] });
    await expect(service().createMessage(caller, id, image)).rejects.toMatchObject(
      refused('content[1]', 'No model of this server accepts images'),
    );
    await expect(service().createThread(caller, { messages: [text, image] })).rejects.toMatchObject(
      refused('messages[1].content[1]', 'No model of this server accepts images'),
    );
    await service().createMessage(caller, id, text);
  });

  test('a run that brings one is refused by the name of its model, the assistant’s or its own', async () => {
    const { id: assistant_id } = await service().createAssistant(caller, { model: 'text-only' });
    const { id } = await service().createThread(caller, {});
    const run = { assistant_id, additional_messages: [image] };
    await expect(service().createRun(caller, id, run)).rejects.toMatchObject(
      refused('additional_messages[0].content[1]', 'The model "text-only" does not accept images'),
    );
    await expect(service().createRun(caller, id, { ...run, model: 'other' })).rejects.toMatchObject(
      refused('additional_messages[0].content[1]', 'The model "other" does not accept images'),
    );
    await expect(
      service().createThreadAndRun(caller, { messages: [image] }, { assistant_id }),
    ).rejects.toMatchObject(refused('thread.messages[0].content[1]', 'The model "text-only"'));
    expect((await service().listRuns(caller, id, { limit: 20, order: 'asc' })).data).toEqual([]);
  });
});

test('where one model can’t see, messages are taken, and runs on the others', async () => {
  const some = serviceWith((asked) => (asked === 'text-only' ? { name: asked } : null));
  const { id } = await some.createThread(caller, { messages: [image] });
  await some.createMessage(caller, id, image);
  const { id: assistant_id } = await some.createAssistant(caller, { model: 'text-only' });
  const run = { assistant_id, additional_messages: [image] };
  await expect(some.createRun(caller, id, run)).rejects.toMatchObject({ status: 400 });
  expect((await some.createRun(caller, id, { ...run, model: 'seeing' })).run.model).toBe('seeing');
});
