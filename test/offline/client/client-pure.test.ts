/** The client's pure parts: input, queries, digests, payloads, views, error mapping. No server. */
import {
  NamespaceNotFoundError,
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, TypedSearchAttributes } from '@temporalio/common';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { updateIdDigest } from '../../../client/update-id.ts';
import { toRunsError, type ClientErrorContext } from '../../../client/errors.ts';
import { startProblems, toRunInput } from '../../../client/input.ts';
import { checkAnswerPayload, checkSubmitPayload } from '../../../client/payloads.ts';
import { visibilityQuery } from '../../../client/query.ts';
import { registerCommand, searchAttributeKeys } from '../../../client/search-attributes.ts';
import type { ListOptions, StartOptions } from '../../../client/types.ts';
import { partialSnapshot, toListItem, type WorkflowView } from '../../../client/view.ts';
import {
  FAILURES,
  METADATA,
  RESULT_MEMO,
  RunsError,
  type AnswerPayload,
  type RunResult,
} from '../../../protocol/index.ts';

const thrownBy = (work: () => unknown): RunsError => {
  try {
    work();
  } catch (error) {
    if (error instanceof RunsError) return error;
    throw error;
  }
  throw new Error('expected a RunsError, and nothing was thrown');
};

const pairs = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

const options: StartOptions = { backend: 'assistants', assistantId: 'asst_1' };

describe('start options', () => {
  test('become a complete input', () => {
    expect(toRunInput('run_1', options, true)).toEqual({
      runId: 'run_1',
      backend: 'assistants',
      assistantId: 'asst_1',
      threadId: null,
      params: {},
      metadata: {},
      busy: 'fail',
      expiresAt: null,
      createdAt: null,
      searchAttributes: true,
      hooks: { onWaiting: false, onEnd: false },
      settings: {},
    });
  });

  test.each<[string, string, Record<string, unknown>, RegExp]>([
    ['a run id with a slash', 'a/b', {}, /runId must be.*"a\/b"/],
    ['another backend', 'r', { backend: 'responses' }, /backend must be.*"responses"/],
    ['no assistant', 'r', { assistantId: '' }, /assistantId must be.*""/],
    ['a thread id with a space', 'r', { threadId: 'a b' }, /threadId must be.*"a b"/],
    ['no thread on chat', 'r', { backend: 'chat' }, /threadId is needed on the chat backend/],
    ['a list of params', 'r', { params: [] }, /params must be an object/],
    ['a stream of params', 'r', { params: { stream: true } }, /may not hold "stream"/],
    ['an assistant in params', 'r', { params: { assistant_id: 'a' } }, /may not hold "assistant_id"/],
    ['metadata in params', 'r', { params: { metadata: {} } }, /may not hold "metadata"/],
    [
      'params on chat',
      'r',
      { backend: 'chat', threadId: 't', params: { model: 'm' } },
      /params must be empty on the chat backend.*\["model"\]/,
    ],
    [
      'params of two megabytes',
      'r',
      { params: { instructions: 'x'.repeat(2_000_000) } },
      /params may have at most 1500000 bytes/,
    ],
    ['15 pairs', 'r', { metadata: pairs(15) }, /14 pairs.*got 15/],
    ['a metadata value that is no text', 'r', { metadata: { a: 1 } }, /metadata values must be strings/],
    ['the create token', 'r', { metadata: { [METADATA.token]: 'x' } }, /is reserved/],
    ['another busy policy', 'r', { busy: 'queue' }, /busy must be.*"queue"/],
    ['an expiry in text', 'r', { expiresAt: 'soon' }, /expiresAt must be unix milliseconds.*"soon"/],
  ])('%s is refused', (_what, runId, change, expected) => {
    const problems = startProblems(runId, { ...options, ...change });
    expect(problems.join('\n')).toMatch(expected);
    expect(problems).toHaveLength(1);
  });

  test('metadata become part of the run on a server of the runs API, and of nothing else', () => {
    const metadata = { tenant: 'a' };
    expect(toRunInput('r', { ...options, params: { model: 'm' }, metadata }, true)).toMatchObject({
      params: { model: 'm', metadata },
      metadata,
    });
    const native: StartOptions = { backend: 'chat', assistantId: 'a', threadId: 't', metadata };
    expect(toRunInput('r', native, true)).toMatchObject({ params: {}, metadata });
  });

  test('14 pairs and the link to the run before fit', () => {
    expect(
      startProblems('r', { ...options, metadata: { ...pairs(14), [METADATA.followUpOf]: 'run_0' } }),
    ).toEqual([]);
  });

  test('all problems are in one error', () => {
    const error = thrownBy(() => toRunInput('a b', { ...options, assistantId: 'c d' }, false));
    expect(error.code).toBe('invalid_input');
    expect(error.details).toHaveLength(2);
  });
});

