/**
 * One schedule at the fast level: models of the backends behind the real machine and driver.
 *
 * Rule: the models keep the contract of the backend port and nothing more. Only `test/simulation` and tests import it.
 */
import type { CloseHow, CloseTarget, RunRef } from '../../../protocol/ports/backend.ts';
import { readCreate, readToolCall } from '../../../protocol/temporal/payloads.ts';
import type { CreatePayload, ToolCallPayload } from '../../../protocol/temporal/payloads.ts';
import { ACTIVITIES, TOOL_ACTIVITY_PREFIX } from '../../../protocol/temporal/names.ts';
import { isTerminal } from '../../../protocol/wire/objects.ts';
import type { ToolOutput } from '../../../protocol/wire/objects.ts';
import { drawProfile } from '../faults.ts';
import { bump } from '../ledger.ts';
import type { CallScript } from '../scenario.ts';
import { runStage } from '../stage.ts';
import type { Level, ScheduleOptions, Stage, StageReport } from '../stage.ts';
import { generate } from '../workload.ts';
import { createFastAssistants } from './assistants-backend.ts';
import { createAssistantsServer } from './assistants-server.ts';
import { runAttempt } from './attempt.ts';
import type { Attempt } from './attempt.ts';
import { createFastChat } from './chat-backend.ts';
import { createNativeStore } from './native-store.ts';
import { createFastTools } from './tools.ts';

/** Ticks come after every microtask, and cost a tenth of a turn of the event loop. */
const drain = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

const build = (stage: Stage, mutant: ScheduleOptions['mutant']): Level => {
  const { scenario, clock, faults, ledger, chance, random } = stage;
  const native = scenario.backend === 'chat';
  let attempts = 0;

  const opened = (round: number, calls: readonly CallScript[]): void => {
    ledger.note(`round ${round} is open: ${calls.map(({ callId }) => callId).join(' ')}`);
    stage.people().opened(round, calls);
  };
  const server = createAssistantsServer(scenario, clock, random.fork('server'), {
    opened,
    ended: (run) => ledger.note(`server: ${run.id} ${run.status}`),
    created(run) {
      ledger.note(`server: ${run.id} created`);
      if (scenario.strangerCancels === null) return;
      clock.setTimeout(() => {
        if (isTerminal(run.status)) return;
        faults.count('stranger cancels');
        ledger.note('a stranger cancels at the server');
        server.cancel(run.id);
      }, scenario.strangerCancels);
    },
  });
  const store = createNativeStore(scenario, clock, {
    opened,
    ended: () => ledger.note(`store: ${store.row?.status}`),
    accepted: () => ledger.note('store: outputs accepted'),
  });
  const assistants = createFastAssistants(server);
  const chat = createFastChat(store, scenario);
  const tools = createFastTools(scenario, ledger);
  const threadId = native ? 'thread_native' : scenario.threadGiven ? 'thread_srv0' : null;
  if (scenario.busyMs !== null && threadId !== null) server.occupy(threadId, scenario.busyMs);

  const implementation = (a: Attempt): Promise<unknown> => {
    const { type, input } = a.activity;
    if (type.startsWith(TOOL_ACTIVITY_PREFIX))
      return tools.runTool(
        a,
        readToolCall(input as ToolCallPayload, {
          workflowId: scenario.runId,
          tool: type.slice(TOOL_ACTIVITY_PREFIX.length),
          endsBy: null,
        }),
      );
    const given = input as {
      request: CreatePayload;
      run: RunRef;
      outputs: ToolOutput[];
      target: CloseTarget;
      how: CloseHow;
    };
    switch (type) {
      case ACTIVITIES.createThread:
        return assistants.createThread(a);
      case ACTIVITIES.createRun:
        return native ? chat.create(a) : assistants.create(a, readCreate(given.request, scenario.runId));
      case ACTIVITIES.submitToolOutputs:
        return native ? chat.submit(a, given.outputs) : assistants.submit(a, given.run, given.outputs);
      case ACTIVITIES.followRun:
        return native ? chat.follow(a) : assistants.follow(a, given.run);
      case ACTIVITIES.closeRun:
        return native ? chat.close(a, given.how) : assistants.close(a, given.target, given.how);
      case ACTIVITIES.recordAnswers:
        return chat.recordAnswers(a, given.outputs);
      case ACTIVITIES.recordDecisions:
        return chat.recordDecisions(a);
      default:
        return tools.runHook(a);
    }
  };

  return {
    beats: false,
    threadId,
    drain,
    attempts: () => attempts,
    died: () => undefined,
    inspect: () => undefined,
    rowExpiry: () => store.row?.expiresAt ?? null,
    markCancelling: () => store.markCancelling(),
    truth: () =>
      native
        ? store.row === null
          ? []
          : [
              {
                id: store.row.runId,
                status: store.row.status,
                accepted: store.row.accepted,
                life: { endedAt: store.row.endedAt, expiresAt: store.row.expiresAt },
              },
            ]
        : server.runs.flatMap(({ id, token, status, accepted }) =>
            token === null ? [] : [{ id, status, accepted }],
          ),
    attempt: (activity, worker, turn) =>
      runAttempt(
        activity,
        worker,
        turn,
        {
          clock,
          random: chance,
          faults,
          arrived(route, a) {
            bump(ledger.requests, route);
            if (route === 'create' && a.unfenced) ledger.unfencedCreates += 1;
          },
        },
        (a) => {
          attempts += 1;
          return mutant?.attempt === undefined
            ? implementation(a)
            : mutant.attempt(a, implementation, { server, store, runId: scenario.runId });
        },
      ),
    people: {
      submitted(outputs) {
        if (!native || scenario.apiWritesMs === null) return;
        clock.setTimeout(() => {
          try {
            store.accept(outputs, 'api');
          } catch (error) {
            // The workflow has said yes to exactly these outputs.
            ledger.violate('I2', `the API could not write outputs that were accepted: ${String(error)}`);
          }
        }, scenario.apiWritesMs);
      },
      stranger(round, calls) {
        const run = server.runs.find((item) => item.token !== null);
        if (native || run?.status !== 'requires_action' || run.round !== round - 1) return;
        faults.count('stranger submits');
        ledger.note('a stranger submits at the server');
        server.submit(
          run.id,
          calls.map(({ callId }) => ({ tool_call_id: callId, output: `stranger:${callId}` })),
          'stranger',
        );
      },
    },
  };
};

/** Runs the schedule of a seed at the fast level. */
export const runFast = (seed: number, options: ScheduleOptions = {}): Promise<StageReport> =>
  runStage(
    seed,
    options,
    (from, random) => {
      const scenario = generate(from, random.fork('scenario'));
      return { scenario, profile: drawProfile(random.fork('profile'), scenario.aim) };
    },
    (stage) => build(stage, options.mutant),
  );
