/** Tool definitions: what is refused, with which words; what is told to a model. No server. */
import { Ajv } from 'ajv';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import {
  defineTools,
  isToolRegistry,
  noTools,
  toJSONSchema,
  TOOL_DEFAULTS,
} from '../../../activities/index.ts';
import { functionToolSchema } from '../../../protocol/wire/schemas.ts';
import { RunsError } from '../../../protocol/index.ts';

const sound = {
  description: 'Looks up the weather.',
  parameters: z.object({ city: z.string() }),
  execute: () => 'sunny',
};

/** The problems that defining `tools` gives. The cast lets tests write what the types refuse. */
const problemsOf = (tools: Record<string, unknown>): string[] => {
  try {
    defineTools(tools as Parameters<typeof defineTools>[0]);
    return [];
  } catch (error) {
    if (!(error instanceof RunsError)) throw error;
    expect(error.code).toBe('config');
    return error.details as string[];
  }
};

describe('a sound registry', () => {
  test('gives execute the parsed type of its parameters', () => {
    const registry = defineTools({
      add: {
        description: 'Adds.',
        parameters: z.object({ a: z.number(), b: z.number().default(0) }),
        execute(args, context) {
          expectTypeOf(args).toEqualTypeOf<{ a: number; b: number }>();
          expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
          return String(args.a + args.b);
        },
      },
      find: {
        description: 'Finds.',
        parameters: z.object({ q: z.string() }),
        output: z.object({ hits: z.number() }),
        execute: (args) => ({ hits: args.q.length }),
        needsApproval: (args) => args.q === 'all',
      },
    });
    expect(registry.names).toEqual(['add', 'find']);
  });

  test('documented defaults stand where an option is left out', () => {
    const tool = defineTools({ weather: sound }).get('weather');
    expect(tool?.policy).toEqual({
      maximumAttempts: 5,
      initialIntervalMs: 1_000,
      backoffCoefficient: 2,
      maximumIntervalMs: 60_000,
      startToCloseMs: 300_000,
      heartbeatMs: null,
      atMostOnce: false,
    });
    expect(tool?.wait).toEqual({ onDeadline: 'fail', answerWithinMs: null });
    expect(tool?.maxOutputBytes).toBe(TOOL_DEFAULTS.maxOutputBytes);
  });

  test('durations become milliseconds, at-most-once becomes one attempt', () => {
    const registry = defineTools({
      pay: {
        ...sound,
        atMostOnce: true,
        timeout: '90s',
        heartbeat: '10s',
        needsApproval: true,
        answerWithin: '2d',
        onDeadline: 'follow-up',
      },
    });
    const tool = registry.get('pay');
    expect(tool?.policy).toMatchObject({
      maximumAttempts: 1,
      startToCloseMs: 90_000,
      heartbeatMs: 10_000,
      atMostOnce: true,
    });
    expect(tool?.wait).toEqual({ onDeadline: 'follow-up', answerWithinMs: 172_800_000 });
  });

  test('the former name of needsApproval means the same, and both at once are refused', () => {
    const registry = defineTools({ pay: { ...sound, approval: true } });
    expect(registry.get('pay')?.needsApproval).toBe(true);
    expect(problemsOf({ pay: { ...sound, approval: true, needsApproval: false } })).toEqual([
      'Tool "pay": approval is the former name of needsApproval; leave approval out',
    ]);
  });

  test('can not be changed', () => {
    const registry = defineTools({ weather: sound });
    expect(Object.isFrozen(registry)).toBe(true);
    expect(Object.isFrozen(registry.names)).toBe(true);
    expect(Object.isFrozen(registry.get('weather'))).toBe(true);
  });

  test('is told from anything else', () => {
    expect(isToolRegistry(noTools())).toBe(true);
    expect(isToolRegistry({ names: [], get: () => undefined, definitions: () => [] })).toBe(false);
    expect(isToolRegistry(null)).toBe(false);
  });
});