describe('list options', () => {
  test.each<[ListOptions, string]>([
    [{}, "WorkflowType = 'run' AND ExecutionStatus != 'ContinuedAsNew'"],
    [
      { waiting: true },
      "WorkflowType IN ('run', 'followUp') AND ExecutionStatus = 'Running' AND RunsWaitingFor IS NOT NULL",
    ],
    [
      { status: 'in_progress' },
      "WorkflowType = 'run' AND ExecutionStatus = 'Running' AND (RunsStatus IS NULL OR RunsStatus IN ('queued', 'in_progress'))",
    ],
    [{ status: 'expired' }, "WorkflowType = 'run' AND ExecutionStatus = 'Completed'"],
    [
      { threadId: 'thread_1' },
      "WorkflowType = 'run' AND ExecutionStatus != 'ContinuedAsNew' AND RunsThreadId = 'thread_1'",
    ],
    [
      { idPrefix: 'run_a' },
      "WorkflowType = 'run' AND ExecutionStatus != 'ContinuedAsNew' AND WorkflowId STARTS_WITH 'run_a'",
    ],
  ])('%j', (given, query) => {
    expect(visibilityQuery(given, true).query).toBe(query);
  });

  test.each<[ListOptions, RegExp]>([
    [{ status: "x' OR 1=1" }, /status must be one of/],
    [{ threadId: "t' OR WorkflowType='x" }, /threadId must be/],
    [{ idPrefix: "r' OR 'a'='a" }, /idPrefix must be/],
    [{ limit: 0 }, /limit must be/],
    [{ limit: 1.5 }, /limit must be/],
  ])('%j is refused', (given, expected) => {
    expect(thrownBy(() => visibilityQuery(given, true))).toMatchObject({
      code: 'invalid_input',
      message: expect.stringMatching(expected) as string,
    });
  });

  test("nothing a caller types can change the query's shape", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (threadId, status) => {
        let query: string;
        try {
          ({ query } = visibilityQuery({ threadId, status }, true));
        } catch {
          return;
        }
        expect(query).toMatch(/^[A-Za-z0-9_.:\- '=!(),]*$/);
        expect(query.split("'").length % 2).toBe(1);
      }),
      { seed: 20261122 },
    );
  });

  test('what needs search attributes is refused without them, the rest is not', () => {
    expect(thrownBy(() => visibilityQuery({ waiting: true }, false)).code).toBe('config');
    expect(thrownBy(() => visibilityQuery({ threadId: 't' }, false)).code).toBe('config');
    expect(thrownBy(() => visibilityQuery({ status: 'queued' }, false)).code).toBe('config');
    expect(visibilityQuery({ status: 'completed' }, false).exactStatus).toBe('completed');
    expect(visibilityQuery({ status: 'queued' }, true).exactStatus).toBe('queued');
    expect(visibilityQuery({ status: 'requires_action' }, true).exactStatus).toBeNull();
  });
});

describe('digests', () => {
  test('do not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).toReversed());
        expect(updateIdDigest(reversed)).toBe(updateIdDigest(value));
      }),
      { seed: 20261122 },
    );
  });

  test('differ when the payload does', () => {
    expect(updateIdDigest({ call_id: 'c', output: '1' })).not.toBe(
      updateIdDigest({ call_id: 'c', output: 1 }),
    );
    expect(updateIdDigest([1, 2])).not.toBe(updateIdDigest([2, 1]));
    expect(updateIdDigest({ a: 1, b: undefined })).toBe(updateIdDigest({ a: 1 }));
  });

  test('are those of the JSON that is sent', () => {
    const at = new Date('2026-11-26');
    expect(updateIdDigest({ at })).toBe(updateIdDigest({ at: at.toISOString() }));
    expect(updateIdDigest(undefined)).toBe(updateIdDigest(null));
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(updateIdDigest(value)).toBe(updateIdDigest(JSON.parse(JSON.stringify(value))));
      }),
      { seed: 20261122 },
    );
  });
});

