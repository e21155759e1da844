/**
 * Limits before work: rows of docs/FAULTS.md about hostile bodies.
 *
 * Proves: nothing that a caller sends is unbounded in a schema, a body is refused at its first excess and before objects are
 * made of it, checks end at the first thing that is wrong, errors stay short. Does not prove: times and memory (`npm run bench`).
 */
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ROUTES, type Api } from '../../api/app.ts';
import { createBodyBudget } from '../../api/body-budget.ts';
import { DEFAULT_BODY_LIMITS, readJson } from '../../api/body.ts';
import { firstIssues } from '../../api/first-issue.ts';
import { createApi } from '../../api/index.ts';
import { judgeSubmit } from '../../engine/submit.ts';
import { ApiError } from '../../protocol/errors.ts';
import { JsonScan, type JsonBounds } from '../../protocol/json-scan.ts';
import { JSON_LIMITS, LIMITS } from '../../protocol/limits.ts';
import type { RunForSubmit } from '../../protocol/store.ts';
import type { Run, ToolOutput } from '../../protocol/wire.ts';
import { createSandboxEngine } from '../../sandbox/index.ts';
import { holds } from '../support/fuzz.ts';
import { call } from '../support/http.ts';

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

describe('the scan of a body', () => {
  const sizeOf = (value: unknown): JsonBounds => {
    if (typeof value !== 'object' || value === null) return { depth: 0, values: 1 };
    const members = Object.values(value).map(sizeOf);
    return {
      depth: 1 + Math.max(0, ...members.map(({ depth }) => depth)),
      values: 1 + members.reduce((sum, { values }) => sum + values, 0),
    };
  };
  const emptyOnes = (text: string): number =>
    (text.replaceAll(/"(?:\\.|[^"\\])*"/g, '""').match(/\{\}|\[\]/g) ?? []).length;

  test('counts what the text holds, however it is cut, and the same in text and bytes', () => {
    const strange = fc.string({
      unit: fc.constantFrom('"', '\\', ',', '{', '[', 'é', '😀', 'a', '\n'),
      maxLength: 8,
    });
    const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        strange,
        fc.integer(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(strange, tie('value'), { maxKeys: 4 }),
      ),
    }));
    holds(
      fc.property(json, fc.array(fc.nat(), { maxLength: 6 }), (value, cuts) => {
        const text = JSON.stringify(value);
        const bytes = Buffer.from(text);
        const { depth, values } = sizeOf(value);
        const counted = values + emptyOnes(text);
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
          (a, b) => a - b,
        );
        const scanned = (bounds: JsonBounds): boolean[] => {
          const scan = new JsonScan(bounds);
          const inBytes = at.some((from, index) => scan.bytes(bytes.subarray(from, at[index + 1])) !== null);
          return [inBytes, new JsonScan(bounds).text(text) !== null];
        };
        expect(scanned({ depth, values: counted })).toEqual([false, false]);
        expect(scanned({ depth, values: counted - 1 })).toEqual([counted > 1, counted > 1]);
        expect(scanned({ depth: depth - 1, values: counted })).toEqual([depth > 0, depth > 0]);
      }),
      { runs: 500 },
    );
  });

  /** A body that counts how much of it was asked for. */
  const counted = (text: string, pieceBytes = 16_384) => {
    const bytes = Buffer.from(text);
    const seen = { read: 0, cancelled: false };
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (seen.read >= bytes.length) return controller.close();
          const piece = bytes.subarray(seen.read, seen.read + pieceBytes);
          seen.read += piece.length;
          controller.enqueue(piece);
        },
        cancel() {
          seen.cancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    const request = new Request('http://127.0.0.1/', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      duplex: 'half',
    } as RequestInit);
    return { seen, request, size: bytes.length };
  };

  test.each([
    ['messages', `{"messages":[${'{},'.repeat(2_700_000)}{}]}`],
    ['numbers', `{"tool_outputs":[${'1,'.repeat(4_000_000)}1]}`],
    ['parts', `{"role":"user","content":[${'{},'.repeat(2_700_000)}{}]}`],
    ['brackets', `{"messages":[${'['.repeat(8_000_000)}`],
    ['pairs', `{"metadata":{${'"a":1,'.repeat(1_300_000)}"a":1}}`],
  ])('refuses 8 MB of %s when a hundredth of it has come', async (_name, text) => {
    const { seen, request, size } = counted(text);
    const error = await thrown(() => readJson(request, DEFAULT_BODY_LIMITS));
    expect(error).toMatchObject({ status: 400, code: 'invalid_json' });
    expect(seen.cancelled).toBe(true);
    expect(seen.read).toBeLessThan(size / 50);
  });

  test('a body of the largest number of values is read, one more is refused', async () => {
    const values = (count: number) => JSON.stringify(Array.from({ length: count - 1 }, () => 1));
    const post = (text: string) =>
      new Request('http://127.0.0.1/', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': String(text.length) },
        body: text,
      });
    expect(await readJson(post(values(JSON_LIMITS.values)), DEFAULT_BODY_LIMITS)).toHaveLength(
      JSON_LIMITS.values - 1,
    );
    const error = await thrown(() => readJson(post(values(JSON_LIMITS.values + 1)), DEFAULT_BODY_LIMITS));
    expect(String(error)).toContain('too many values: at most 20000');
  });

  test('keys named __proto__ are dropped, whichever letter is escaped', async () => {
    const text = '{"a":{"__proto__":1},"\\u005f_proto__":2,"b":[{"__pr\\u006fto__":{"c":1}}]}';
    expect(JSON.stringify(await readJson(counted(text).request, DEFAULT_BODY_LIMITS))).toBe(
      '{"a":{},"b":[{}]}',
    );
  });
});

