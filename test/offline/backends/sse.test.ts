import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSseParser, sseEvents, SseLimitError, type SseEvent } from '../../../backends/http/sse.ts';

const parse = (...pieces: (string | Uint8Array)[]): SseEvent[] => {
  const parser = createSseParser();
  return pieces.flatMap((piece) => parser.push(typeof piece === 'string' ? Buffer.from(piece) : piece));
};
const split = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [...at, bytes.length].map((end, index) =>
    bytes.subarray(index === 0 ? 0 : (at[index - 1] ?? 0), end),
  );
};

async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('data: 1\n\ndata: 2');
  throw new Error('cut');
}

describe('reading server-sent events', () => {
  test('a named event with data is one event', () => {
    expect(parse('event: thread.run.queued\ndata: {"a":1}\n\n')).toEqual([
      { event: 'thread.run.queued', data: '{"a":1}', id: null },
    ]);
  });

  test.each([
    ['no blank line', 'event: x\ndata: 1\n'],
    ['no line end', 'event: x\ndata: 1'],
    ['cut inside the name', 'event: x\nda'],
    ['an event without data', 'event: x\n\n'],
    ['only comments', ': ping\n\n: ping\n\n'],
  ])('a cut or empty stream invents no event: %s', (_name, text) => {
    expect(parse(text)).toEqual([]);
  });

  test('an event without data does not name the next one', () => {
    expect(parse('event: x\n\ndata: 1\n\n')).toEqual([{ event: 'message', data: '1', id: null }]);
  });

  test('several data lines are joined by line feeds, one space after the colon is syntax', () => {
    expect(parse('data: a\ndata:b\ndata:  c\ndata\n\n')[0]?.data).toBe('a\nb\n c\n');
  });

  test('ids persist, a NUL in an id is ignored, retry is remembered', () => {
    const parser = createSseParser();
    const events = parser.push(
      Buffer.from('id: 7\nretry: 250\ndata: a\n\nid: x\0y\nretry: soon\ndata: b\n\n'),
    );
    expect(events.map(({ id }) => id)).toEqual(['7', '7']);
    expect(parser.retryMs()).toBe(250);
  });

  test('a BOM is skipped at the start, also when split, and kept elsewhere', () => {
    const bom = Buffer.from([0xef, 0xbb, 0xbf]);
    expect(parse(bom.subarray(0, 1), bom.subarray(1), 'data: a\n\n')).toEqual([
      { event: 'message', data: 'a', id: null },
    ]);
    expect(parse('data: \ufeffa\n\n')[0]?.data).toBe('\ufeffa');
  });

  test('bytes that are no UTF-8 become replacement characters and disturb nothing else', () => {
    const bytes = Buffer.concat([
      Buffer.from('data: a'),
      Buffer.from([0xff, 0xc3]),
      Buffer.from('\n\ndata: b\n\n'),
    ]);
    expect(parse(bytes).map(({ data }) => data)).toEqual(['a\ufffd\ufffd', 'b']);
  });

  test.each([
    ['line', { maxLineChars: 20 }, 'data: '.padEnd(40, 'x')],
    ['line', { maxLineChars: 20 }, `${'data: '.padEnd(40, 'x')}\n\n`],
    ['line', { maxLineChars: 20 }, ':'.padEnd(40, 'x')],
    ['event', { maxEventChars: 20 }, 'data: 1234567\n'.repeat(4)],
  ] as const)('a %s over its cap is a typed error', (what, limits, text) => {
    const parser = createSseParser(limits);
    const feed = (): void => Buffer.from(text).forEach((byte) => void parser.push(Uint8Array.of(byte)));
    expect(feed).toThrow(SseLimitError);
    expect(feed).toThrow(expect.objectContaining({ what }));
    expect(() => createSseParser(limits).push(Buffer.from(text))).toThrow(SseLimitError);
  });

  const line = fc.oneof(
    fc.constantFrom(
      'data: é😀',
      'data',
      ': c',
      'event: e',
      'id: 1',
      'retry: 5',
      '',
      'junk',
      'data:{"a":[1]}',
    ),
    fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => `data: ${text.replaceAll(/[\r\n]/g, '')}`),
  );
  const stream = fc
    .tuple(fc.boolean(), fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 30 }))
    .map(([bom, lines]) => (bom ? '\ufeff' : '') + lines.map(([text, end]) => text + end).join(''));

  test('any chunking of any stream gives the same events as one piece', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (text, cuts) => {
        const bytes = Buffer.from(text);
        expect(parse(...split(bytes, cuts))).toEqual(parse(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('every prefix of a stream gives a prefix of its events', () => {
    fc.assert(
      fc.property(stream, fc.nat(), (text, cut) => {
        const bytes = Buffer.from(text);
        const whole = parse(bytes);
        const part = parse(bytes.subarray(0, cut % (bytes.length + 1)));
        expect(whole.slice(0, part.length)).toEqual(part);
      }),
      { numRuns: 500 },
    );
  });

  test('line ends do not matter', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        const [lf, cr, crlf] = ['\n', '\r', '\r\n'].map((end) =>
          parse(lines.map((text) => text + end).join('')),
        );
        expect(cr).toEqual(lf);
        expect(crlf).toEqual(lf);
      }),
    );
  });

  test('arbitrary bytes never throw below the caps', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => {
        expect(Array.isArray(parse(...chunks))).toBe(true);
      }),
    );
  });

  test('a body that breaks gives the finished events, then its error', async () => {
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of sseEvents(broken())) seen.push(event.data);
    })();
    await expect(reading).rejects.toThrow('cut');
    expect(seen).toEqual(['1']);
  });
});
