/**
 * The simulated Temporal server for one workflow id: workflow tasks, history, timers, activities, messages, continue-
 * as-new, and its workers.
 *
 * Rule: records survive everything; a worker's memory does not. A lost workflow task is scheduled again, code is
 * rebuilt by replay of the recorded tasks, and different commands are a violation. A task that would close the
 * execution is repeated when a new event has arrived, as on the real server. Only `test/simulation` imports it.
 */
import { createActivity } from './activity.ts';
import type { Activity, ActivityResult } from './activity.ts';
import { commandText, createInstance } from './instance.ts';
import type { Activation, Instance, Outcome } from './instance.ts';
import { applicationFailure } from './types.ts';
import type { Command, Job, SimClock, SimFailure, WorkflowCode } from './types.ts';
import type { Worker } from './worker.ts';

export type UpdateOutcome =
  | { kind: 'accepted'; reply: unknown }
  | { kind: 'refused'; failure: SimFailure }
  /** The workflow ended before it took the update. */
  | { kind: 'gone' };

export interface Chance {
  /** Do attempts show signs of life one by one? */
  beats: boolean;
  /** Milliseconds from an event to the workflow task that carries it. */
  taskDelay(): number;
  /** Milliseconds from commands to their being recorded. */
  reportDelay(): number;
  /** Milliseconds from a task in the queue to its attempt on a worker. */
  pickup(): number;
  /** Drop the cached instance before this task. */
  evict(): boolean;
  /** The worker that gets it. */
  worker(): Worker | null;
  child(): { afterMs: number; ok: boolean };
}

export interface ServerEvents {
  recorded(activation: Activation, commands: readonly Command[]): void;
  ended(result: unknown, cancelled: boolean): void;
  violation(invariant: string, message: string): void;
  note(what: string): void;
  childStarted(workflowId: string, input: unknown): void;
  settle(): Promise<void>;
  /** Runs an attempt on a worker. */
  attempt(activity: Activity, worker: Worker, turn: { attempt: number; details: unknown }): void;
  /** Work that the schedule has to wait for before time goes on. */
  busy(work: Promise<void>): void;
}

interface Recorded {
  activation: Activation;
  commands: string[];
}

interface Waiting {
  id: string;
  name: string;
  payload: unknown;
  waiters: ((outcome: UpdateOutcome) => void)[];
}

/** Messages come before results in a task. */
const said = (job: Job): boolean => job.kind === 'init' || job.kind === 'signal' || job.kind === 'cancel';

const WORKFLOW_TASK_TIMEOUT_MS = 10_000;

export interface Server {
  start(): void;
  signal(payload: unknown): boolean;
  update(id: string, name: string, payload: unknown, hear: (outcome: UpdateOutcome) => void): void;
  cancel(): boolean;
  /** All workers, or one of them, are there again. */
  workerReady(): void;
  workerDied(worker: Worker): void;
  evict(): void;
  readonly closed: boolean;
  readonly executions: number;
  /** History events of all executions. */
  readonly events: number;
  readonly tasks: number;
  /** Replays every recorded task of the current execution into a new instance. */
  replay(): Promise<void>;
  openActivities(): Activity[];
  openTimers(): number;
}

