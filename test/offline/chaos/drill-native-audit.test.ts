/** The auditor of drills on the runs server: silent about a good run, and each thing that must not be is seen. */
import { describe, expect, test } from 'vitest';
import type { Message, Run, RunStep, WireToolCall } from '../../../protocol/wire/objects.ts';
import { auditNative, type NativeFacts } from '../../chaos/native/audit.ts';

const RUN = 'run_1';
const OUTPUT = `keyed 0 done under ${RUN}:a`;
const LAST = `Done in 1 rounds; the last said: ${OUTPUT} | answer to b.`;

const call = (id: string, name: string, output: string): WireToolCall & { function: { output: string } } => ({
  id,
  type: 'function',
  function: { name, arguments: '{"n":0}', output },
});
const step = (id: string, type: RunStep['type'], details: RunStep['step_details']): RunStep => ({
  id,
  object: 'thread.run.step',
  created_at: 1,
  assistant_id: 'asst_1',
  thread_id: 'thread_1',
  run_id: RUN,
  type,
  status: 'completed',
  step_details: details,
  last_error: null,
  expired_at: null,
  expires_at: null,
  cancelled_at: null,
  failed_at: null,
  completed_at: 5,
  metadata: {},
  usage: null,
});
const message = (id: string, role: Message['role'], text: string): Message => ({
  id,
  object: 'thread.message',
  created_at: 1,
  thread_id: 'thread_1',
  status: 'completed',
  incomplete_details: null,
  completed_at: 5,
  incomplete_at: null,
  role,
  content: [{ type: 'text', text: { value: text, annotations: [] } }],
  assistant_id: role === 'user' ? null : 'asst_1',
  run_id: role === 'user' ? null : RUN,
  attachments: null,
  metadata: {},
});

/** A run of one round in which everything went well. */
const good = (): NativeFacts => {
  const run: Partial<Run> = {
    id: RUN,
    thread_id: 'thread_1',
    status: 'completed',
    required_action: null,
    last_error: null,
    completed_at: 10,
    cancelled_at: null,
    failed_at: null,
    usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  };
  const log: [string, string, string?][] = [
    ['thread.run.created', RUN],
    ['thread.run.step.created', 'step_1'],
    ['thread.run.requires_action', RUN],
    ['thread.run.step.completed', 'step_1'],
    ['thread.run.step.created', 'step_2'],
    ['thread.message.created', 'msg_2'],
    ['thread.message.delta', 'msg_2', LAST.slice(0, 9)],
    ['thread.message.delta', 'msg_2', LAST.slice(9)],
    ['thread.message.completed', 'msg_2'],
    ['thread.run.step.completed', 'step_2'],
    ['thread.run.completed', RUN],
  ];
  const events = log.map(([event, of, text = ''], at) => ({ seq: at + 1, event, of, text }));
  return {
    runId: RUN,
    story: { delayMs: 0, rounds: [['keyed', 'ask']] },
    mayEnd: ['completed'],
    result: {
      status: 'completed',
      runId: RUN,
      backendRunId: RUN,
      threadId: 'thread_1',
      rounds: 1,
      usage: { promptTokens: 1, completionTokens: 2, totalTokens: 3 },
      calls: [
        { callId: 'a', name: 'keyed', round: 1, kind: 'automatic', ok: true },
        { callId: 'b', name: 'ask', round: 1, kind: 'external', ok: true },
      ],
      unusedAnswers: [],
    },
    run: run as Run,
    steps: [
      step('step_1', 'tool_calls', {
        type: 'tool_calls',
        tool_calls: [call('a', 'keyed', OUTPUT), call('b', 'ask', 'answer to b')],
      }),
      step('step_2', 'message_creation', {
        type: 'message_creation',
        message_creation: { message_id: 'msg_2' },
      }),
    ],
    messages: [message('msg_1', 'user', 'drill x'), message('msg_2', 'assistant', LAST)],
    events,
    turns: [
      { rounds: [] },
      {
        rounds: [
          [
            { id: 'a', output: OUTPUT },
            { id: 'b', output: 'answer to b' },
          ],
        ],
      },
    ],
    tools: [
      { at: 1, phase: 'began', tool: 'keyed', key: `${RUN}:a` },
      { at: 2, phase: 'effect', tool: 'keyed', key: `${RUN}:a` },
    ],
    acks: [{ callId: 'b', output: 'answer to b', said: 'answer to b' }],
    seen: events.map(({ seq, event }) => ({ seq, event })),
    faults: 0,
  };
};

