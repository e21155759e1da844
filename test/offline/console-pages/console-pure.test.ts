/** Pure parts of the console: addresses, times in words, the rows of a long list. */
import { describe, expect, test } from 'vitest';
import { matchPath } from '../../../console/src/match-path.ts';
import { drawnRows } from '../../../console/src/ui/drawn-rows.ts';
import { longDuration, shortDuration, urgencyOf } from '../../../console/src/ui/durations.ts';

test.each([
  ['/inbox/:id?', '/inbox', {}],
  ['/inbox/:id?', '/inbox/', {}],
  ['/inbox/:id?', '/inbox/appr_1', { id: 'appr_1' }],
  ['/inbox/:id?', '/inbox/a/b', null],
  ['/runs/:thread/:run', '/runs/t', null],
  ['/runs/:thread/:run', '/runs/t%2F1/r', { thread: 't/1', run: 'r' }],
  ['/runs/:thread', '/runs/%E0%A4%A', null],
  ['/runs', '/inbox', null],
])('the pattern %s takes %s as %j', (pattern, path, params) => {
  expect(matchPath(pattern, path)).toEqual(params);
});

test.each([
  [0, '0 s'],
  [59, '59 s'],
  [60, '1 min'],
  [119, '1 min'],
  [4_800, '1 h 20 min'],
  [18_000, '5 h'],
  [90_000, '1 d 1 h'],
  [864_000, '10 d'],
])('%i seconds are %s', (seconds, text) => {
  expect(shortDuration(seconds)).toBe(text);
});

test('a long text of a duration has its plural', () => {
  expect([longDuration(60), longDuration(7_300)]).toEqual(['1 minute', '2 hours']);
});

test.each([
  [null, 'none'],
  [0, 'past'],
  [599, 'now'],
  [600, 'soon'],
  [3_600, 'calm'],
])('a deadline in %s seconds is %s', (left, urgency) => {
  expect(urgencyOf(left === null ? null : 1_000 + left, 1_000_000)).toBe(urgency);
});

describe('a long list', () => {
  const view = { top: 50_000, height: 500, rowHeight: 50, active: -1 };

  test('draws the visible rows and some around them', () => {
    const rows = drawnRows(5_000, view);
    expect([rows[0], rows.at(-1)]).toEqual([994, 1_016]);
  });

  test('draws the active row wherever it is, once', () => {
    expect(drawnRows(5_000, { ...view, active: 3 })[0]).toBe(3);
    expect(drawnRows(5_000, { ...view, active: 4_999 }).at(-1)).toBe(4_999);
    expect(drawnRows(5_000, { ...view, active: 1_000 })).toEqual(drawnRows(5_000, view));
  });

  test('draws all of a short list and nothing of an empty one', () => {
    expect(drawnRows(3, { ...view, top: 0 })).toEqual([0, 1, 2]);
    expect(drawnRows(0, { ...view, top: 0 })).toEqual([]);
  });
});
