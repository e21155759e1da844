/** What is sent into history small must be read back whole: packed, never packed, and after a trip through JSON. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Settled } from '../../../protocol/ports/backend.ts';
import { idempotencyKey, type CallPlan, type ToolActivityInput } from '../../../protocol/tool-calls.ts';
import {
  packCreate,
  packOutcome,
  packSettlement,
  packToolCall,
  unpackCreate,
  unpackOutcome,
  unpackSettlement,
  unpackToolCall,
} from '../../../protocol/temporal/compact.ts';
import { packRunInput, unpackRunInput } from '../../../protocol/temporal/run-input.ts';

const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const name = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString');
const text = fc.string({ maxLength: 20 });
const plan: fc.Arbitrary<CallPlan> = fc.oneof(
  fc.record({
    kind: fc.constant('automatic' as const),
    policy: fc.record({
      maximumAttempts: fc.constantFrom(0, 1, 5),
      initialIntervalMs: fc.constantFrom(1000, 7),
      backoffCoefficient: fc.nat(2),
      maximumIntervalMs: fc.nat(9),
      startToCloseMs: fc.nat(9),
      heartbeatMs: fc.option(fc.nat(9), { nil: null }),
      atMostOnce: fc.boolean(),
    }),
  }),
  fc.record({
    kind: fc.constant('external' as const),
    wait: fc.record({
      onDeadline: fc.constantFrom('fail' as const, 'placeholder' as const, 'follow-up' as const),
      answerWithinMs: fc.option(fc.nat(9), { nil: null }),
    }),
  }),
  fc.record({ kind: fc.constant('refused' as const), output: text }),
);
const waiting: fc.Arbitrary<Settled> = fc.record({
  status: fc.constant('requires_action' as const),
  run: fc.record({ backendRunId: text, threadId: text }),
  calls: fc.array(fc.record({ callId: text, name, arguments: text, plan }), { minLength: 1, maxLength: 6 }),
  expiresAt: fc.option(fc.nat(), { nil: null }),
  createdAt: fc.nat(),
});
const toolInput: fc.Arbitrary<ToolActivityInput> = fc
  .record({
    runId: fc.constantFrom('run_1', 'run_2'),
    threadId: text,
    assistantId: text,
    callId: text,
    name,
    arguments: text,
    deadline: fc.option(fc.nat(), { nil: null }),
    atMostOnce: fc.boolean(),
    metadata: fc.dictionary(fc.constantFrom('k', 'l'), text),
  })
  .map((input) => ({ ...input, idempotencyKey: idempotencyKey(input.runId, input.callId) }));

describe('packing for history', () => {
  test('a settlement comes back as it was, whether it was packed or not', () => {
    fc.assert(
      fc.property(waiting, (settled) => {
        expect(unpackSettlement(json(packSettlement(settled)))).toEqual(json(settled));
        expect(unpackSettlement(json(settled))).toEqual(json(settled));
      }),
    );
  });

  test('ten calls of one tool carry its plan once', () => {
    const one: CallPlan = { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } };
    const packed = packSettlement({
      status: 'requires_action',
      run: { backendRunId: 'r', threadId: 't' },
      calls: Array.from({ length: 10 }, (_, index) => ({
        callId: `c${index}`,
        name: 'ask',
        arguments: '{}',
        plan: one,
      })),
      expiresAt: null,
      createdAt: 1,
    });
    expect(JSON.stringify(packed).split('answerWithinMs')).toHaveLength(2);
  });

  test('a tool call comes back as it was, from its own workflow and from the one of late answers', () => {
    fc.assert(
      fc.property(toolInput, fc.constantFrom('run_1', 'run_1.follow-up'), (input, workflowId) => {
        const sent = json(packToolCall(input, workflowId));
        expect(unpackToolCall(sent, { workflowId, tool: input.name, endsBy: input.deadline })).toEqual(input);
        expect(unpackToolCall(json(input), { workflowId: 'other', tool: 'other', endsBy: -1 })).toEqual(
          input,
        );
        expect('runId' in sent).toBe(input.runId !== workflowId);
      }),
    );
  });

  test('an outcome comes back as it was; outputs taken as usual need no word', () => {
    for (const outcome of [
      { output: 'x', ok: true },
      { output: '', ok: false, notes: ['tool_failed' as const] },
    ]) {
      expect(unpackOutcome(json(packOutcome(outcome)))).toEqual(outcome);
      expect(unpackOutcome(json(outcome))).toEqual(outcome);
    }
    const run = { backendRunId: 'r', threadId: 't' };
    expect(packSettlement({ status: 'completed', run, outputsTaken: true })).toEqual({
      status: 'completed',
      run,
    });
    expect(packSettlement({ status: 'expired', run, outputsTaken: false })).toEqual({
      status: 'expired',
      run,
    });
    expect(packSettlement({ status: 'expired', run, outputsTaken: true })).toHaveProperty(
      'outputsTaken',
      true,
    );
    expect(packSettlement({ status: 'completed', run, outputsTaken: false })).toHaveProperty(
      'outputsTaken',
      false,
    );
  });

  test('a create request and a workflow input come back as they were', () => {
    fc.assert(
      fc.property(
        fc.record({
          threadId: fc.option(text, { nil: null }),
          params: fc.dictionary(fc.constantFrom('model', 'tools'), text),
          busy: fc.constantFrom('fail' as const, 'wait' as const, 'cancel' as const),
          expiresAt: fc.option(fc.nat(), { nil: null }),
          createdAt: fc.option(fc.nat(), { nil: null }),
          searchAttributes: fc.boolean(),
          hooks: fc.record({ onWaiting: fc.boolean(), onEnd: fc.boolean() }),
          metadata: fc.dictionary(fc.constantFrom('k', 'l'), text),
        }),
        (given) => {
          const input = {
            runId: 'run_1',
            backend: 'assistants' as const,
            assistantId: 'asst_1',
            settings: given.searchAttributes ? { maxRounds: 3 } : {},
            ...given,
          };
          expect(unpackRunInput(json(packRunInput(input)))).toEqual(json(input));
          expect(unpackRunInput(json(input))).toEqual(json(input));
          const { params, busy, expiresAt } = given;
          const request = {
            runId: 'run_1',
            threadId: 't',
            assistantId: 'a',
            params,
            busy,
            startedAt: 5,
            expiresAt,
          };
          expect(unpackCreate(json(packCreate(request)), 'run_1')).toEqual(json(request));
          expect(unpackCreate(json(request), 'run_1')).toEqual(json(request));
        },
      ),
    );
  });
});
