/** Routes of runs, their steps, answers and events. Rule: see `route.ts`. */
import { apiErrors } from '../../protocol/errors.ts';
import {
  answerPayloadSchema,
  metadataUpdateSchema,
  runParamsSchema,
  submitParamsSchema,
  threadAndRunParamsSchema,
} from '../../protocol/wire/schemas.ts';
import { quote } from '../../protocol/rules/validation.ts';
import type { StartedRunEvents } from '../../protocol/ports/runs-service.ts';
import { checkOutputSizes } from '../../protocol/rules/check-output-sizes.ts';
import { isPolled } from '../../protocol/rules/polling.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import type { SequencedEvent } from '../../protocol/wire/events.ts';
import type { Run, Thread } from '../../protocol/wire/objects.ts';
import { requireRole } from '../auth.ts';
import { isPollHelper } from '../held-polls.ts';
import { idParam, route } from '../route.ts';
import type { Reply, Route, RouteInput, StreamRequest } from '../route.ts';
import { messageParams, PAGE_KEYS, parsePage, threadParams } from '../validate.ts';

/** Streams come last: they hold the ids of a run, not the run with its instructions and tools. */
const followRun = (
  { engine, caller }: RouteInput<unknown>,
  { id, thread_id: threadId }: Run,
  from: { after: number; initialEvents?: readonly SequencedEvent[] },
): StreamRequest['subscribe'] => {
  return (signal, admit) => engine.events(caller, threadId, id, { ...from, signal, admit });
};

/** A started or resumed run: the object, or its events until it waits or ends. */
const runReply = (
  input: RouteInput<unknown>,
  { run, eventsAfter: after, initialEvents }: StartedRunEvents,
  stream: boolean | null | undefined,
  thread?: Thread,
): Reply =>
  stream === true
    ? {
        run,
        stream: {
          until: 'turn',
          ...(thread === undefined ? {} : { thread }),
          subscribe: followRun(input, run, {
            after,
            ...(initialEvents === undefined ? {} : { initialEvents }),
          }),
        },
      }
    : { run, json: run };

/** Where to continue: the header that a reconnecting EventSource adds to the URL, else `?after=`. */
const lastEventId = (input: RouteInput<unknown>): number => {
  const header = input.headers.get('last-event-id');
  const [name, text] =
    header === null || header === ''
      ? (['after', input.query['after']] as const)
      : (['Last-Event-ID', header] as const);
  if (text === undefined) return 0;
  if (!/^\d{1,15}$/.test(text))
    throw apiErrors.invalid(
      name,
      `Invalid '${name}': expected the number of an event, but got ${quote(text)} instead.`,
      'invalid_value',
    );
  return Number(text);
};

const THREAD_RUN = '/v1/threads/{thread_id}/runs/{run_id}';

