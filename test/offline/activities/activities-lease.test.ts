/** The lease: when an attempt may have been replaced. A clock moved by hand. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { leaseTerms } from '../../../activities/attempt.ts';
import { makeLease, type LeaseClock } from '../../../activities/lease.ts';
import { handClock } from '../../support/activities.ts';

const terms = { heartbeatTimeoutMs: 10_000, throttleMs: 2_000, startToCloseMs: 600_000 };

describe('a lease', () => {
  test('holds while beats come, however long', () => {
    const clock = handClock();
    const lease = makeLease(terms, clock);
    for (let second = 0; second < 500; second++) {
      clock.advance(1_000);
      lease.beat();
      expect(lease.lost()).toBeUndefined();
    }
  });

  test('is lost once the server may have waited in vain', () => {
    const clock = handClock();
    const lease = makeLease(terms, clock);
    clock.advance(7_999);
    expect(lease.lost()).toBeUndefined();
    clock.advance(1);
    expect(lease.lost()).toMatch(/was suspended for 8000 ms/);
  });

  test('a beat after the standstill does not win it back', () => {
    const clock = handClock();
    const lease = makeLease(terms, clock);
    clock.advance(9_000);
    lease.beat();
    lease.beat();
    expect(lease.lost()).toMatch(/was suspended/);
  });

  test("ends with the attempt's time, beats or not", () => {
    const clock = handClock();
    const lease = makeLease({ ...terms, startToCloseMs: 3_000 }, clock);
    clock.advance(2_999);
    lease.beat();
    expect(lease.lost()).toBeUndefined();
    clock.advance(1);
    lease.beat();
    expect(lease.lost()).toMatch(/3000 of 3000 ms/);
  });

  test("without a heartbeat timeout only the attempt's time counts", () => {
    const clock = handClock();
    const lease = makeLease({ ...terms, heartbeatTimeoutMs: null }, clock);
    clock.advance(599_999);
    expect(lease.lost()).toBeUndefined();
  });

  test('a machine that slept is seen though its monotonic clock stood still', () => {
    let wall = 0;
    const clock: LeaseClock = { wall: () => wall, monotonic: () => 0 };
    const lease = makeLease(terms, clock);
    wall += 60_000;
    expect(lease.lost()).toMatch(/was suspended for 60000 ms/);
  });

  test('a wall clock set back hides nothing', () => {
    let wall = 3_600_000;
    let monotonic = 0;
    const lease = makeLease(terms, { wall: () => wall, monotonic: () => monotonic });
    wall = 0;
    monotonic = 9_000;
    expect(lease.lost()).toMatch(/was suspended for 9000 ms/);
  });

  test('no gap between beats can reach timeout minus throttle and keep the lease', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 12_000 }), { maxLength: 30 }), (gaps) => {
        const clock = handClock();
        const lease = makeLease(terms, clock);
        for (const gap of gaps) {
          clock.advance(gap);
          lease.beat();
        }
        const mayBeReplaced =
          gaps.some((gap) => gap >= 8_000) || gaps.reduce((sum, gap) => sum + gap, 0) >= terms.startToCloseMs;
        expect(lease.lost() !== undefined).toBe(mayBeReplaced);
      }),
      { seed: 20261122 },
    );
  });
});

describe('lease terms', () => {
  test.each([
    [{ heartbeatTimeoutMs: 10_000, startToCloseTimeoutMs: 60_000 }, 2_000, 2_000],
    [{ heartbeatTimeoutMs: 1_000, startToCloseTimeoutMs: 60_000 }, 2_000, 800],
    [{ heartbeatTimeoutMs: 10_000, startToCloseTimeoutMs: 60_000 }, undefined, 8_000],
  ])('%j with throttle cap %s: the server may be %s ms behind', (info, cap, throttleMs) => {
    expect(leaseTerms(info, cap)).toMatchObject({ throttleMs, startToCloseMs: 60_000 });
  });

  test('no timeout at all is no bound', () => {
    expect(leaseTerms({ heartbeatTimeoutMs: 0, startToCloseTimeoutMs: 0 }, 2_000)).toEqual({
      heartbeatTimeoutMs: null,
      throttleMs: 0,
      startToCloseMs: Infinity,
    });
  });
});