describe('a registry that makes no sense is refused', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no execute', { execute: undefined }, /execute is missing.*external: true/],
    ['execute that is no function', { execute: 'sh' }, /execute must be a function; got "sh"/],
    ['execute and external', { external: true }, /exclude each other/],
    [
      'needsApproval and external',
      { external: true, execute: undefined, needsApproval: true },
      /needsApproval and external/,
    ],
    ['no description', { description: '' }, /description must describe the tool for the model.*got ""/],
    ['parameters that are no schema', { parameters: { city: 'string' } }, /parameters must be a z\.object/],
    ['parameters that are no object', { parameters: z.string() }, /parameters must be a z\.object/],
    [
      'parameters that JSON Schema can not express',
      { parameters: z.object({ when: z.date() }) },
      /can't be expressed as JSON Schema for the model/,
    ],
    ['output that is no schema', { output: {} }, /output must be a zod schema/],
    ['an option of another name', { timeoutMs: 5 }, /timeoutMs is not an option; use one of/],
    ['a retry option of another name', { retry: { attempts: 3 } }, /retry\.attempts is not an option/],
    ['retry that is no object', { retry: 3 }, /retry must be an object.*got 3/],
    [
      'half an attempt',
      { retry: { maximumAttempts: 1.5 } },
      /retry\.maximumAttempts must be a whole number.*1\.5/,
    ],
    [
      'a shrinking backoff',
      { retry: { backoffCoefficient: 0.5 } },
      /backoffCoefficient must be a number from 1/,
    ],
    ['a duration without unit', { timeout: '90' }, /timeout needs a number and a unit.*"90"/],
    ['a duration of nothing', { timeout: '0s' }, /timeout must be longer than 0/],
    ['a bad heartbeat', { heartbeat: 'often' }, /heartbeat needs a number and a unit.*"often"/],
    [
      'retries of what must not run twice',
      { atMostOnce: true, retry: { maximumAttempts: 3 } },
      /contradicts atMostOnce/,
    ],
    [
      'a time for answers of a tool that waits for no person',
      { answerWithin: '1h' },
      /are for tools that wait for a person/,
    ],
    [
      'an unknown end of a wait',
      { needsApproval: true, onDeadline: 'retry' },
      /onDeadline must be.*got "retry"/,
    ],
    [
      'approval of another kind',
      { needsApproval: 'always' },
      /needsApproval must be true, false, a function.*"always"/,
    ],
    [
      'a quorum of half a person',
      { needsApproval: { quorum: 0.5 } },
      /needsApproval\.quorum must be a whole number from 1 to 32; got 0\.5/,
    ],
    [
      'groups that are no list',
      { needsApproval: { by: 'leads' } },
      /needsApproval\.by must list 1 to 16 names/,
    ],
    ['an empty list of groups', { needsApproval: { by: [] } }, /needsApproval\.by must list/],
    [
      'a policy of another name',
      { needsApproval: { groups: ['x'] } },
      /needsApproval\.groups is not an option/,
    ],
    [
      'a veto that is no boolean',
      { needsApproval: { veto: 'yes' } },
      /needsApproval\.veto must be true or false/,
    ],
    [
      'an escalation to nobody',
      { needsApproval: { escalateAfter: '1d' } },
      /needsApproval\.escalateAfter and needsApproval\.escalateTo belong together/,
    ],
    [
      'a reminder after the deadline',
      { needsApproval: { remindAfter: '2h' }, answerWithin: '1h' },
      /needsApproval\.remindAfter "2h" never comes/,
    ],
    [
      'a condition that is no function',
      { needsApproval: { when: true } },
      /needsApproval\.when must be a function/,
    ],
    ['a flag that is no boolean', { atMostOnce: 'yes' }, /atMostOnce must be true or false; got "yes"/],
    [
      "an output limit above the wire's",
      { maxOutputBytes: 10_000_000 },
      /maxOutputBytes must be a whole number/,
    ],
  ])('%s', (_what, change, expected) => {
    const found = problemsOf({ weather: { ...sound, ...change } });
    expect(found.join('\n')).toMatch(expected);
    expect(found.every((problem) => problem.startsWith('Tool "weather": '))).toBe(true);
  });

  test.each(['', 'has space', 'a/b', 'multi_tool_use.parallel', 'x'.repeat(65)])('name %j', (name) => {
    expect(problemsOf({ [name]: sound }).join()).toMatch(/A tool's name must be/);
  });

  test('all problems of all tools are told at once', () => {
    const found = problemsOf({
      one: { ...sound, timeout: 'soon', external: true },
      two: { ...sound, description: 7 },
      three: null,
    });
    expect(found.map((problem) => problem.slice(0, 12))).toEqual([
      'Tool "one": ',
      'Tool "one": ',
      'Tool "two": ',
      'Tool "three"',
    ]);
  });
});

