/**
 * The schemas and the hand-written shapes must say the same: each request type is assigned to its schema's type and
 * back at compile time, and samples at the limits are parsed at run time.
 */
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type {
  AnswerPayload,
  AssistantParams,
  FunctionTool,
  MessageParams,
  RunParams,
  ThreadParams,
  ToolOutput,
  TruncationStrategy,
} from '../../../protocol/index.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import {
  type answerPayloadSchema,
  type assistantParamsSchema,
  type functionToolSchema,
  metadataSchema,
  type messageParamsSchema,
  runParamsSchema,
  submitParamsSchema,
  type threadParamsSchema,
  type threadAndRunParamsSchema,
  type toolOutputSchema,
  type truncationStrategySchema,
} from '../../../protocol/wire/schemas.ts';

/** `exactOptionalPropertyTypes` tells `a?: T` from `a?: T | undefined`; zod infers the second. */
type Loose<T> = T extends (infer Item)[]
  ? Loose<Item>[]
  : T extends object
    ? { [Key in keyof T]: Loose<T[Key]> | (undefined extends T[Key] ? undefined : never) }
    : T;
type Same<A, B> = [Loose<A>] extends [Loose<B>] ? ([Loose<B>] extends [Loose<A>] ? true : false) : false;
type Optional<T> = { [Key in keyof T]?: T[Key] | undefined };

describe('schema types equal the hand-written shapes, both ways', () => {
  test('shapes whose wire form and our form are one', () => {
    expectTypeOf<Same<z.infer<typeof functionToolSchema>, FunctionTool>>().toEqualTypeOf<true>();
    expectTypeOf<Same<z.infer<typeof truncationStrategySchema>, TruncationStrategy>>().toEqualTypeOf<true>();
    expectTypeOf<Same<z.infer<typeof toolOutputSchema>, ToolOutput>>().toEqualTypeOf<true>();
    expectTypeOf<keyof z.infer<typeof answerPayloadSchema>>().toEqualTypeOf<keyof AnswerPayload>();
    expectTypeOf<z.infer<typeof answerPayloadSchema>>().toExtend<Optional<AnswerPayload>>();
  });

  test('bodies carry exactly the keys of the parameters that engines take', () => {
    // Content differs by design: clients send text parts as strings, engines keep them with annotations.
    expectTypeOf<keyof z.infer<typeof assistantParamsSchema>>().toEqualTypeOf<keyof AssistantParams>();
    expectTypeOf<Exclude<keyof z.infer<typeof messageParamsSchema>, 'attachments'>>().toEqualTypeOf<
      keyof MessageParams
    >();
    expectTypeOf<keyof z.infer<typeof threadParamsSchema>>().toEqualTypeOf<keyof ThreadParams>();
    expectTypeOf<Exclude<keyof z.infer<typeof runParamsSchema>, 'stream'>>().toEqualTypeOf<keyof RunParams>();
    expectTypeOf<
      Exclude<keyof z.infer<typeof threadAndRunParamsSchema>, 'stream' | 'thread'>
    >().toEqualTypeOf<Exclude<keyof RunParams, 'additional_instructions' | 'additional_messages'>>();
  });
});

const pairs = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

const parse = (output: unknown) =>
  submitParamsSchema.safeParse({ tool_outputs: [{ tool_call_id: 'call_1', output }] });

describe('strict writing', () => {
  test('an unknown key of a request is refused by name', () => {
    const result = runParamsSchema.safeParse({ assistant_id: 'asst_1', max_completion_token: 300 });
    expect(result.success).toBe(false);
    expect(result.error?.issues[0]).toMatchObject({
      code: 'unrecognized_keys',
      keys: ['max_completion_token'],
    });
  });

  test('metadata at its limits passes, one beyond is refused with the limit and the value', () => {
    expect(metadataSchema.safeParse(pairs(LIMITS.metadataPairs)).success).toBe(true);
    expect(metadataSchema.safeParse(pairs(LIMITS.metadataPairs + 1)).error?.issues[0]?.message).toBe(
      'metadata may have at most 16 pairs; got 17',
    );
    expect(metadataSchema.safeParse({ ['k'.repeat(64)]: 'v'.repeat(512) }).success).toBe(true);
    expect(metadataSchema.safeParse({ ['k'.repeat(65)]: 'v' }).success).toBe(false);
    expect(metadataSchema.safeParse({ k: 'v'.repeat(513) }).success).toBe(false);
    expect(metadataSchema.safeParse({ k: 7 }).error?.issues[0]?.message).toBe(
      'metadata values must be strings; "k" is 7',
    );
    expect(metadataSchema.safeParse(null).success).toBe(true);
  });

  test('an output that is not a string is refused where the API takes strings', () => {
    expect(parse('{}').success).toBe(true);
    expect(parse('').success).toBe(true);
    expect(parse({ temperature: 70 }).success).toBe(false);
    expect(parse(undefined).success).toBe(false);
  });
});
