import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { argumentsDigest } from '../../../protocol/rules/arguments-digest.ts';
import type { ApprovalPolicy, CallPlan, PlannedCall } from '../../../protocol/tool-calls.ts';
import { simulate } from '../../support/run-simulation.ts';
import type { World } from '../../support/run-simulation.ts';
import { POLICY } from '../../support/run-stubs.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const wait = fc.record({
  onDeadline: fc.constantFrom('fail' as const, 'placeholder' as const, 'follow-up' as const),
  answerWithinMs: fc.constantFrom(null, 30_000, 300_000, 3_600_000),
});
const approvers: fc.Arbitrary<ApprovalPolicy> = fc.record({
  by: fc.constantFrom([], ['leads'], ['leads', 'managers']),
  quorum: fc.integer({ min: 1, max: 3 }),
  veto: fc.boolean(),
  notRequester: fc.boolean(),
  verified: fc.boolean(),
  remindAfterMs: fc.constantFrom(null, 60_000, 120_000),
  escalateAfterMs: fc.constantFrom(null, 120_000, 240_000),
  escalateTo: fc.constant(['heads']),
});
const counted: fc.Arbitrary<CallPlan> = fc
  .record({ wait, approvers })
  .map((more) => ({ kind: 'approval' as const, policy: POLICY, requestedBy: 'bob', ...more }));
const plan: fc.Arbitrary<CallPlan> = fc.oneof(
  fc.boolean().map((atMostOnce) => ({ kind: 'automatic' as const, policy: { ...POLICY, atMostOnce } })),
  wait.map((policy) => ({ kind: 'approval' as const, policy: POLICY, wait: policy })),
  wait.map((policy) => ({ kind: 'external' as const, wait: policy })),
  fc.constant({ kind: 'refused' as const, output: 'no such tool' }),
);

const DIGEST = argumentsDigest({});

const worldsOf = (callPlans: fc.Arbitrary<CallPlan>): fc.Arbitrary<World> =>
  fc
    .record({
      backend: fc.constantFrom('assistants' as const, 'chat' as const),
      plans: fc.array(fc.array(callPlans, { minLength: 1, maxLength: 4 }), { maxLength: 4 }),
      expiry: fc.constantFrom('kept' as const, 'unkept' as const, 'none' as const),
      hooks: fc.boolean(),
      decisions: fc.array(fc.nat({ max: 12 * 60 }), { maxLength: 80, size: 'max' }),
    })
    .map(({ plans, ...world }) => ({
      ...world,
      rounds: plans.map((calls, round) =>
        calls.map((call, index): PlannedCall => ({
          callId: `call_${round}_${index}`,
          name: `tool_${index}`,
          arguments: '{}',
          plan: call,
          ...(call.kind === 'approval' && call.approvers !== undefined ? { argumentsDigest: DIGEST } : {}),
        })),
      ),
    }));

const worlds = worldsOf(fc.oneof({ weight: 4, arbitrary: plan }, { weight: 1, arbitrary: counted }));
const votingWorlds = worldsOf(fc.oneof({ weight: 1, arbitrary: plan }, { weight: 4, arbitrary: counted }));

/** Seconds on a free machine; the limit is for one whose cores are shared. */
const SLOW_MACHINE_MS = 120_000;

describe('all events, in any order', () => {
  test(
    'a run submits each round once and in order, starts nothing after its end, loses no answer, resumes the same, and ends',
    () => {
      fc.assert(
        fc.property(worlds, (world) => {
          const { result } = simulate(world);
          expect(result.rounds).toBeLessThanOrEqual(world.rounds.length);
        }),
        { numRuns: propertyRuns(2_000), seed: 20261122 },
      );
    },
    SLOW_MACHINE_MS,
  );

  test(
    'a call runs at most once, with arguments on which enough people agree, and every vote is in the record',
    () => {
      const seen = { votes: 0, agreed: 0, denied: 0, notices: 0 };
      fc.assert(
        fc.property(votingWorlds, (world) => {
          const played = simulate(world);
          for (const key of ['votes', 'agreed', 'denied', 'notices'] as const) seen[key] += played[key];
        }),
        { numRuns: propertyRuns(2_000), seed: 20261127 },
      );
      // The schedules reach what they are about.
      for (const count of Object.values(seen)) expect(count).toBeGreaterThan(propertyRuns(300));
    },
    SLOW_MACHINE_MS,
  );

  test(
    'new schedules are tried each time',
    () => {
      fc.assert(
        fc.property(worlds, (world) => {
          expect(simulate(world).result.runId).toBe('run_1');
        }),
        { numRuns: propertyRuns(500) },
      );
    },
    SLOW_MACHINE_MS,
  );
});
