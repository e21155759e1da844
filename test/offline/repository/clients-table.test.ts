/** The programs of the client libraries: how their output is read, and that the documented table is that of the last kept run. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LANES, versionOf } from '../../clients/harness/lanes.ts';
import { problemsOf, readSteps, STEP_NAMES, type StepResults } from '../../clients/harness/steps.ts';
import { tableOf, withTable, type LaneResult } from '../../clients/harness/table.ts';
import { ROOT } from '../../support/sources.ts';

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const kept = JSON.parse(read('test/clients/results.json')) as Record<string, LaneResult>;

const allPassed = Object.fromEntries(
  STEP_NAMES.map((step) => [step, { ok: true, detail: '' }]),
) as StepResults;
const line = (step: string, ok: boolean | null, detail = ''): string => JSON.stringify({ step, ok, detail });

describe('the table of docs/reference/clients.md', () => {
  test('is that of the kept results', () => {
    const document = read('docs/reference/clients.md');
    expect(document).toBe(withTable(document, tableOf(Object.values(kept))));
  });

  test('holds every client, in the version that its manifest pins', () => {
    const pinned = LANES.map((lane) => [lane.name, versionOf(lane)]);
    expect(Object.entries(kept).map(([name, { version }]) => [name, version])).toEqual(pinned);
  });

  test('holds no failure without a known reason', () => {
    expect(Object.entries(kept).flatMap(([, { steps, known }]) => problemsOf(steps, known))).toEqual([]);
    for (const { name, known } of LANES) expect(kept[name]?.known).toEqual(known ?? {});
  });

  test('has a row in docs/how-to/migrate-a-program.md for each client', () => {
    const rows = new Set(
      [...read('docs/how-to/migrate-a-program.md').matchAll(/^\| (\S[^|]*?) \|/gm)].map(([, name]) => name),
    );
    expect(LANES.map(({ client }) => client).filter((client) => !rows.has(client))).toEqual([]);
  });

  test('names a step that fails, and one that the client does not offer, with the reason', () => {
    const steps = {
      ...allPassed,
      stream: { ok: false, detail: 'broke' },
      silence: { ok: false, detail: 'broke' },
      paging: { ok: null, detail: 'has no pages' },
    };
    const table = tableOf([
      { client: 'One', language: 'go', version: '1.2', steps, known: { stream: 'why', silence: 'why' } },
    ]);
    expect(table).toContain('| One | 1.2 | Go | ✓ | ✓ | ✓ | ✓ | ✗ | ✗ | ✓ | – | ✓ | ✓ |');
    expect(table).toContain('- One 1.2, stream, silence: ✗ why\n- One 1.2, paging: – has no pages');
  });

  test('needs its markers in the document', () => {
    expect(() => withTable('no markers', 'table')).toThrow('"<!-- clients:begin -->"');
  });
});

describe("a program's output", () => {
  test('counts the last line of a step, and passes over what a library prints', () => {
    const noise = ['warning: deprecated', '{"step": broken', '{"level": "warn"}'];
    const output = [line('run', false, 'early'), ...noise, line('run', true), ...noise];
    expect(readSteps(output.join('\n'), 'ended').run).toEqual({ ok: true, detail: '' });
  });

  test('without a line of a step means that the step was not reached', () => {
    expect(readSteps(line('assistant', true), 'exit code 3')).toMatchObject({
      assistant: { ok: true },
      error: { ok: false, detail: 'not reached: exit code 3' },
    });
  });

  test('is shortened to one line of 300 characters', () => {
    const { detail } = readSteps(line('run', false, `a\n  b${'c'.repeat(400)}`), '').run;
    expect(detail).toBe(`a b${'c'.repeat(297)}…`);
  });
});

describe('a problem', () => {
  test.each([
    ['all pass', {}, {}, []],
    ['the client offers no such call', { paging: { ok: null, detail: 'none' } }, {}, []],
    ['a failure without a reason', { run: { ok: false, detail: 'boom' } }, {}, ['run: boom']],
    ['a failure with a known reason', { run: { ok: false, detail: 'boom' } }, { run: 'why' }, []],
    [
      'a known reason that is outdated',
      {},
      { run: 'why' },
      ['run: no longer fails; delete its known reason "why"'],
    ],
  ])('%s', (_name, steps, known, problems) => {
    expect(problemsOf({ ...allPassed, ...steps }, known)).toEqual(problems);
  });
});
