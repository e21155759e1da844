/** The pure parts of the pages of runs: scales, charts, filters, conversations, words. */
import { describe, expect, test } from 'vitest';
import { axisOf, stackedBars } from '../../../console/src/pages/overview/bars.ts';
import { temporalPage } from '../../../console/src/pages/run/temporal-page.ts';
import { entryFacts, entryLine, entryTone } from '../../../console/src/pages/run/entry-text.ts';
import { filtersOf, isFiltered, listParams, mergedRuns } from '../../../console/src/pages/runs/filters.ts';
import { conversationOf } from '../../../console/src/runs/conversation.ts';
import { moneyText, countText, spanText, type Tone } from '../../../console/src/runs/figures.ts';
import { withDelta } from '../../../console/src/runs/message-delta.ts';
import { timeScale } from '../../../console/src/runs/time-scale.ts';
import type { Message, RunStep } from '../../../protocol/wire/objects.ts';
import type { TimelineEntry } from '../../../protocol/wire/run-timeline.ts';

const runs = (...ids: number[]) => ids.map((id) => ({ id: String(id) }));

const delta = (value: string) => ({
  delta: { content: [{ index: 0, type: 'text' as const, text: { value } }] },
});

const message = (id: string, at: number, run: string | null): Message =>
  ({ id, created_at: at, run_id: run, content: [] }) as unknown as Message;
const says = (id: string): RunStep =>
  ({
    id: `s_${id}`,
    step_details: { type: 'message_creation', message_creation: { message_id: id } },
  }) as unknown as RunStep;
const calls = (...ids: string[]): RunStep =>
  ({
    id: 's_calls',
    step_details: { type: 'tool_calls', tool_calls: ids.map((id) => ({ id })) },
  }) as unknown as RunStep;

describe('the scale of a timeline', () => {
  test('is linear where something works all the time', () => {
    const scale = timeScale(0, 1_000, [{ start: 0, end: 1_000 }]);
    expect(scale.breaks).toEqual([]);
    expect([0, 250, 1_000].map(scale.at)).toEqual([0, 0.25, 1]);
  });

  test('draws a wait of days short, and the work around it to scale', () => {
    const day = 86_400_000;
    const scale = timeScale(0, day + 2_000, [
      { start: 0, end: 1_000 },
      { start: day + 1_000, end: day + 2_000 },
    ]);
    expect(scale.breaks).toHaveLength(1);
    const [first] = scale.breaks;
    expect(first).toMatchObject({ start: 1_000, end: day + 1_000 });
    expect((first?.to ?? 0) - (first?.from ?? 0)).toBeCloseTo(0.12);
    expect(scale.at(1_000)).toBeCloseTo(0.44);
    expect(scale.at(500)).toBeCloseTo(0.22);
    expect(scale.at(day + 1_500)).toBeCloseTo(0.78);
    expect(scale.at(day + 2_000)).toBeCloseTo(1);
  });

  test('never runs backwards, whatever the spans', () => {
    for (let seed = 1; seed < 200; seed++) {
      let state = seed;
      const next = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
      const spans = Array.from({ length: next(6) }, () => {
        const start = next(10_000);
        return { start, end: start + next(3_000) };
      });
      const scale = timeScale(0, next(20_000), spans);
      const places = Array.from({ length: 60 }, (_one, index) => scale.at(index * 300));
      expect(places.every((at, index) => at >= (places[index - 1] ?? 0) - 1e-9 && at >= 0 && at <= 1)).toBe(
        true,
      );
    }
  });

  test('of a run that took no time is a line all the same', () => {
    const scale = timeScale(5, 5, []);
    expect([scale.at(5), scale.at(9_999)]).toEqual([0, 1]);
  });
});

test.each([
  [0, '0 ms'],
  [840, '840 ms'],
  [3_240, '3.2 s'],
  [59_600, '60 s'],
  [250_000, '4 min 10 s'],
  [3_600_000, '1 h'],
  [183_600_000, '2 d 3 h'],
])('%i ms is %s', (ms, text) => {
  expect(spanText(ms)).toBe(text);
});

test('counts and costs are short', () => {
  expect([0, 950, 1_000, 12_400, 999_999, 3_100_000].map(countText)).toEqual([
    '0',
    '950',
    '1k',
    '12.4k',
    '1000k',
    '3.1M',
  ]);
  expect(moneyText({ cost: { USD: '0.0042', EUR: '1' } })).toBe('0.0042 USD + 1 EUR');
  expect(moneyText({})).toBe('');
});

