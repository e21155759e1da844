/** Problem functions, ids, error texts: the small rules that four rooms share. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ApiError, apiErrors } from '../../../protocol/errors.ts';
import { endsRun, endsStream } from '../../../protocol/wire/events.ts';
import { mintId } from '../../../protocol/wire/ids.ts';
import {
  durationProblem,
  idProblem,
  parseDuration,
  quote,
  toolNameProblem,
} from '../../../protocol/rules/validation.ts';
import {
  ACTIVE_STATUSES,
  isRunStatus,
  isTerminal,
  TERMINAL_STATUSES,
} from '../../../protocol/wire/objects.ts';

const leaves = (text: string): boolean =>
  encodeURIComponent(text).replaceAll('%3A', ':') !== text || /^\.+$/.test(text);

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['90s', 90_000],
    ['15m', 900_000],
    ['2h', 7_200_000],
    ['1.5d', 129_600_000],
    [250, 250],
    [0, 0],
  ])('%j is %d ms', (value, ms) => {
    expect(parseDuration(value)).toBe(ms);
    expect(durationProblem('timeout', value)).toBeUndefined();
  });

  test.each(['10', '10 minutes', '-1s', '', 'soon', '1e3s', null, undefined, -5, Number.NaN, Infinity, {}])(
    '%j is refused, with the value and an example',
    (value) => {
      expect(parseDuration(value)).toBeUndefined();
      expect(durationProblem('timeout', value)).toMatch(
        /^timeout needs a number and a unit, such as "90s".*; got /,
      );
    },
  );
});

describe('ids and names', () => {
  test('minted ids have the prefix, pass the rule, and do not repeat', () => {
    const ids = Array.from({ length: 2000 }, () => mintId('run'));
    expect(new Set(ids).size).toBe(2000);
    for (const id of ids) {
      expect(id).toMatch(/^run_[A-Za-z0-9]{24}$/);
      expect(idProblem('run', id)).toBeUndefined();
    }
  });

  test.each(['', '../x', 'a/b', 'a b', 'a\nb', '-x', '.x', 'ü', 'x'.repeat(129), 7, null])(
    '%j is no id',
    (value) => {
      expect(idProblem('run id', value)).toContain('run id must be 1 to 128');
    },
  );

  test('no accepted id can leave its place in a path', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(idProblem('id', text) === undefined && leaves(text)).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });

  test('tool names follow the wire rule', () => {
    expect(toolNameProblem('get_weather-2')).toBeUndefined();
    for (const bad of ['', 'a.b', 'x'.repeat(65), 'é', 3])
      expect(toolNameProblem(bad)).toContain("A tool's name must be");
  });
});

describe('shown', () => {
  test('never throws and stays short, for any value', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    for (const value of [loop, 10n, undefined, () => 1, Symbol('s'), 'x'.repeat(5000)])
      expect(quote(value).length).toBeLessThan(100);
    fc.assert(
      fc.property(fc.anything(), (value) => typeof quote(value) === 'string' && quote(value).length <= 81),
    );
  });
});

describe('statuses and events', () => {
  test('every status is either active or terminal, and only terminal ones end a run', () => {
    for (const status of ACTIVE_STATUSES)
      expect([isTerminal(status), endsRun(`thread.run.${status}`)]).toEqual([false, false]);
    for (const status of TERMINAL_STATUSES)
      expect([isTerminal(status), endsRun(`thread.run.${status}`)]).toEqual([true, true]);
    expect(isRunStatus('paused')).toBe(false);
  });

  test('requires_action ends a stream but not a run; cancelling ends neither', () => {
    expect([endsStream('thread.run.requires_action'), endsRun('thread.run.requires_action')]).toEqual([
      true,
      false,
    ]);
    expect([endsStream('thread.run.cancelling'), endsRun('thread.run.cancelling')]).toEqual([false, false]);
  });
});

describe('API errors', () => {
  test('the texts that clients match on are exactly these', () => {
    const texts = Object.fromEntries(
      [
        apiErrors.notWaiting('queued'),
        apiErrors.expectedOutputs(['call_1', 'call_2'], ['call_1']),
        apiErrors.activeRun('thread_1', 'run_1'),
        apiErrors.messageWhileActive('thread_1', 'run_1'),
        apiErrors.outputsTooLarge(),
        apiErrors.cannotCancel('cancelled'),
      ].map((error) => [error.message, [error.status, error.type, error.code]]),
    );
    expect(texts).toEqual({
      'Runs in status "queued" do not accept tool outputs.': [400, 'invalid_request_error', null],
      "Expected tool outputs for call_ids ['call_1', 'call_2'], got ['call_1']": [
        400,
        'invalid_request_error',
        null,
      ],
      'Thread thread_1 already has an active run run_1.': [400, 'invalid_request_error', null],
      "Can't add messages to thread_1 while a run run_1 is active.": [400, 'invalid_request_error', null],
      "'tool_outputs' too large: the combined tool outputs must be less than 512kb.": [
        400,
        'invalid_request_error',
        'invalid_value',
      ],
      "Cannot cancel run with status 'cancelled'.": [400, 'invalid_request_error', null],
    });
  });

  test('a body has all four fields, also when some were not given', () => {
    expect(new ApiError(500, 'x').toBody()).toEqual({
      error: { message: 'x', type: 'server_error', param: null, code: null },
    });
  });
});
