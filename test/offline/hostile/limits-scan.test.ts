/**
 * How a body is read and checked: rows of docs/contributing/faults.md about hostile bodies.
 *
 * Proves: a body is refused at its first excess, while it arrives and before objects are made of it; a check ends at the first
 * thing that is wrong. Does not prove: times and memory (`npm run bench`).
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ROUTES } from '../../../api/app.ts';
import { DEFAULT_BODY_LIMITS, readJson } from '../../../api/body.ts';
import { firstIssues } from '../../../api/first-issue.ts';
import { JsonScan, type JsonBounds } from '../../../protocol/json-scan.ts';
import { JSON_LIMITS } from '../../../protocol/limits.ts';
import { holds } from '../../support/fuzz.ts';

const thrown = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return null;
};

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

/** A body that counts how much of it was asked for. */
const countedBody = (text: string, pieceBytes = 16_384) => {
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
  });
  return { seen, request, size: bytes.length };
};

const numbers = (count: number) => JSON.stringify(Array.from({ length: count - 1 }, () => 1));
const post = (text: string) =>
  new Request('http://127.0.0.1/', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': String(text.length) },
    body: text,
  });

describe('the scan of a body', () => {
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

  test.each([
    ['messages', `{"messages":[${'{},'.repeat(2_700_000)}{}]}`],
    ['numbers', `{"tool_outputs":[${'1,'.repeat(4_000_000)}1]}`],
    ['parts', `{"role":"user","content":[${'{},'.repeat(2_700_000)}{}]}`],
    ['brackets', `{"messages":[${'['.repeat(8_000_000)}`],
    ['pairs', `{"metadata":{${'"a":1,'.repeat(1_300_000)}"a":1}}`],
  ])('refuses 8 MB of %s when a hundredth of it has come', async (_name, text) => {
    const { seen, request, size } = countedBody(text);
    const error = await thrown(() => readJson(request, DEFAULT_BODY_LIMITS));
    expect(error).toMatchObject({ status: 400, code: 'invalid_json' });
    expect(seen.cancelled).toBe(true);
    expect(seen.read).toBeLessThan(size / 50);
  });

  test('a body of the largest number of values is read, one more is refused', async () => {
    expect(await readJson(post(numbers(JSON_LIMITS.values)), DEFAULT_BODY_LIMITS)).toHaveLength(
      JSON_LIMITS.values - 1,
    );
    const error = await thrown(() => readJson(post(numbers(JSON_LIMITS.values + 1)), DEFAULT_BODY_LIMITS));
    expect(String(error)).toContain('too many values: at most 20000');
  });

  test('keys named __proto__ are dropped, whichever letter is escaped', async () => {
    const text = '{"a":{"__proto__":1},"\\u005f_proto__":2,"b":[{"__pr\\u006fto__":{"c":1}}]}';
    expect(JSON.stringify(await readJson(countedBody(text).request, DEFAULT_BODY_LIMITS))).toBe(
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