export const runRoutes: readonly Route[] = [
  route('POST', '/v1/threads/runs', {
    kind: 'run',
    summary: 'Create a thread and run it',
    body: threadAndRunParamsSchema,
    size: 'large',
    returns: { object: 'Run', stream: true },
    handle: async (input) => {
      const { stream, thread: sent, ...params } = input.body;
      const { thread, ...rest } = await input.engine.createThreadAndRun(
        input.caller,
        threadParams(sent ?? {}),
        params,
      );
      return runReply(input, rest, stream, thread);
    },
  }),
  route('POST', '/v1/threads/{thread_id}/runs', {
    kind: 'run',
    summary: 'Create a run',
    query: ['include[]'],
    body: runParamsSchema,
    size: 'large',
    returns: { object: 'Run', stream: true },
    handle: async (input) => {
      const { stream, additional_messages: extra, ...params } = input.body;
      const run = await input.engine.createRun(input.caller, idParam(input, 'thread_id'), {
        ...params,
        ...(extra == null ? {} : { additional_messages: extra.map(messageParams) }),
      });
      return runReply(input, run, stream);
    },
  }),
  route('GET', '/v1/threads/{thread_id}/runs', {
    summary: 'List runs',
    query: PAGE_KEYS,
    returns: { object: 'Run', list: true },
    handle: async (input) => ({
      json: await input.engine.listRuns(input.caller, idParam(input, 'thread_id'), parsePage(input.query)),
    }),
  }),
  route('GET', THREAD_RUN, {
    summary: 'Retrieve a run',
    returns: { object: 'Run' },
    handle: async (input) => {
      const { engine, caller } = input;
      const [threadId, runId] = [idParam(input, 'thread_id'), idParam(input, 'run_id')];
      const run = await engine.getRun(caller, threadId, runId);
      if (!isPolled(run.status) || !isPollHelper(input.headers)) return { json: run, run };
      const later = await input.hold((wait) => engine.awaitRun(caller, threadId, runId, wait));
      return later === null ? { json: run, run } : { json: later, run: later, held: true };
    },
  }),
  route('POST', THREAD_RUN, {
    summary: 'Modify a run',
    body: metadataUpdateSchema,
    returns: { object: 'Run' },
    handle: async (input) => {
      const run = await input.engine.updateRun(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'run_id'),
        input.body,
      );
      return { json: run, run };
    },
  }),
  route('POST', `${THREAD_RUN}/cancel`, {
    summary: 'Cancel a run',
    roles: ['caller', 'operator'],
    returns: { object: 'Run' },
    handle: async (input) => {
      const run = await input.engine.cancelRun(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'run_id'),
      );
      return { json: run, run };
    },
  }),
  route('POST', `${THREAD_RUN}/submit_tool_outputs`, {
    summary: 'Submit all outputs of the tool calls that the run waits for',
    body: submitParamsSchema,
    size: 'medium',
    returns: { object: 'Run', stream: true },
    handle: async (input) => {
      const { tool_outputs: outputs, stream } = input.body;
      checkOutputSizes(outputs);
      const run = await input.engine.submitToolOutputs(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'run_id'),
        outputs,
      );
      return runReply(input, run, stream);
    },
  }),
  route('POST', `${THREAD_RUN}/answers`, {
    summary: 'Answer, approve or deny one call (an extension of this server)',
    roles: ['caller', 'approver'],
    body: answerPayloadSchema,
    size: 'medium',
    returns: { object: 'Answer' },
    handle: async (input) => {
      const { output, ...decided } = input.body;
      // Alone, null is an output like any other; beside a decision, clients send it for "none".
      const body = output === null && decided.decision !== undefined ? decided : input.body;
      if ('output' in body === (body.decision !== undefined))
        throw apiErrors.invalid(
          'output',
          "Send exactly one of 'output' (for a call that awaits an output) and 'decision' (for a call that awaits approval).",
          'invalid_value',
        );
      // Outputs belong to callers, decisions to approvers: each route requires its role.
      if (body.decision === undefined)
        requireRole(input.caller, ['caller'], 'Answering a call with an output');
      else requireRole(input.caller, ['approver'], 'Approving or denying a call');
      return {
        json: await input.engine.answer(
          input.caller,
          idParam(input, 'thread_id'),
          idParam(input, 'run_id'),
          body,
        ),
      };
    },
  }),
  route('GET', `${THREAD_RUN}/decisions`, {
    summary: 'List the decisions about calls of a run (an extension of this server)',
    roles: ['caller', 'approver', 'operator'],
    query: PAGE_KEYS,
    returns: { object: 'Decision', list: true },
    handle: async (input) => ({
      json: await input.engine.listDecisions(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'run_id'),
        parsePage(input.query),
      ),
    }),
  }),
  route('GET', `${THREAD_RUN}/events`, {
    summary: 'Follow a run from any position in its event log (an extension of this server)',
    query: ['after'],
    returns: { object: 'Event', stream: true },
    handle: async (input) => {
      const { engine, caller } = input;
      const after = lastEventId(input);
      // An unknown run is a 404, not a stream that begins with an error.
      const run = await engine.getRun(caller, idParam(input, 'thread_id'), idParam(input, 'run_id'));
      return {
        run,
        stream: {
          until: 'run',
          ended: isTerminal(run.status),
          subscribe: followRun(input, run, { after }),
        },
      };
    },
  }),
  route('GET', `${THREAD_RUN}/steps`, {
    summary: 'List run steps',
    query: [...PAGE_KEYS, 'include[]'],
    returns: { object: 'RunStep', list: true },
    handle: async (input) => ({
      json: await input.engine.listSteps(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'run_id'),
        parsePage(input.query),
      ),
    }),
  }),
  route('GET', `${THREAD_RUN}/steps/{step_id}`, {
    summary: 'Retrieve a run step',
    query: ['include[]'],
    returns: { object: 'RunStep' },
    handle: async (input) => ({
      json: await input.engine.getStep(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'run_id'),
        idParam(input, 'step_id'),
      ),
    }),
  }),
];
