/** Payloads of histories: plain JSON reads as itself, and the compact form of earlier versions as what it was written from. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Settled } from '../../../protocol/ports/backend.ts';
import { idempotencyKey, type CallPlan, type ToolActivityInput } from '../../../protocol/tool-calls.ts';
import {
  readCreate,
  readOutcome,
  readRunInput,
  readSettlement,
  readToolCall,
} from '../../../protocol/temporal/payloads.ts';

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

const USUAL = {
  maximumAttempts: 5,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  startToCloseMs: 300_000,
  heartbeatMs: null,
  atMostOnce: false,
};
const run = { backendRunId: 'r', threadId: 't' };
const call = (callId: string, tool: string) => ({ callId, name: tool, arguments: '{}' });

describe('plain payloads', () => {
  test('a settlement reads as itself', () => {
    fc.assert(
      fc.property(waiting, (settled) => {
        expect(readSettlement(json(settled))).toEqual(json(settled));
      }),
    );
    const ended: Settled = { status: 'expired', run, outputsTaken: true };
    expect(readSettlement(ended)).toEqual(ended);
  });

  test('a tool call is read as itself, also when its activity is named otherwise', () => {
    fc.assert(
      fc.property(toolInput, (input) => {
        const from = { workflowId: 'other', tool: 'other', endsBy: -1 };
        expect(readToolCall(json(input), from)).toEqual(input);
      }),
    );
  });

  test('an outcome, a create request and a workflow input read as themselves', () => {
    const outcome = { output: '', ok: false, notes: ['tool_failed' as const] };
    expect(readOutcome(outcome)).toEqual(outcome);
    const params = { model: 'm' };
    const create = { runId: 'run_1', threadId: 't', assistantId: 'a', params, startedAt: 5, expiresAt: 9 };
    expect(readCreate({ ...create, busy: 'wait' }, 'run_1')).toEqual({ ...create, busy: 'wait' });
    const input = {
      runId: 'run_1',
      backend: 'assistants' as const,
      assistantId: 'asst_1',
      threadId: 'thread_1',
      params,
      metadata: { k: 'v' },
      busy: 'cancel' as const,
      expiresAt: 1,
      createdAt: 2,
      searchAttributes: true,
      hooks: { onWaiting: true, onEnd: false },
      settings: { maxRounds: 3 },
    };
    expect(readRunInput(input)).toEqual(input);
  });
});

describe('payloads of versions before 0.2', () => {
  test('calls of one tool share a plan, a call may have its own, and a policy lists its differences', () => {
    const external = { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } } as const;
    const settled = readSettlement({
      status: 'requires_action',
      run,
      calls: [
        call('c1', 'ask'),
        call('c2', 'ask'),
        call('c3', 'echo'),
        { ...call('c4', 'echo'), plan: external },
      ],
      plans: { ask: external, echo: { kind: 'automatic', policy: { maximumAttempts: 1 } } },
      expiresAt: null,
      createdAt: 1,
    });
    expect(settled).toEqual({
      status: 'requires_action',
      run,
      calls: [
        { ...call('c1', 'ask'), plan: external },
        { ...call('c2', 'ask'), plan: external },
        { ...call('c3', 'echo'), plan: { kind: 'automatic', policy: { ...USUAL, maximumAttempts: 1 } } },
        { ...call('c4', 'echo'), plan: external },
      ],
      expiresAt: null,
      createdAt: 1,
    });
  });

  test('a call without a plan is an error, also when its tool has the name of an object property', () => {
    for (const tool of ['ask', '__proto__', 'constructor'])
      expect(() =>
        readSettlement({
          status: 'requires_action',
          run,
          calls: [{ callId: 'c1', name: tool, arguments: '{}' }],
          expiresAt: null,
          createdAt: 1,
        }),
      ).toThrow(`no plan for call c1 of ${tool}`);
  });

  test('a tool call takes what it left out from its activity', () => {
    const sent = { threadId: 't', assistantId: 'a', callId: 'c1', arguments: '{}' };
    const from = { workflowId: 'run_1', tool: 'echo', endsBy: 7 };
    expect(readToolCall(sent, from)).toEqual({
      ...sent,
      runId: 'run_1',
      name: 'echo',
      idempotencyKey: idempotencyKey('run_1', 'c1'),
      deadline: 7,
      atMostOnce: false,
      metadata: {},
    });
    expect(readToolCall({ ...sent, runId: 'run_2', deadline: null }, from)).toMatchObject({
      runId: 'run_2',
      idempotencyKey: idempotencyKey('run_2', 'c1'),
      deadline: null,
    });
  });

  test('an outcome, a create request and a workflow input get the defaults that they left out', () => {
    expect(readOutcome({ output: 'x' })).toEqual({ output: 'x', ok: true });
    expect(readCreate({ threadId: 't', assistantId: 'a', startedAt: 5 }, 'run_1')).toEqual({
      runId: 'run_1',
      threadId: 't',
      assistantId: 'a',
      startedAt: 5,
      params: {},
      busy: 'fail',
      expiresAt: null,
    });
    expect(readRunInput({ runId: 'run_1', backend: 'assistants', assistantId: 'asst_1' })).toEqual({
      runId: 'run_1',
      backend: 'assistants',
      assistantId: 'asst_1',
      threadId: null,
      params: {},
      metadata: {},
      busy: 'fail',
      expiresAt: null,
      createdAt: null,
      searchAttributes: false,
      hooks: { onWaiting: false, onEnd: false },
      settings: {},
    });
  });
});