describe('definitions for a model', () => {
  const registry = defineTools({
    book: {
      description: 'Books a table.',
      parameters: z.object({
        name: z.string().describe('Who comes.'),
        guests: z.int().min(1),
        at: z.object({ day: z.string(), hour: z.number() }),
      }),
      execute: () => 'ok',
    },
    search: {
      description: 'Searches.',
      parameters: z.object({ q: z.string(), limit: z.number().optional() }),
      execute: () => 'ok',
    },
    ask: { description: 'Asks a person.', parameters: z.object({ text: z.string() }), external: true },
  });
  const definitions = toJSONSchema(registry);
  const byName = (name: string) => definitions.find((tool) => tool.function.name === name)?.function;

  test('are what the wire takes, in the order of definition', () => {
    expect(definitions.map((tool) => tool.function.name)).toEqual(['book', 'search', 'ask']);
    for (const tool of definitions) expect(functionToolSchema.safeParse(tool).success).toBe(true);
  });

  test('hold JSON Schema that accepts good arguments and refuses bad ones', () => {
    const validate = new Ajv({ strict: false }).compile(byName('book')?.parameters ?? {});
    expect(validate({ name: 'A', guests: 2, at: { day: 'Monday', hour: 19 } })).toBe(true);
    expect(validate({ name: 'A', guests: 0, at: { day: 'Monday', hour: 19 } })).toBe(false);
    expect(validate({ name: 'A', guests: 2, at: { day: 'Monday', hour: 19 }, extra: 1 })).toBe(false);
    expect(byName('book')?.parameters?.['$schema']).toBeUndefined();
  });

  test('claim strict mode only where every property is required and nothing else is allowed', () => {
    expect(byName('book')?.strict).toBe(true);
    expect(byName('ask')?.strict).toBe(true);
    expect(byName('search')?.strict).toBeUndefined();
    expect(byName('search')?.parameters?.['required']).toEqual(['q']);
  });
});

describe('a check that answers by a promise', () => {
  const asyncOnes: Record<string, z.ZodObject> = {
    'on the object': z.object({ id: z.string() }).refine(async () => true),
    'an async refine': z.object({ id: z.string().refine(async () => true) }),
    'a refine that returns a promise': z.object({ id: z.string().refine(() => Promise.resolve(true)) }),
    'a superRefine': z.object({
      id: z.string().superRefine(async (_id, _context) => {
        await Promise.reject(new Error('never mind'));
      }),
    }),
    'a transform': z.object({ id: z.string().transform(async (id) => id) }),
    'a preprocessor': z.object({ id: z.preprocess(async (id) => id, z.string()) }),
    'deep inside': z.object({
      id: z
        .array(
          z.union([
            z.number(),
            z.object({
              a: z.record(
                z.string(),
                z.string().refine(async () => true),
              ),
            }),
          ]),
        )
        .optional(),
    }),
    'behind a lazy one': z.object({
      get id() {
        return z
          .object({ name: z.string().refine(async () => true) })
          .nullable()
          .default(null);
      },
    }),
  };

  test.each(Object.keys(asyncOnes))('is refused at definition, with the place: %s', (name) => {
    const problems = problemsOf({ find: { ...sound, parameters: asyncOnes[name] } });
    expect(problems).toEqual([
      expect.stringMatching(
        /^Tool "find": parameters.* (must be synchronous: a refinement or transform there returns a promise|can't be expressed as JSON Schema)/,
      ),
    ]);
    expect(problems[0]).toContain(name === 'on the object' ? 'parameters must be' : '"id');
  });

  test('is told from checks that answer at once, throw, or refer to themselves', () => {
    const node = z.object({
      id: z
        .string()
        .min(1)
        .refine((id) => id.startsWith('a')),
      when: z.iso.date().transform((text) => new Date(text).getTime()),
      get kids(): z.ZodOptional<z.ZodArray<z.ZodObject>> {
        return z.array(node).optional();
      },
    });
    expect(problemsOf({ find: { ...sound, parameters: node } })).toEqual([]);
  });
});
