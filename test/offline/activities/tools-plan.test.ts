/** Who carries out a call. Pure. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTools, planCalls } from '../../../activities/index.ts';
import type { CallPlan, PlannedCall } from '../../../protocol/index.ts';

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
  strictErase: { description: 'Erase.', parameters: z.strictObject({}), execute, approval: true },
  fragile: {
    description: 'Fragile.',
    parameters: z.object({
      id: z.string().refine((id) => {
        if (id === 'boom') throw new Error('no such id');
        return true;
      }),
    }),
    execute,
    approval: true,
  },
  forgetful: {
    description: 'Forgetful.',
    parameters: z.object({}),
    execute,
    approval: () => undefined as unknown as boolean,
  },
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

const USUAL: Readonly<Record<string, object>> = { weather: { city: 'Rome' } };

const planOf = (
  name: string,
  args: unknown = USUAL[name] ?? {},
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

const refusalOf = (plan: CallPlan, type = 'unknown_tool'): string => {
  if (plan.kind !== 'refused') throw new Error(`expected a refusal, got ${plan.kind}`);
  const parsed = JSON.parse(plan.output) as { error: { type: string; message: string } };
  expect(parsed.error.type).toBe(type);
  return parsed.error.message;
};

test('who decides is copied into the plan, complete and in numbers, with who asked; only for calls that need it', () => {
  const tools = defineTools({
    pay: {
      description: 'Pays.',
      parameters: z.object({ amount: z.number() }),
      needsApproval: {
        by: ['leads'],
        quorum: 2,
        remindAfter: '4h',
        escalateAfter: '1d',
        escalateTo: ['heads'],
        when: ({ amount }) => amount > 50,
      },
      execute,
    },
  });
  const plan = (amount: number, requestedBy?: string): CallPlan | undefined =>
    planCalls(tools, [{ callId: 'c', name: 'pay', arguments: `{"amount":${amount}}` }], ['pay'], {
      requestedBy,
    })[0]?.plan;
  expect(plan(60, 'rita')).toMatchObject({
    kind: 'approval',
    requestedBy: 'rita',
    approvers: {
      by: ['leads'],
      quorum: 2,
      veto: false,
      notRequester: false,
      verified: false,
      remindAfterMs: 14_400_000,
      escalateAfterMs: 86_400_000,
      escalateTo: ['heads'],
    },
  });
  expect(plan(60)).not.toHaveProperty('requestedBy');
  expect(plan(40, 'rita')).toMatchObject({ kind: 'automatic' });
  expect(planOf('erase')).not.toHaveProperty('approvers');
});

describe('planCalls', () => {
  test('a registered tool runs at once, under its own policy', () => {
    expect(planOf('weather')).toEqual({ kind: 'automatic', policy: registry.get('weather')?.policy });
  });

  test('an external tool waits for its answer, which a person may give', () => {
    expect(planOf('confirm')).toEqual({
      kind: 'external',
      byPerson: true,
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

  test.each([
    ['refund', '{"amount":', /not valid JSON/],
    ['refund', { amount: 'lots' }, /amount: /],
    ['refund', '{"amount": 20, "amount": 20000}', /the same object contains the key "amount" twice/],
    ['weather', '{"city": "Rome", "city": "Pisa"}', /contains the key .* twice/],
    ['weather', '{"city": "Rome", "x": [{"a": {"y": 1, "\\u0079": 2}}]}', /contains the key "y" twice/],
    ['confirm', '{"a": 1, "a": 2}', /contains the key .* twice/],
    ['refund', '{"amount": 1e400}', /outside the range of JSON numbers/],
    ['fragile', { id: 'boom' }, /checking them failed \("no such id"\)/],
  ])('arguments of %s that do not fit are refused then and there: %j', (name, args, problem) => {
    const plan = planOf(name, args);
    expect(plan).toMatchObject({ kind: 'refused', note: 'invalid_arguments' });
    expect(refusalOf(plan, 'invalid_arguments')).toMatch(problem);
  });

  test('a schema of a later deploy does not open a gate that was closed by arguments that did not fit', () => {
    // Before, such a call was automatic: the tool's activity ran it unasked as soon as a worker took its arguments.
    expect(planOf('erase', { id: 7 }).kind).toBe('approval');
    expect(planOf('strictErase', { id: 7 }).kind).toBe('refused');
  });

  test('only a plain no lets a tool run unasked', () => {
    expect(planOf('forgetful').kind).toBe('approval');
  });

  test('more keys than a person can be shown are refused, where a person is asked', () => {
    const many = Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`k${index}`, 1]));
    expect(refusalOf(planOf('erase', many), 'invalid_arguments')).toMatch(/257 keys.*may hold 256/);
    expect(planOf('weather', { city: 'Rome', ...many }).kind).toBe('automatic');
  });

  test('leaves a call to the caller that its run declares and this worker does not know', () => {
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

  test("where the server does not return the declared tools, the worker's tools replace them", () => {
    expect(planOf('weather', undefined, []).kind).toBe('automatic');
    expect(refusalOf(planOf('callers_own', {}, []))).toMatch(/"weather", "refund"/);
  });

  test('a bundle of parallel calls is told how to do it', () => {
    expect(refusalOf(planOf('multi_tool_use.parallel'))).toMatch(/call each tool by its own name/);
  });

  test('a long list of tools is cut', () => {
    const many = Array.from({ length: 128 }, (_, index) => `tool_${index}`);
    expect(refusalOf(planOf('nope', {}, many))).toMatch(/and 96 more\.$/);
  });

  test('a tool that is not granted is left to the caller, and never runs here', () => {
    expect(planOf('weather', undefined, all, []).kind).toBe('external');
    expect(planOf('weather', undefined, all, ['weather']).kind).toBe('automatic');
    expect(planOf('weather', undefined, all, null).kind).toBe('automatic');
    expect(refusalOf(planOf('weather', {}, [], ['confirm']))).toMatch(/tools of this run are "confirm"/);
  });

  test('the order of the calls is kept', () => {
    const calls = ['confirm', 'weather', 'nope', 'weather'].map((name, index) => ({
      callId: `c${index}`,
      name,
      arguments: '{"city":"Rome"}',
    }));
    expect(planCalls(registry, calls, all).map((call) => `${call.callId} ${call.plan.kind}`)).toEqual([
      'c0 external',
      'c1 automatic',
      'c2 refused',
      'c3 automatic',
    ]);
  });
});

const gated = (args: unknown): PlannedCall => {
  const [planned] = planCalls(
    registry,
    [{ callId: 'c1', name: 'refund', arguments: typeof args === 'string' ? args : JSON.stringify(args) }],
    all,
  );
  if (planned === undefined) throw new Error('one call in, one plan out');
  return planned;
};

describe('a call that a person must approve', () => {
  test('carries the digest of its arguments: of the value, not of the text', () => {
    const { argumentsDigest, digestRequired } = gated('{"amount": 200, "note": "a"}');
    const canonical = '{"amount":200,"note":"a"}';
    expect(argumentsDigest).toBe(createHash('sha256').update(canonical).digest('hex').slice(0, 32));
    expect(gated('{ "note":"\\u0061","amount":2e2 }').argumentsDigest).toBe(argumentsDigest);
    expect(gated({ amount: 201, note: 'a' }).argumentsDigest).not.toBe(argumentsDigest);
    expect(digestRequired).toBeUndefined();
  });

  test('needs the digest in an approval where its arguments are too long for some views', () => {
    expect(gated({ amount: 200, note: 'x'.repeat(9_000) }).digestRequired).toBe(true);
  });

  test('carries the schema that a person is held to, keys that the tool does not know refused', () => {
    expect(gated({ amount: 200 }).plan).toMatchObject({
      schema: {
        type: 'object',
        properties: { amount: { type: 'number' } },
        required: ['amount'],
        additionalProperties: false,
      },
    });
  });

  test('carries its schema as long as the schemas of all calls fit into a settlement', () => {
    const wide = defineTools({
      wide: {
        description: 'Wide.',
        parameters: z.object({
          kind: z.enum(Array.from({ length: 300 }, (_, n) => `kind_number_${n}`)).optional(),
        }),
        execute,
        approval: true,
      },
    });
    const calls = Array.from({ length: 200 }, (_, index) => ({
      callId: `c${index}`,
      name: 'wide',
      arguments: '{}',
    }));
    const planned = planCalls(wide, calls, ['wide']);
    const withSchema = planned.filter(({ plan }) => 'schema' in plan);
    expect(withSchema.length).toBeGreaterThan(10);
    expect(withSchema.length).toBeLessThan(40);
    expect(planned.every(({ argumentsDigest }) => argumentsDigest !== undefined)).toBe(true);
  });
});
