import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeltaWriter, joined } from '../../../backends/chat/delta-writer.ts';
import type { StreamEvent } from '../../../protocol/wire/events.ts';
import { messageContentOf } from '../../../store/close-run.ts';
import { deferred } from '../../support/deferred.ts';

type Delta = Parameters<DeltaWriter['push']>[0];

const text = (value: string, id = 'msg_1'): Delta => ({
  event: 'thread.message.delta',
  data: {
    id,
    object: 'thread.message.delta',
    delta: { content: [{ index: 0, type: 'text', text: { value } }] },
  },
});
const call = (index: number, args: string, start?: { id: string; name: string }): Delta => ({
  event: 'thread.run.step.delta',
  data: {
    id: 'step_1',
    object: 'thread.run.step.delta',
    delta: {
      step_details: {
        type: 'tool_calls',
        tool_calls: [
          {
            index,
            type: 'function',
            ...(start === undefined
              ? { function: { arguments: args } }
              : { id: start.id, function: { name: start.name, arguments: args, output: null } }),
          },
        ],
      },
    },
  },
});

const values = (events: readonly StreamEvent[]): string[] =>
  events.map((event) =>
    event.event === 'thread.message.delta'
      ? (event.data.delta.content[0]?.text?.value ?? '')
      : event.event === 'thread.run.step.delta'
        ? event.data.delta.step_details.tool_calls
            .map((one) => `${one.id ?? ''}#${one.index}${one.function?.arguments ?? ''}`)
            .join(',')
        : '?',
  );

describe('joining', () => {
  test.each([
    ['pieces of one text', text('a'), text('b'), ['ab']],
    ['texts of two messages', text('a'), text('b', 'msg_2'), null],
    ['arguments of one call', call(0, '{'), call(0, '}'), ['#0{}']],
    ['the beginning of a call and its arguments', call(0, '', { id: 'x', name: 'n' }), call(0, '{}'), null],
    ['two calls', call(0, '{}'), call(1, '{}'), null],
    ['the beginning of a call', call(0, '{}'), call(0, '', { id: 'y', name: 'n' }), null],
    ['text and call', text('a'), call(0, '{}'), null],
  ])('%s', (_name, a, b, expected) => {
    const one = joined(a, b);
    expect(one === null ? null : values([one])).toEqual(expected);
  });
});

describe('the writer', () => {
  test('writes the first piece at once and joins what comes while it writes', async () => {
    const gate = deferred();
    const written: string[][] = [];
    const writer = new DeltaWriter({
      append: async (events) => {
        written.push(values(events));
        if (written.length === 1) await gate.promise;
      },
      intervalMs: 1,
    });
    await writer.push(text('a'), 1);
    await writer.push(text('b'), 1);
    await writer.push(text('c'), 1);
    expect(written).toEqual([['a']]);
    gate.resolve();
    await writer.drain();
    expect(written).toEqual([['a'], ['bc']]);
    writer.stop();
  });

  test('a failed write is thrown at the next call, and nothing is written after it', async () => {
    let writes = 0;
    const writer = new DeltaWriter({
      append: async () => {
        writes += 1;
        throw new Error('lost');
      },
      intervalMs: 1,
    });
    await writer.push(text('a'), 1).catch(() => undefined);
    await expect(writer.drain()).rejects.toThrow('lost');
    await expect(writer.push(text('b'), 1)).rejects.toThrow('lost');
    expect(writes).toBe(1);
  });

  test('a slow store holds the speaker back instead of filling memory', async () => {
    const gate = deferred();
    const writer = new DeltaWriter({ append: () => gate.promise, intervalMs: 1, holdChars: 10 });
    await writer.push(text('a'), 1);
    let held = true;
    const second = (async () => {
      await writer.push(text('b'.repeat(20)), 20);
      held = false;
    })();
    await Promise.resolve();
    expect(held).toBe(true);
    gate.resolve();
    await second;
    expect(held).toBe(false);
    writer.stop();
  });

  test('the written pieces add up to the pushed text, in order, in any pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 16 }),
        async (pieces, flushChars) => {
          const events: StreamEvent[] = [];
          const writer = new DeltaWriter({
            append: async (batch) => {
              await Promise.resolve();
              events.push(...batch);
            },
            intervalMs: 0,
            flushChars,
          });
          for (const value of pieces) await writer.push(text(value), value.length);
          await writer.drain();
          writer.stop();
          const deltas = events.flatMap((event) =>
            event.event === 'thread.message.delta' ? [event.data] : [],
          );
          const content = messageContentOf(deltas)[0];
          expect(content?.type === 'text' ? content.text.value : '').toBe(pieces.join(''));
        },
      ),
      { numRuns: 50 },
    );
  });
});

test('pieces that can not be joined are held by their number, however short they are', async () => {
  const written = deferred();
  const writer = new DeltaWriter({ append: () => written.promise, intervalMs: 1 });
  await writer.push(call(0, 'x'), 1);
  let taken = 0;
  const pushing = (async () => {
    for (let index = 0; index < 10_000; index += 1) {
      await writer.push(call(index % 2, 'x'), 1);
      taken += 1;
    }
  })();
  // The writes are under way and do not end: the pieces wait.
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
  expect(taken).toBeGreaterThan(500);
  expect(taken).toBeLessThan(1_100);
  written.resolve();
  await pushing;
  writer.stop();
});