describe('payloads', () => {
  test.each<[Record<string, unknown>, RegExp]>([
    [{ call_id: '', output: 'o' }, /call_id must be/],
    [{ call_id: 'c' }, /needs output or decision/],
    [{ call_id: 'c', output: 'o', decision: 'deny' }, /output or decision, not both/],
    [{ call_id: 'c', output: 'o', run_id: 'run_2' }, /for run "run_2", not for "run_1"/],
  ])('%j is not sent', (payload, expected) => {
    expect(thrownBy(() => checkAnswerPayload('run_1', payload as unknown as AnswerPayload))).toMatchObject({
      code: 'invalid_input',
      message: expect.stringMatching(expected) as string,
    });
  });

  test('an answer may be any JSON value', () => {
    expect(() =>
      checkAnswerPayload('run_1', { call_id: 'c', output: { a: [1] }, run_id: 'run_1' }),
    ).not.toThrow();
    expect(() =>
      checkAnswerPayload('run_1', { call_id: 'c', decision: 'approve', arguments: { a: 1 } }),
    ).not.toThrow();
  });

  test('outputs are for the run they are sent to', () => {
    const tool_outputs = [{ tool_call_id: 'c', output: 'o' }];
    expect(() => checkSubmitPayload('run_1', { run_id: 'run_1', tool_outputs })).not.toThrow();
    expect(thrownBy(() => checkSubmitPayload('run_1', { run_id: 'run_2', tool_outputs })).message).toMatch(
      /run_2/,
    );
    expect(
      thrownBy(() => checkSubmitPayload('run_1', { run_id: 'run_1', tool_outputs: [] })).message,
    ).toMatch(/one output for each/);
    expect(thrownBy(() => checkSubmitPayload('a b', { run_id: 'a b', tool_outputs })).message).toMatch(
      /runId must be/,
    );
  });
});

const view = (more: Partial<WorkflowView> = {}): WorkflowView => ({
  workflowId: 'run_1',
  type: 'run',
  status: { name: 'RUNNING' },
  startTime: new Date(1_000),
  typedSearchAttributes: new TypedSearchAttributes(),
  ...more,
});
const closed = (name: WorkflowView['status']['name'], memo?: Record<string, unknown>): WorkflowView =>
  view({ status: { name }, closeTime: new Date(9_000), ...(memo === undefined ? {} : { memo }) });
const result: RunResult = {
  status: 'expired',
  runId: 'run_1',
  backendRunId: 'run_b',
  threadId: 'thread_1',
  rounds: 2,
  usage: null,
  calls: [],
  unusedAnswers: [],
};

describe('what a run looks like without a worker', () => {
  test('is told of a waiting one by its search attributes', () => {
    const waiting = view({
      typedSearchAttributes: new TypedSearchAttributes([
        { key: searchAttributeKeys.status, value: 'requires_action' },
        { key: searchAttributeKeys.threadId, value: 'thread_1' },
        { key: searchAttributeKeys.assistantId, value: 'asst_1' },
        { key: searchAttributeKeys.waitingFor, value: ['pay'] },
        { key: searchAttributeKeys.deadline, value: new Date(5_000) },
      ]),
    });
    expect(toListItem(waiting, null)).toEqual({
      runId: 'run_1',
      status: 'requires_action',
      threadId: 'thread_1',
      assistantId: 'asst_1',
      backend: 'assistants',
      waitingFor: ['pay'],
      deadline: 5_000,
      startedAt: 1_000,
      closedAt: null,
      followUp: false,
    });
    expect(partialSnapshot(waiting, null)).toMatchObject({
      phase: 'calling',
      expiresAt: 5_000,
      partial: true,
      calls: [],
    });
  });

  test('is told by its memo where it has no attributes', () => {
    const memo = { runsRun: { backend: 'chat', assistantId: 'asst_1', threadId: 'thread_1' } };
    expect(toListItem(view({ memo }), null)).toMatchObject({
      backend: 'chat',
      assistantId: 'asst_1',
      threadId: 'thread_1',
      status: 'in_progress',
    });
  });

  test('has null for unknown fields where it has no memo', () => {
    expect(toListItem(view(), null)).toMatchObject({
      runId: 'run_1',
      threadId: null,
      assistantId: null,
      backend: null,
    });
  });

  test.each<[WorkflowView, RunResult | null, string]>([
    [closed('COMPLETED'), result, 'expired'],
    [closed('CANCELLED'), null, 'cancelled'],
    [closed('CANCELLED', { [RESULT_MEMO]: result }), result, 'expired'],
    [closed('TERMINATED'), null, 'failed'],
    [closed('TIMED_OUT'), null, 'failed'],
    [closed('FAILED'), null, 'failed'],
  ])('an ended one (%#), by its result', (ended, left, status) => {
    expect(toListItem(ended, left)).toMatchObject({
      status,
      closedAt: 9_000,
      waitingFor: [],
      deadline: null,
    });
    expect(partialSnapshot(ended, left)).toMatchObject({ phase: 'ended', result: left });
  });

  test('what awaits late answers stands under the run it came from', () => {
    const late = view({ workflowId: 'run_1.follow-up', type: 'followUp' });
    expect(toListItem(late, null)).toMatchObject({ runId: 'run_1', followUp: true });
  });
});

