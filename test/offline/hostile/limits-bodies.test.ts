/**
 * Limits before work: rows of docs/contributing/faults.md about hostile bodies.
 *
 * Proves: nothing that a caller sends is unbounded in a schema, what is over a maximum is refused with the field and a short
 * text, and what all bodies hold together is bounded. Does not prove: times and memory (`npm run bench`).
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ROUTES, type Api } from '../../../api/app.ts';
import { createBodyBudget } from '../../../api/body-budget.ts';
import { createApi } from '../../../api/index.ts';
import { checkSubmit } from '../../../service/check-submit.ts';
import { ApiError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { RunForSubmit } from '../../../protocol/ports/run-store.ts';
import type { Run, ToolOutput } from '../../../protocol/wire/objects.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';

const times = <Item>(count: number, item: Item): Item[] => Array.from({ length: count }, () => item);

const thrown = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return null;
};
const errorOf = (body: unknown) =>
  (body as { error: { message: string; code: string; param: string } }).error;

const text = (chars: number) => ({ type: 'text', text: 'x'.repeat(chars) });

const tool = (index: number) => ({
  type: 'function',
  function: { name: `t${index}`, parameters: { description: 'x'.repeat(10_000) } },
});

const outputs = (count: number): ToolOutput[] =>
  Array.from({ length: count }, (_, index) => ({ tool_call_id: `call_${index}`, output: '' }));

describe('schemas', () => {
  /** Places of a JSON schema that hold any number of anything. */
  const unbounded = (schema: unknown, path: string): string[] => {
    if (typeof schema !== 'object' || schema === null) return [];
    const { type, properties, items, anyOf, ...rest } = schema as Record<string, unknown>;
    const own =
      (type === 'string' && !('maxLength' in rest || 'enum' in rest || 'const' in rest)) ||
      (type === 'array' && !('maxItems' in rest));
    return [
      ...(own ? [path] : []),
      ...Object.entries(properties ?? {}).flatMap(([key, member]) => unbounded(member, `${path}.${key}`)),
      ...unbounded(items, `${path}[]`),
      ...(Array.isArray(anyOf) ? anyOf.flatMap((member) => unbounded(member, path)) : []),
    ];
  };

  // Text and images of a message are bounded by their sum, outputs by `checkOutputSizes`.
  const ELSEWHERE = /(\.text|\.image_url\.url|\.tool_outputs\[\]\.output)$/;

  test('every list and every string of every body has a maximum', () => {
    const bodies = ROUTES.flatMap(({ body, path }) => (body === null ? [] : [{ body, path }]));
    expect(bodies.length).toBeGreaterThan(10);
    const places = bodies.flatMap(({ body, path }) =>
      unbounded(z.toJSONSchema(body, { unrepresentable: 'any' }), path),
    );
    expect(places.filter((place) => !ELSEWHERE.test(place))).toEqual([]);
  });
});

