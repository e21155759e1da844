/** Who carries out a call. Pure. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTools, planCalls } from '../../../activities/index.ts';
import type { CallPlan } from '../../../protocol/index.ts';

const execute = () => 'ok';
const registry = defineTools({
  weather: { description: 'Weather.', parameters: z.object({ city: z.string() }), execute },
  refund: {
    description: 'Refund.',
    parameters: z.object({ amount: z.number() }),
    execute,
    approval: (args) => args.amount > 100,
    answerWithin: '2h',
    onDeadline: 'placeholder',
  },
  erase: { description: 'Erase.', parameters: z.object({}), execute, approval: true, atMostOnce: true },
  confirm: { description: 'Confirm.', parameters: z.object({}), external: true, answerWithin: '1d' },
  moody: {
    description: 'Moody.',
    parameters: z.object({}),
    execute,
    approval: () => {
      throw new Error('no idea');
    },
  },
});
const all = [...registry.names, 'callers_own'];

const planOf = (
  name: string,
  args: unknown = {},
  declared: string[] = all,
  granted?: string[] | null,
): CallPlan => {
  const text = typeof args === 'string' ? args : JSON.stringify(args);
  const [planned] = planCalls(
    registry,
    [{ callId: 'c1', name, arguments: text }],
    declared,
    granted === undefined ? {} : { granted },
  );
  if (planned === undefined) throw new Error('one call in, one plan out');
  expect(planned).toMatchObject({ callId: 'c1', name, arguments: text });
  return planned.plan;
};

const refusalOf = (plan: CallPlan): string => {
  if (plan.kind !== 'refused') throw new Error(`expected a refusal, got ${plan.kind}`);
  const parsed = JSON.parse(plan.output) as { error: { type: string; message: string } };
  expect(parsed.error.type).toBe('unknown_tool');
  return parsed.error.message;
};

describe('planCalls', () => {
  test('a registered tool runs at once, under its own policy', () => {
    expect(planOf('weather')).toEqual({ kind: 'automatic', policy: registry.get('weather')?.policy });
  });

  test('an external tool waits for whoever answers it', () => {
    expect(planOf('confirm')).toEqual({
      kind: 'external',
      wait: { onDeadline: 'fail', answerWithinMs: 86_400_000 },
    });
  });

  test('approval is asked always, or when the rule says so of the arguments', () => {
    expect(planOf('erase')).toMatchObject({
      kind: 'approval',
      policy: { atMostOnce: true, maximumAttempts: 1 },
    });
    expect(planOf('refund', { amount: 100 }).kind).toBe('automatic');
    expect(planOf('refund', { amount: 101 })).toMatchObject({
      kind: 'approval',
      wait: { onDeadline: 'placeholder', answerWithinMs: 7_200_000 },
    });
  });

  test('a rule that fails asks a person', () => {
    expect(planOf('moody').kind).toBe('approval');
  });

  test('arguments that will be refused anyway bother nobody', () => {
    expect(planOf('refund', '{"amount":').kind).toBe('automatic');
    expect(planOf('refund', { amount: 'lots' }).kind).toBe('automatic');
  });

  test('declared in the run and unknown here: left to the caller', () => {
    expect(planOf('callers_own')).toEqual({
      kind: 'external',
      wait: { onDeadline: 'fail', answerWithinMs: null },
    });
  });

  test('declared nowhere: refused, naming what there is', () => {
    expect(refusalOf(planOf('wether', {}, ['weather', 'confirm']))).toBe(
      'there is no tool "wether". The tools of this run are "weather", "confirm".',
    );
  });

  test('a worker tool that the run does not declare is not for this run, and the refusal says what to do', () => {
    expect(refusalOf(planOf('erase', {}, ['weather']))).toBe(
      'there is no tool "erase". The tools of this run are "weather". The worker has "erase": declare it in the tools of the assistant or of the run, where its name is enough, or set RUNS_OFFER_TOOLS on the server.',
    );
  });

  test('a worker tool that is not granted stays unknown to a run that does not declare it', () => {
    expect(refusalOf(planOf('erase', {}, ['weather'], ['weather']))).not.toContain('The worker has');
  });

  test('a complete list may be empty: then there are no tools', () => {
    const [planned] = planCalls(registry, [{ callId: 'c1', name: 'weather', arguments: '{}' }], [], {
      complete: true,
    });
    expect(refusalOf(planned?.plan ?? { kind: 'refused', output: '' })).toContain('This run has no tools.');
  });

  test("where the server does not tell what is declared, the worker's own tools stand for it", () => {
    expect(planOf('weather', {}, []).kind).toBe('automatic');
    expect(refusalOf(planOf('callers_own', {}, []))).toMatch(/"weather", "refund"/);
  });

  test('a bundle of parallel calls is told how to do it', () => {
    expect(refusalOf(planOf('multi_tool_use.parallel'))).toMatch(/call each tool by its own name/);
  });

  test('a long list of tools is cut', () => {
    const many = Array.from({ length: 128 }, (_, index) => `tool_${index}`);
    expect(refusalOf(planOf('nope', {}, many))).toMatch(/and 96 more\.$/);
  });

  test('a tool that is not granted is left to whoever declared it, and never runs here', () => {
    expect(planOf('weather', {}, all, []).kind).toBe('external');
    expect(planOf('weather', {}, all, ['weather']).kind).toBe('automatic');
    expect(planOf('weather', {}, all, null).kind).toBe('automatic');
    expect(refusalOf(planOf('weather', {}, [], ['confirm']))).toMatch(/tools of this run are "confirm"/);
  });

  test('the order of the calls is kept', () => {
    const calls = ['confirm', 'weather', 'nope', 'weather'].map((name, index) => ({
      callId: `c${index}`,
      name,
      arguments: '{}',
    }));
    expect(planCalls(registry, calls, all).map((call) => `${call.callId} ${call.plan.kind}`)).toEqual([
      'c0 external',
      'c1 automatic',
      'c2 refused',
      'c3 automatic',
    ]);
  });
});