describe('filters', () => {
  test('are read of the address, and unknown values are none', () => {
    const filters = filtersOf(new URLSearchParams('status=failed&since=24h&tool=%20refund%20&tenant=acme'));
    expect(filters).toEqual({
      status: 'failed',
      assistant: '',
      thread: '',
      tool: 'refund',
      tenant: 'acme',
      span: '24h',
    });
    expect(isFiltered(filtersOf(new URLSearchParams('status=odd&since=forever')))).toBe(false);
  });

  test('give the same request within a minute', () => {
    const filters = filtersOf(new URLSearchParams('since=1h'));
    const at = 1_800_000_000_000;
    expect(listParams(filters, at)).toEqual(listParams(filters, at + 30_000));
    expect(listParams(filters, at)).toMatchObject({ created_from: 1_799_996_400 });
  });

  test('a new first page goes before what is known, without gap or double', () => {
    expect(mergedRuns(runs(5, 4, 3, 2), runs(6, 5, 4), false)).toEqual(runs(6, 5, 4, 3, 2));
    expect(mergedRuns(runs(5, 4, 3), runs(9, 8, 7), false)).toEqual(runs(9, 8, 7));
    expect(mergedRuns(runs(5, 4, 3), runs(5), true)).toEqual(runs(5));
    expect(mergedRuns(runs(), runs(), true)).toEqual([]);
  });
});

describe('a conversation', () => {
  test('has the calls where the model made them', () => {
    const items = conversationOf(
      [message('q', 1, null), message('a1', 5, 'run'), message('a2', 5, 'run'), message('later', 9, 'run_2')],
      [says('a1'), calls('c1', 'c2'), says('a2')],
      { id: 'run', created_at: 4 },
    );
    expect(items.map(({ id }) => id)).toEqual(['q', 'a1', 's_calls:c1', 's_calls:c2', 'a2', 'later']);
  });

  test('has a message that no step names yet', () => {
    const items = conversationOf([message('a', 5, 'run')], [], { id: 'run', created_at: 4 });
    expect(items).toMatchObject([{ id: 'a', own: true }]);
  });

  test('grows with its deltas', () => {
    const grown = withDelta(withDelta(message('m', 1, 'run'), delta('Hel')), delta('lo'));
    expect(grown.content).toEqual([{ type: 'text', text: { value: 'Hello', annotations: [] } }]);
  });
});

test('bars fill their column in proportion, and an axis has round figures', () => {
  const [bar] = stackedBars(
    [
      [
        { key: 'a', value: 1 },
        { key: 'b', value: 0 },
        { key: 'c', value: 3 },
      ],
    ],
    4,
  );
  expect(bar?.parts).toEqual([
    { key: 'a', y: 0.75, height: 0.25, value: 1 },
    { key: 'c', y: 0, height: 0.75, value: 3 },
  ]);
  expect([0, 1, 3, 17, 200, 201].map((value) => axisOf(value).top)).toEqual([1, 1, 5, 20, 200, 500]);
});

test('a line says what happened, how long it took, and that it goes on', () => {
  const entry: TimelineEntry = {
    id: 't',
    kind: 'tool',
    start_ms: 1_000,
    end_ms: null,
    round: 1,
    source: 'history',
    call_id: 'c',
    tool: 'refund',
    outcome: 'running',
    attempts: 3,
    failure: null,
    next_attempt_at_ms: null,
    arguments: null,
    output: null,
  };
  expect(entryLine(entry, 3_000)).toBe('Tool refund, 2.0 s, goes on, 3 attempts, running');
  expect(entryFacts({ ...entry, outcome: 'ok', attempts: 1, end_ms: 2_000 })).toEqual([]);
});

describe('a line about an entry of the record', () => {
  const vote: TimelineEntry = {
    id: 'd',
    kind: 'decision',
    start_ms: 0,
    end_ms: 0,
    round: 1,
    source: 'store',
    call_id: 'c',
    tool: 'refund',
    decision: 'approve',
    by: 'ada',
    verified: true,
    door: 'http',
    edited: false,
    late: false,
    undecided: true,
    in_place_of: null,
    to: null,
    reason: null,
    note: null,
    refused: null,
  };
  const timer = { by: null, verified: false, door: 'workflow' } as const;
  test.each<[string, Tone, Partial<typeof vote>]>([
    ['Approved refund', 'ok', { undecided: false }],
    ['Denied refund', 'bad', { undecided: false, decision: 'deny' }],
    ['Vote to approve refund, unverified', 'wait', { verified: false }],
    ['Vote to deny refund', 'wait', { decision: 'deny' }],
    ['Approval refund, refused', 'dim', { undecided: false, refused: 'no vote' }],
    ['Handed over refund', 'dim', { decision: 'delegate' }],
    ['Commented refund', 'dim', { decision: 'comment' }],
    ['Reminded refund', 'dim', { decision: 'remind', ...timer }],
    ['Escalated refund', 'dim', { decision: 'escalate', ...timer }],
  ])('%s', (line, tone, more) => {
    const entry = { ...vote, ...more };
    expect([entryLine(entry, 0), entryTone(entry)]).toEqual([line, tone]);
  });
});

test('the page of Temporal is known when its address is, and no name breaks out of it', () => {
  expect(temporalPage({ temporal_ui: 'http://ui/', namespace: 'a b' }, 'run/1')).toBe(
    'http://ui/namespaces/a%20b/workflows/run%2F1',
  );
  expect(temporalPage({ temporal_ui: null, namespace: 'x' }, 'run')).toBeNull();
  expect(temporalPage({ temporal_ui: 'http://ui', namespace: null }, 'run')).toBeNull();
  expect(temporalPage({ temporal_ui: 'javascript:alert(1)', namespace: 'x' }, 'run')).toBeNull();
});