describe('over HTTP', () => {
  let api: Api;
  let thread = '';
  let assistant = '';

  beforeAll(async () => {
    api = createApi({ engine: createSandboxEngine() });
    const idOf = async (path: string, sent: object): Promise<string> =>
      String(((await call(api.fetch, 'POST', path, sent)).body as { id: unknown }).id);
    thread = await idOf('/v1/threads', {});
    assistant = await idOf('/v1/assistants', { model: 'scripted:chat' });
  });

  const message = { role: 'user', content: 'hi' };
  const send = (content: unknown) =>
    call(api.fetch, 'POST', `/v1/threads/${thread}/messages`, { role: 'user', content });

  test('text parts count towards the same limit as a text', async () => {
    expect((await send([text(128_000), text(128_000)])).status).toBe(200);
    expect((await send('x'.repeat(256_000))).status).toBe(200);
    for (const content of [[text(128_000), text(128_001)], 'x'.repeat(256_001)]) {
      const { status, body } = await send(content);
      expect(status).toBe(400);
      expect(errorOf(body)).toMatchObject({ code: 'string_above_max_length', param: 'content' });
      expect(errorOf(body).message).toContain('maximum length 256000, but got a string with length 256001');
    }
  });

  test.each([
    ['messages of a thread', '/v1/threads', () => ({ messages: times(513, message) }), 'messages'],
    [
      'messages of a run',
      '/v1/threads/THREAD/runs',
      () => ({ assistant_id: assistant, additional_messages: times(513, message) }),
      'additional_messages',
    ],
    [
      'messages of a thread and run',
      '/v1/threads/runs',
      () => ({ assistant_id: assistant, thread: { messages: times(513, message) } }),
      'thread.messages',
    ],
    [
      'tools',
      '/v1/assistants',
      () => ({ model: 'm', tools: times(129, { type: 'function', function: { name: 'a' } }) }),
      'tools',
    ],
    [
      'parts',
      '/v1/threads/THREAD/messages',
      () => ({ role: 'user', content: times(65, text(1)) }),
      'content',
    ],
    [
      'outputs',
      '/v1/threads/THREAD/runs/run_1/submit_tool_outputs',
      () => ({ tool_outputs: times(513, { tool_call_id: 'a', output: '' }) }),
      'tool_outputs',
    ],
  ])('one too many %s is refused by its number', async (_name, path, body, param) => {
    const { status, body: answer } = await call(api.fetch, 'POST', path.replace('THREAD', thread), body());
    expect(status).toBe(400);
    expect(errorOf(answer)).toMatchObject({ param, code: 'array_above_max_length' });
  });

  test('tools that are large together, a large schema and large images are refused', async () => {
    const refused = [
      ['/v1/assistants', { model: 'm', tools: Array.from({ length: 128 }, (_, index) => tool(index)) }],
      [
        '/v1/assistants',
        {
          model: 'm',
          response_format: { type: 'json_schema', json_schema: { description: 'x'.repeat(300_000) } },
        },
      ],
      [
        `/v1/threads/${thread}/messages`,
        {
          role: 'user',
          content: times(3, { type: 'image_url', image_url: { url: 'x'.repeat(1_500_000) } }),
        },
      ],
    ] as const;
    for (const [path, body] of refused) {
      const { status, body: answer } = await call(api.fetch, 'POST', path, body);
      expect(status).toBe(400);
      expect(errorOf(answer).code).toBe('string_above_max_length');
      expect(JSON.stringify(answer).length).toBeLessThan(500);
    }
  });

  test('each route has a limit of its own', async () => {
    const body = JSON.stringify({ metadata: { a: 'x'.repeat(300_000) } });
    for (const [path, code] of [
      [`/v1/threads/${thread}`, 'request_too_large'],
      ['/v1/threads', 'invalid_value'],
    ] as const) {
      const { status, body: answer } = await call(api.fetch, 'POST', path, body, {
        'content-length': String(body.length),
      });
      expect([status, errorOf(answer).code]).toEqual([400, code]);
    }
  });

  test('an unknown key, however long or many, is named once and short', async () => {
    const keys = Object.fromEntries(
      Array.from({ length: 9_000 }, (_, index) => [`${'k'.repeat(200)}${index}`, 1]),
    );
    const { status, body } = await call(api.fetch, 'POST', '/v1/threads', keys);
    expect(status).toBe(400);
    expect(JSON.stringify(body).length).toBeLessThan(500);
  });
});

describe('a submit', () => {
  const run = { status: 'requires_action' } as Run;
  const waitingFor = (ids: readonly string[]): RunForSubmit => ({
    run,
    status: 'requires_action',
    round: {
      round: 1,
      calls: ids.map((callId) => ({
        callId,
        name: 'f',
        arguments: '{}',
        plan: { kind: 'external', wait: { answerWithinMs: null, onDeadline: 'fail' } },
      })) as NonNullable<RunForSubmit['round']>['calls'],
      outputs: {},
      done: false,
    },
    asked: null,
    keyUsed: false,
  });
  // Compared pair by pair, this takes minutes.
  test('of two hundred thousand ids is judged in one pass, and names ten of them', async () => {
    const many = outputs(200_000);
    const error = (await thrown(() => checkSubmit(waitingFor(['call_x']), many, false))) as ApiError;
    expect(error).toBeInstanceOf(ApiError);
    expect(error.message).toMatch(/'call_9', … and 199990 more\]$/);
    expect(checkSubmit(waitingFor(many.map(({ tool_call_id: id }) => id)), many, false)).toBe('send');
    expect(() => checkSubmit(waitingFor(['call_x']), [...many, ...outputs(1)], false)).toThrow(
      "Duplicate tool_call_id 'call_0'",
    );
    expect(LIMITS.toolOutputs).toBeLessThan(200_000);
  });
});

describe('bodies that arrive at the same time', () => {
  test('have a quarter of the budget for each tenant and all of it together, and give it back', async () => {
    const budget = createBodyBudget(400);
    const first = budget.open('a');
    first.grow(60);
    const second = budget.open('a');
    second.grow(40);
    expect(await thrown(() => second.grow(1))).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
    for (const tenant of ['b', 'c', 'd']) budget.open(tenant).grow(100);
    expect(await thrown(() => budget.open('e').grow(1))).toMatchObject({ status: 503 });
    second.close();
    expect(budget.held).toBe(360);
    budget.open('e').grow(40);
    first.close();
    first.close();
    expect(budget.held).toBe(340);
  });
});
