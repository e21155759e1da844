/** What the model is told of the worker's tools: names are completed, and runs without tools may be offered them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTools, planCalls, toJSONSchema } from '../../../activities/index.ts';
import { declaredTools } from '../../../backends/chat/tools.ts';
import { isOffered } from '../../../service/offered-tools.ts';
import type { Backend } from '../../../protocol/ports/backend.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { FunctionTool } from '../../../protocol/wire/objects.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
import { calls, says } from '../../support/chat-server.ts';
import { scriptedHttp, type ScriptedHttp } from '../../support/scripted-http.ts';
import { createRequest, memoryStore, startedRun } from '../../support/store.ts';

const registry = defineTools({
  refund: {
    description: 'Pays money back.',
    parameters: z.object({ order: z.string() }),
    execute: () => 'done',
  },
  erase: { description: 'Erases.', parameters: z.object({}), execute: () => 'gone' },
});
const own = toJSONSchema(registry);
const [refund, erase] = own;
const named = (name: string): FunctionTool => ({ type: 'function', function: { name } });
const described: FunctionTool = {
  type: 'function',
  function: { name: 'refund', description: 'Mine.', parameters: { type: 'object', properties: {} } },
};

describe('the tools that a run declares', () => {
  test.each([
    ['a name alone is completed', { tools: [named('refund')], granted_tools: null }, [refund]],
    ['a definition stays as it was written', { tools: [described], granted_tools: null }, [described]],
    [
      'a name that the worker does not have stays',
      { tools: [named('x')], granted_tools: null },
      [named('x')],
    ],
    [
      'a tool that is not granted tells nothing',
      { tools: [named('refund')], granted_tools: ['erase'] },
      [named('refund')],
    ],
    ['nothing declared, nothing offered: none', { tools: [], granted_tools: null }, []],
    ['nothing declared, all offered', { tools: [], granted_tools: null, offer_tools: true }, own],
    [
      'offered are the granted ones only',
      { tools: [], granted_tools: ['erase'], offer_tools: true },
      [erase],
    ],
  ])('%s', (_name, config, expected) => {
    expect(declaredTools(config, own)).toEqual(expected);
  });
});

describe('an offer', () => {
  test.each([
    ['all', null, true],
    ['all', ['a'], true],
    ['granted', null, false],
    ['granted', [], false],
    ['granted', ['a'], true],
    ['none', null, false],
    ['none', ['a'], false],
  ] as const)('%s to a key that may use %j: %j', (mode, grantedTools, offered) => {
    expect(isOffered(mode, { grantedTools })).toBe(offered);
  });
});

describe('a run', () => {
  let store: Store;
  let server: ScriptedHttp;
  let backend: Backend & { dispose(): Promise<void> };
  beforeAll(async () => {
    store = await memoryStore();
  }, 60_000);
  afterAll(() => store.close());
  beforeEach(async () => {
    server = await scriptedHttp();
    backend = chatOnServer({ store, baseUrl: `${server.url}/v1`, flushMs: 1 });
  });
  afterEach(async () => {
    await backend.dispose();
    await server.close();
  });

  const NOW = 1_800_000_000_000;
  const context = () =>
    fakeContext({
      now: () => NOW + 1000,
      plan: (made, declared, options) => planCalls(registry, made, declared, options),
      workerTools: own,
    });
  const create = async (more: Parameters<typeof startedRun>[3]) => {
    const run = await startedRun(store, 'tenant', NOW, more);
    return { run, settled: await backend.create(createRequest(run, NOW), context()) };
  };
  const sentTools = (): unknown =>
    (JSON.parse(server.requests[0]?.body ?? '{}') as { tools?: unknown }).tools ?? null;

  test('an offered tool is told to the model and carried out by the worker', async () => {
    server.script.push(calls([{ name: 'refund', arguments: '{"order":"42"}' }]));
    const { settled } = await create({ offerTools: true });
    expect(sentTools()).toEqual(
      own.map(({ function: { strict: _strict, ...rest } }) => ({
        type: 'function',
        function: expect.objectContaining(rest) as unknown,
      })),
    );
    expect(settled).toMatchObject({
      status: 'requires_action',
      calls: [{ name: 'refund', plan: { kind: 'automatic' } }],
    });
  });

  test.each([
    ['the run says that it has none', { offerTools: true, params: { tools: [] } }, null],
    [
      'the assistant declares another',
      { offerTools: true, assistant: { tools: [named('mine')] } },
      [{ type: 'function', function: { name: 'mine', parameters: { type: 'object', properties: {} } } }],
    ],
    ['nothing was said of an offer', {}, null],
  ])('no tool is offered when %s', async (_when, more, expected) => {
    server.script.push(says(['Hi']));
    await create(more);
    expect(sentTools()).toEqual(expected);
  });

  test('a tool that the worker has and the run does not declare is refused with what to do', async () => {
    server.script.push(calls([{ name: 'refund', arguments: '{"order":"42"}' }]));
    const { settled } = await create({});
    const [call] = settled.status === 'requires_action' ? settled.calls : [];
    expect(call?.plan.kind === 'refused' ? call.plan.output : '').toContain(
      'This run has no tools. The worker has \\"refund\\": declare it in the tools of the assistant or of the run, where its name is enough, or set RUNS_OFFER_TOOLS',
    );
  });

  test('offered tools are not shown on the wire', async () => {
    server.script.push(says(['Hi']));
    const { run } = await create({ offerTools: true });
    const shown = await store.getRun('tenant', run.threadId, run.runId);
    expect(shown.tools).toEqual([]);
    expect(shown).not.toHaveProperty('offer_tools');
  });
});