const of = <T>(value: T | undefined | null): T => {
  if (value === undefined || value === null) throw new Error('Not there.');
  return value;
};

test('a run that went well has nothing to be said about', () => {
  expect(auditNative(good())).toEqual([]);
});

test('a turn that was begun again after a fault is explained by it', () => {
  const facts = good();
  facts.faults = 1;
  facts.turns.push(of(facts.turns[1]));
  facts.steps.unshift({
    ...step('step_0', 'message_creation', {
      type: 'message_creation',
      message_creation: { message_id: 'msg_0' },
    }),
    status: 'failed',
  });
  facts.messages.push({ ...message('msg_0', 'assistant', 'Done'), status: 'incomplete' });
  expect(auditNative(facts)).toEqual([]);
});

describe('it is seen when', () => {
  test.each<[string, string, (facts: NativeFacts) => void]>([
    ['an acknowledged run is gone', 'I1', (facts) => void (facts.run = null)],
    ['a run does not end', 'I11', (facts) => void (facts.result = null)],
    ['the row is not the result', 'I5', (facts) => void (of(facts.run).status = 'failed')],
    ['the row counts other tokens', 'I5', (facts) => void (of(facts.run).usage = null)],
    ['an end is not allowed', 'I5', (facts) => void (facts.mayEnd = ['cancelled'])],
    ['a step is there twice', 'I2', (facts) => void facts.steps.unshift(of(facts.steps[0]))],
    ['a message is there twice', 'I1', (facts) => void facts.messages.push(of(facts.messages[1]))],
    ['a step is left open', 'I1', (facts) => void (of(facts.steps[1]).status = 'in_progress')],
    ['a message is left open', 'I1', (facts) => void (of(facts.messages[1]).status = 'in_progress')],
    ['the model is told a part of a round', 'I2', (facts) => void of(facts.turns[1]?.rounds[0]).pop()],
    [
      'the model is told something else than is kept',
      'I2',
      (facts) => void (of(facts.turns[1]?.rounds[0]?.[1]).output = 'other'),
    ],
    ['a turn was never asked', 'I2', (facts) => void facts.turns.pop()],
    [
      'a turn is asked more often than faults explain',
      'I9',
      (facts) => void facts.turns.push(of(facts.turns[0])),
    ],
    ['an event is missing', 'events', (facts) => void facts.events.splice(4, 1)],
    [
      'an event comes after the end',
      'events',
      (facts) => void facts.events.push({ ...of(facts.events[1]), seq: 12 }),
    ],
    [
      'something ends twice',
      'events',
      (facts) => void (facts.events[1] = { ...of(facts.events[3]), seq: 2 }),
    ],
    ['a piece of the text is streamed twice', 'I5', (facts) => void (of(facts.events[7]).text = LAST)],
    ['a reader missed an event', 'events', (facts) => void (facts.seen = of(facts.seen).slice(1))],
    [
      'an effect happened twice',
      'I4',
      (facts) => void facts.tools.push({ at: 5, phase: 'effect', tool: 'keyed', key: `${RUN}:a` }),
    ],
    [
      'an acknowledged answer is not the used one',
      'I6',
      (facts) => void (facts.acks = [{ callId: 'b', output: 'other', said: 'other' }]),
    ],
  ])('%s', (_what, invariant, change) => {
    const facts = good();
    change(facts);
    expect(auditNative(facts).map(({ invariant: seen }) => seen)).toContain(invariant);
  });
});