export const createServer = (
  code: WorkflowCode,
  clock: SimClock,
  chance: Chance,
  on: ServerEvents,
): Server => {
  let carried: unknown = null;
  let executions = 0;
  let history: Recorded[] = [];
  let executionEvents = 0;
  let events = 0;
  let tasks = 0;
  let inbox: Job[] = [];
  let updates: Waiting[] = [];
  /** Updates of this execution that were accepted, by id: a repeat gets the first reply. */
  let replies = new Map<string, unknown>();
  let instance: Instance | null = null;
  let home: Worker | null = null;
  let taskPlanned = false;
  let taskToken = 0;
  let inTask = false;
  let closed = false;
  let activities = new Map<number, Activity>();
  let timers = new Map<number, () => void>();
  const queue: Activity[] = [];

  const count = (added: number): void => {
    executionEvents += added;
    events += added;
  };

  const plan = (delay = chance.taskDelay()): void => {
    if (taskPlanned || inTask || closed || (inbox.length === 0 && updates.length === 0)) return;
    taskPlanned = true;
    clock.setTimeout(() => {
      taskPlanned = false;
      on.busy(run());
    }, delay);
  };
  const add = (job: Job, recordedEvents: number): void => {
    if (closed) return;
    inbox.push(job);
    count(recordedEvents);
    plan();
  };

  const forget = (): void => {
    instance = null;
    home = null;
  };

  const rebuilt = async (): Promise<Instance> => {
    const fresh = createInstance(code, carried);
    for (const [index, { activation, commands }] of history.entries()) {
      const again = (await fresh.activate(activation, () => on.settle())).commands.map(commandText);
      if (again.length !== commands.length || again.some((text, at) => text !== commands[at]))
        on.violation(
          'I7',
          `replaying workflow task ${index + 1} gave [${again.join('; ')}], recorded was [${commands.join('; ')}]`,
        );
    }
    return fresh;
  };

  /** Hands out a workflow task. */
  const run = async (): Promise<void> => {
    if (closed || inTask || (inbox.length === 0 && updates.length === 0)) return;
    const worker = home?.up === true && !home.frozen && !home.cutOff ? home : chance.worker();
    if (worker === null) return;
    if (worker !== home || chance.evict()) {
      if (instance !== null) on.note('workflow evicted');
      forget();
    }
    inTask = true;
    taskToken += 1;
    const token = taskToken;
    const jobs = inbox;
    const asked = updates;
    inbox = [];
    updates = [];
    const activation: Activation = {
      at: clock.now(),
      historyEvents: executionEvents + 2,
      jobs: [
        ...jobs.filter(said),
        ...asked.map(({ id, name, payload }): Job => ({ kind: 'update', id, name, payload })),
        ...jobs.filter((job) => !said(job)),
      ],
    };
    /** The task was lost or refused: everything it carried comes again. */
    const giveBack = (): void => {
      if (token !== taskToken) return;
      inTask = false;
      inbox = [...jobs, ...inbox];
      updates = [...asked, ...updates];
      forget();
      count(3);
      plan();
    };
    const expire = clock.setTimeout(() => {
      on.note('workflow task lost');
      giveBack();
    }, WORKFLOW_TASK_TIMEOUT_MS);
    home = worker;
    let outcome: Outcome;
    try {
      const current = instance ?? (await rebuilt());
      instance = current;
      outcome = await current.activate(activation, () => on.settle());
    } catch (error) {
      expire();
      on.violation(
        'task',
        `the workflow task failed: ${error instanceof Error ? error.stack : String(error)}`,
      );
      closed = true;
      return;
    }
    worker.later(chance.reportDelay(), () =>
      worker.whenHeard(() => {
        if (token !== taskToken || !inTask || closed) return;
        expire();
        const closing = outcome.commands.some(({ kind }) => kind === 'complete' || kind === 'continueAsNew');
        if (closing && inbox.length > 0) {
          on.note('closing task redone');
          return giveBack();
        }
        inTask = false;
        record(activation, outcome, asked);
      }),
    );
  };

  const record = (
    activation: Activation,
    { commands, verdicts }: Outcome,
    asked: readonly Waiting[],
  ): void => {
    const accepted = new Set(verdicts.flatMap((verdict) => (verdict.accepted ? [verdict.id] : [])));
    // A task that only refused updates leaves nothing behind.
    const jobs = activation.jobs.filter((job) => job.kind !== 'update' || accepted.has(job.id));
    const kept: Activation = { ...activation, jobs };
    if (jobs.length > 0 || commands.length > 0) {
      tasks += 1;
      count(3 + 2 * accepted.size);
      history.push({ activation: kept, commands: commands.map(commandText) });
      on.recorded(kept, commands);
    }
    for (const verdict of verdicts) {
      const heard = asked.find(({ id }) => id === verdict.id)?.waiters ?? [];
      if (verdict.accepted) {
        replies.set(verdict.id, verdict.reply);
        for (const hear of heard) hear({ kind: 'accepted', reply: verdict.reply });
      } else for (const hear of heard) hear({ kind: 'refused', failure: verdict.failure });
    }
    for (const command of commands) runEffect(command);
    plan();
  };

  const endExecution = (): void => {
    for (const off of timers.values()) off();
    timers = new Map();
    for (const activity of activities.values()) activity.drop();
    activities = new Map();
    queue.length = 0;
    forget();
  };

  const activityEnded = (seq: number, from: Map<number, Activity>, result: ActivityResult): void => {
    if (from !== activities) return;
    activities.delete(seq);
    add(
      result.ok
        ? { kind: 'resolved', seq, value: result.value }
        : { kind: 'rejected', seq, failure: result.failure },
      // Started and ended; the scheduling was counted with its command.
      2,
    );
  };

  const runEffect = (command: Command): void => {
    switch (command.kind) {
      case 'activity': {
        count(1);
        const owner = activities;
        activities.set(
          command.seq,
          createActivity(command.seq, command, {
            clock,
            enqueue(activity) {
              queue.push(activity);
              clock.setTimeout(handOut, chance.pickup());
            },
            ended: (_activity, result) => activityEnded(command.seq, owner, result),
            note: (what) => on.note(what),
            beats: chance.beats,
          }),
        );
        return;
      }
      case 'cancelActivity':
        count(1);
        activities.get(command.seq)?.requestCancel();
        return;
      case 'timer': {
        count(1);
        timers.set(
          command.seq,
          clock.setTimeout(
            () => {
              timers.delete(command.seq);
              add({ kind: 'timerFired', seq: command.seq }, 1);
            },
            Math.max(1, command.at - clock.now()),
          ),
        );
        return;
      }
      case 'cancelTimer':
        count(1);
        timers.get(command.seq)?.();
        timers.delete(command.seq);
        return;
      case 'child': {
        count(2);
        const { afterMs, ok } = chance.child();
        const owner = activities;
        clock.setTimeout(() => {
          if (owner !== activities) return;
          if (ok) on.childStarted(command.workflowId, command.input);
          add(
            ok
              ? { kind: 'resolved', seq: command.seq, value: undefined }
              : { kind: 'rejected', seq: command.seq, failure: applicationFailure('ChildStart', 'no child') },
            0,
          );
        }, afterMs);
        return;
      }
      case 'upsert':
        count(1);
        return;
      case 'complete': {
        count(1);
        endExecution();
        closed = true;
        const late = updates;
        updates = [];
        on.ended(command.result, command.cancelled);
        for (const { waiters } of late) for (const hear of waiters) hear({ kind: 'gone' });
        return;
      }
      case 'continueAsNew':
        count(1);
        endExecution();
        begin(command.carried);
        return;
    }
  };

  /** Gives queued attempts to workers, one each. */
  const handOut = (): void => {
    while (queue.length > 0) {
      const worker = chance.worker();
      if (worker === null) return;
      const activity = queue.shift();
      const turn = activity?.begin() ?? null;
      if (activity !== undefined && turn !== null) on.attempt(activity, worker, turn);
    }
  };

  const begin = (state: unknown): void => {
    carried = state;
    executions += 1;
    executionEvents = 0;
    history = [];
    replies = new Map();
    count(1);
    inbox.unshift({ kind: 'init' });
    plan();
  };

  return {
    start: () => begin(null),
    signal(payload) {
      if (closed) return false;
      add({ kind: 'signal', payload }, 1);
      return true;
    },
    update(id, name, payload, hear) {
      if (closed) return hear({ kind: 'gone' });
      if (replies.has(id)) {
        on.note('update deduplicated');
        return hear({ kind: 'accepted', reply: replies.get(id) });
      }
      const same = updates.find((waiting) => waiting.id === id);
      if (same !== undefined) {
        same.waiters.push(hear);
        return;
      }
      updates.push({ id, name, payload, waiters: [hear] });
      plan();
    },
    cancel() {
      if (closed) return false;
      add({ kind: 'cancel' }, 1);
      return true;
    },
    workerReady() {
      handOut();
      plan(0);
    },
    workerDied(worker) {
      if (home === worker) forget();
    },
    evict: forget,
    get closed() {
      return closed;
    },
    get executions() {
      return executions;
    },
    get events() {
      return events;
    },
    get tasks() {
      return tasks;
    },
    async replay() {
      if (history.length > 0) await rebuilt();
    },
    openActivities: () => [...activities.values()],
    openTimers: () => timers.size,
  };
};
