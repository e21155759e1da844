import { describe, expect, test } from 'vitest';
import { classify, retryAfterFrom, shouldRetryFrom, type Evidence } from '../../../backends/http/classify.ts';
import { backoffMs, boundedRetryAfter } from '../../../backends/retry-after.ts';
import { HttpFailure, toBackendError } from '../../../backends/http/failure.ts';

const evidence = (more: Partial<Evidence>): Evidence => ({
  kind: 'status',
  status: null,
  errorCode: null,
  shouldRetry: null,
  retryAfterMs: null,
  ...more,
});
const at = (status: number, more: Partial<Evidence> = {}): Evidence => evidence({ status, ...more });

const failure = (more: Partial<HttpFailure['facts']>): HttpFailure =>
  new HttpFailure({
    ...evidence(more),
    route: 'POST /threads/{thread}/runs',
    origin: 'http://127.0.0.1:1',
    networkCode: null,
    error: null,
    serverTime: null,
    what: 'HTTP 503.',
    ...more,
  });

const wait = (attempt: number, random: number): number | null =>
  toBackendError(failure({ kind: 'timeout' }), { now: 0, attempt, random: () => random }).retryAfterMs;

describe('what a failure means', () => {
  // evidence, failure type, retried?, may it have happened?
  test.each<[string, Evidence, string, boolean, boolean]>([
    ['unusable key', evidence({ kind: 'key' }), 'BackendUnauthorized', false, false],
    ['no connection', evidence({ kind: 'network_before_send' }), 'BackendUnavailable', true, false],
    ['reset', evidence({ kind: 'network_ambiguous' }), 'BackendUnavailable', true, true],
    ['timeout', evidence({ kind: 'timeout' }), 'BackendUnavailable', true, true],
    ['HTML', evidence({ kind: 'bad_body', badBody: 'content_type' }), 'BackendUnsupported', false, true],
    ['too large', evidence({ kind: 'bad_body', badBody: 'too_large' }), 'BackendUnsupported', false, true],
    ['too deep', evidence({ kind: 'bad_body', badBody: 'too_deep' }), 'BackendUnsupported', false, true],
    ['encoding', evidence({ kind: 'bad_body', badBody: 'encoding' }), 'BackendUnsupported', false, true],
    ['no JSON', evidence({ kind: 'bad_body', badBody: 'not_json' }), 'BackendUnsupported', true, true],
    ['no HTTP', evidence({ kind: 'bad_body', badBody: 'not_http' }), 'BackendUnsupported', true, true],
    ['no status', evidence({}), 'BackendUnsupported', false, false],
    ['301', at(301), 'BackendUnsupported', false, false],
    ['307', at(307), 'BackendUnsupported', false, false],
    ['400', at(400), 'BackendRejected', false, false],
    ['400 told to retry', at(400, { shouldRetry: true }), 'BackendRejected', false, false],
    ['401', at(401), 'BackendUnauthorized', false, false],
    ['401 told to retry', at(401, { shouldRetry: true }), 'BackendUnauthorized', false, false],
    ['403', at(403), 'BackendUnauthorized', false, false],
    ['404', at(404), 'BackendNotFound', false, false],
    ['404 told to retry', at(404, { shouldRetry: true }), 'BackendNotFound', false, false],
    ['405', at(405), 'BackendRejected', false, false],
    ['408', at(408), 'BackendUnavailable', true, true],
    ['408 told not to', at(408, { shouldRetry: false }), 'BackendUnavailable', false, true],
    ['409', at(409), 'BackendUnavailable', true, true],
    ['410', at(410), 'BackendRejected', false, false],
    ['413', at(413), 'BackendRejected', false, false],
    ['422', at(422), 'BackendRejected', false, false],
    ['422 told to retry', at(422, { shouldRetry: true }), 'BackendUnavailable', true, false],
    ['425', at(425), 'BackendUnavailable', true, false],
    ['429', at(429), 'BackendUnavailable', true, false],
    ['429 told not to', at(429, { shouldRetry: false }), 'BackendUnavailable', false, false],
    ['429 quota gone', at(429, { errorCode: 'insufficient_quota' }), 'BackendRejected', false, false],
    ['429 rate', at(429, { errorCode: 'rate_limit_exceeded' }), 'BackendUnavailable', true, false],
    ['500', at(500), 'BackendUnavailable', true, true],
    ['500 told not to', at(500, { shouldRetry: false }), 'BackendUnavailable', false, true],
    ['501', at(501), 'BackendUnsupported', false, false],
    ['502', at(502), 'BackendUnavailable', true, true],
    ['503', at(503), 'BackendUnavailable', true, true],
    ['504', at(504), 'BackendUnavailable', true, true],
    ['505', at(505), 'BackendUnsupported', false, false],
    ['529', at(529), 'BackendUnavailable', true, true],
    ['999', at(999), 'BackendUnsupported', false, false],
  ])('%s', (_name, given, type, retried, mayHaveHappened) => {
    expect(classify(given)).toEqual({ type, nonRetryable: !retried, retryAfterMs: null, mayHaveHappened });
  });

  test.each([
    ['408', at(408, { retryAfterMs: 1500 }), 1500],
    ['429', at(429, { retryAfterMs: 1500 }), 1500],
    ['503', at(503, { retryAfterMs: 1500 }), 1500],
    ['422 told to retry', at(422, { retryAfterMs: 1500, shouldRetry: true }), 1500],
    ['a final 400 has nothing to wait for', at(400, { retryAfterMs: 1500 }), null],
    ['a final 429 neither', at(429, { retryAfterMs: 1500, shouldRetry: false }), null],
  ])('the wait that the server names: %s', (_name, given, expected) => {
    expect(classify(given).retryAfterMs).toBe(expected);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-02T10:00:00Z');
  test.each<[string, Record<string, string>, number | null, number | null]>([
    ['absent', {}, null, null],
    ['seconds', { 'retry-after': '3' }, null, 3000],
    ['fractions', { 'retry-after': ' 0.5 ' }, null, 500],
    ['zero', { 'retry-after': '0' }, null, 0],
    ['milliseconds', { 'retry-after-ms': '120' }, null, 120],
    ['milliseconds win', { 'retry-after-ms': '120', 'retry-after': '9' }, null, 120],
    ['nonsense milliseconds fall back', { 'retry-after-ms': 'x', 'retry-after': '9' }, null, 9000],
    ['date by our clock', { 'retry-after': 'Mon, 02 Nov 2026 10:00:30 GMT' }, null, 30_000],
    [
      'date by the clock of the server',
      { 'retry-after': 'Mon, 02 Nov 2026 11:00:30 GMT' },
      now + 3_600_000,
      30_000,
    ],
    ['date in the past', { 'retry-after': 'Mon, 02 Nov 2026 09:00:00 GMT' }, null, 0],
    ['negative', { 'retry-after': '-5' }, null, null],
    ['nonsense', { 'retry-after': 'soon' }, null, null],
    ['empty', { 'retry-after': '' }, null, null],
  ])('%s', (_name, headers, serverTime, expected) => {
    expect(retryAfterFrom(headers, now, serverTime)).toBe(expected);
  });

  test.each<[string, number | null, { deadline?: number | null; capMs?: number }, number | null]>([
    ['nothing asked', null, {}, null],
    ['within bounds', 5000, {}, 5000],
    ['absurd', 1e20, {}, 600_000],
    ['own cap', 5000, { capMs: 1000 }, 1000],
    ['past the deadline', 60_000, { deadline: now + 20_000 }, 20_000],
    ['deadline gone', 60_000, { deadline: now - 1 }, null],
    ['zero', 0, {}, null],
    ['negative', -5, {}, null],
    ['not a number', Number.NaN, {}, null],
  ])('is honoured within bounds: %s', (_name, wish, bounds, expected) => {
    expect(boundedRetryAfter(wish, { now, ...bounds })).toBe(expected);
  });

  test('x-should-retry is read case-insensitively, anything else ignored', () => {
    expect(['true', 'FALSE', 'maybe'].map((value) => shouldRetryFrom({ 'x-should-retry': value }))).toEqual([
      true,
      false,
      null,
    ]);
    expect(shouldRetryFrom({})).toBeNull();
  });

  test('backoff doubles from half a second to 30 s, the upper half random', () => {
    expect([1, 2, 3, 7, 50].map((attempt) => backoffMs(attempt, 1))).toEqual([
      500, 1000, 2000, 30_000, 30_000,
    ]);
    expect([1, 2, 3, 7].map((attempt) => backoffMs(attempt, 0))).toEqual([250, 500, 1000, 15_000]);
    expect(backoffMs(0, 1)).toBe(500);
  });
});

describe('the error that leaves a backend', () => {
  test('carries the bounded wait of the server', () => {
    const error = toBackendError(failure({ status: 503, retryAfterMs: 1e12 }), { now: 0, attempt: 1 });
    expect(error).toMatchObject({
      type: 'BackendUnavailable',
      retryable: true,
      retryAfterMs: 600_000,
      mayHaveHappened: true,
    });
    const late = toBackendError(failure({ status: 429, retryAfterMs: 9000 }), {
      now: 5,
      attempt: 1,
      deadline: 105,
    });
    expect(late.retryAfterMs).toBe(100);
  });

  test('without a wish of the server the wait is backoff with jitter by attempt', () => {
    expect([wait(1, 0), wait(1, 1), wait(4, 1)]).toEqual([250, 500, 4000]);
  });

  test('a final one asks for no wait and says what to check', () => {
    const error = toBackendError(failure({ status: 401, what: 'HTTP 401.', retryAfterMs: 5 }), {
      now: 0,
      attempt: 1,
    });
    expect(error).toMatchObject({ type: 'BackendUnauthorized', retryable: false, retryAfterMs: null });
    expect(error.message).toBe(
      'POST /threads/{thread}/runs at http://127.0.0.1:1: HTTP 401. Check the API key and what it may access.',
    );
  });
});