describe('checks', () => {
  test('end at the first thing that is wrong', () => {
    let looked = 0;
    const item = z.custom(() => {
      looked += 1;
      return false;
    });
    const list = z.array(item).max(1_000);
    const body = { list: Array.from({ length: 1_000 }, () => ({})) };
    expect(firstIssues(z.strictObject({ list }), body)).toMatchObject([{ path: ['list', 0] }]);
    expect(looked).toBe(1);
    expect(firstIssues(z.strictObject({ list: list.max(999) }), body)).toMatchObject([{ code: 'too_big' }]);
    expect(looked).toBe(1);
    expect(firstIssues(z.strictObject({ list }), { ...body, more: 1 })).toMatchObject([
      { code: 'unrecognized_keys', keys: ['more'] },
    ]);
    expect(looked).toBe(1);
  });

  test('find something exactly when zod does', () => {
    const bodies = ROUTES.flatMap(({ body }) => (body === null ? [] : [body]));
    const field = fc.constantFrom(
      ...'model name metadata tools messages role content text type assistant_id thread stream tool_outputs tool_call_id output call_id decision'.split(
        ' ',
      ),
    );
    const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('user', 'text', 'm', '', null, 0, true),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(field, tie('value'), { maxKeys: 4 }),
      ),
    }));
    holds(
      fc.property(fc.constantFrom(...bodies), json, (schema, value) => {
        expect(firstIssues(schema, value) === null).toBe(schema.safeParse(value).success);
      }),
      { runs: 2_000 },
    );
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

  const text = (chars: number) => ({ type: 'text', text: 'x'.repeat(chars) });
  const message = { role: 'user', content: 'hi' };

  test('text parts count towards the same limit as a text', async () => {
    const send = (content: unknown) =>
      call(api.fetch, 'POST', `/v1/threads/${thread}/messages`, { role: 'user', content });
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
    ['messages of a thread', '/v1/threads', () => ({ messages: Array(513).fill(message) }), 'messages'],
    [
      'messages of a run',
      '/v1/threads/THREAD/runs',
      () => ({ assistant_id: assistant, additional_messages: Array(513).fill(message) }),
      'additional_messages',
    ],
    [
      'messages of a thread and run',
      '/v1/threads/runs',
      () => ({ assistant_id: assistant, thread: { messages: Array(513).fill(message) } }),
      'thread.messages',
    ],
    [
      'tools',
      '/v1/assistants',
      () => ({ model: 'm', tools: Array(129).fill({ type: 'function', function: { name: 'a' } }) }),
      'tools',
    ],
    [
      'parts',
      '/v1/threads/THREAD/messages',
      () => ({ role: 'user', content: Array(65).fill(text(1)) }),
      'content',
    ],
    [
      'outputs',
      '/v1/threads/THREAD/runs/run_1/submit_tool_outputs',
      () => ({ tool_outputs: Array(513).fill({ tool_call_id: 'a', output: '' }) }),
      'tool_outputs',
    ],
  ])('one too many %s is refused by its number', async (_name, path, body, param) => {
    const { status, body: answer } = await call(api.fetch, 'POST', path.replace('THREAD', thread), body());
    expect(status).toBe(400);
    expect(errorOf(answer)).toMatchObject({ param, code: 'array_above_max_length' });
  });

  test('tools that are large together, a large schema and large images are refused', async () => {
    const tool = (index: number) => ({
      type: 'function',
      function: { name: `t${index}`, parameters: { description: 'x'.repeat(10_000) } },
    });
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
          content: Array(3).fill({ type: 'image_url', image_url: { url: 'x'.repeat(1_500_000) } }),
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
  const outputs = (count: number): ToolOutput[] =>
    Array.from({ length: count }, (_, index) => ({ tool_call_id: `call_${index}`, output: '' }));

  // Compared pair by pair, this takes minutes.
  test('of two hundred thousand ids is judged in one pass, and names ten of them', async () => {
    const many = outputs(200_000);
    const error = (await thrown(() => judgeSubmit(waitingFor(['call_x']), many, false))) as ApiError;
    expect(error).toBeInstanceOf(ApiError);
    expect(error.message).toMatch(/'call_9', … and 199990 more\]$/);
    expect(judgeSubmit(waitingFor(many.map(({ tool_call_id: id }) => id)), many, false)).toBe('send');
    expect(() => judgeSubmit(waitingFor(['call_x']), [...many, ...outputs(1)], false)).toThrow(
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