const context: ClientErrorContext = {
  what: 'Answering',
  runId: 'run_1',
  address: 'h:7233',
  namespace: 'ns',
  taskQueue: 'q',
  awaitsWorker: true,
};
const grpc = (code: number) =>
  new ServiceError('failed', {
    cause: Object.assign(new Error(`${code} REASON: why`), { code, details: 'why', metadata: {} }),
  });
const message = (error: unknown) => (toRunsError(error, context) as RunsError).message;

describe("errors of Temporal's client", () => {
  const refusal = new WorkflowUpdateFailedError(
    'failed',
    ApplicationFailure.create({
      type: FAILURES.refusedConflict,
      message: 'answered before',
      details: [{ first: 'x' }],
    }),
  );

  test.each<[string, unknown, Partial<RunsError>]>([
    [
      'a refused update',
      refusal,
      {
        code: 'refused',
        failure: FAILURES.refusedConflict,
        details: { first: 'x' },
        message: 'answered before',
      },
    ],
    ['an update nobody took', new WorkflowUpdateRPCTimeoutOrCancelledError('timeout'), { code: 'no_worker' }],
    ['a deadline', grpc(4), { code: 'no_worker' }],
    ['no such run', new WorkflowNotFoundError('gone', 'run_1', undefined), { code: 'run_not_found' }],
    ['no such namespace', new NamespaceNotFoundError('ns'), { code: 'temporal_unavailable' }],
    ['no server', grpc(14), { code: 'temporal_unavailable' }],
    ['bad credentials', grpc(16), { code: 'temporal_unavailable' }],
    ['a deadline that rang at the server first', grpc(1), { code: 'no_worker' }],
    ['a bad request', grpc(3), { code: 'invalid_input' }],
  ])('%s', (_what, error, expected) => {
    const mapped = toRunsError(error, context);
    expect(mapped).toBeInstanceOf(RunsError);
    expect(mapped).toMatchObject(expected);
  });

  test.each([
    ['a request', grpc(1)],
    ['an update', new WorkflowUpdateRPCTimeoutOrCancelledError('cancelled')],
  ])('%s was cancelled when whoever asked gave it up, and only then', (_what, error) => {
    expect(toRunsError(error, { ...context, givenUp: true })).toMatchObject({ code: 'cancelled' });
    expect(toRunsError(error, { ...context, givenUp: false })).toMatchObject({ code: 'no_worker' });
  });

  test.each([1, 4])(
    'a deadline where no worker was needed is a server that can not be reached (status %i)',
    (status) => {
      expect(toRunsError(grpc(status), { ...context, awaitsWorker: false })).toMatchObject({
        code: 'temporal_unavailable',
      });
    },
  );

  test('say where, and what to do', () => {
    expect(message(new NamespaceNotFoundError('ns'))).toMatch(
      /"h:7233" has no namespace "ns".*TEMPORAL_NAMESPACE/,
    );
    expect(message(grpc(4))).toMatch(/task queue "q".*runs worker/);
    expect(message(grpc(14))).toMatch(/"h:7233" can't be reached.*safe to send it again/);
    expect(message(grpc(16))).toMatch(/TEMPORAL_API_KEY/);
  });

  test('other errors are returned unchanged', () => {
    const bug = new TypeError('x is not a function');
    expect(toRunsError(bug, context)).toBe(bug);
    const own = new RunsError('refused', 'no');
    expect(toRunsError(own, context)).toBe(own);
  });
});

test('the command that registers search attributes names the namespace, and each with its type', () => {
  expect(registerCommand(['RunsStatus', 'RunsDeadline'], 'mine')).toBe(
    'temporal operator search-attribute create --namespace mine --name RunsStatus --type Keyword --name RunsDeadline --type Datetime',
  );
});
