/**
 * Workflow code in a worker's cache: takes the jobs of a workflow task, gives commands and update verdicts.
 *
 * Rule: everything it knows came in by jobs, so feeding the recorded ones to a new instance must give the recorded
 * commands again. Signals and updates come before results within a task, as the SDK orders them; promises settle after
 * all jobs were handed in. Only `test/simulation` imports it.
 */
import { cancelledFailure, SimFailure } from './types.ts';
import type { Command, Job, Pending, UpdateVerdict, WorkflowCode, WorkflowContext } from './types.ts';

export interface Activation {
  at: number;
  historyEvents: number;
  jobs: Job[];
}

export interface Outcome {
  commands: Command[];
  verdicts: UpdateVerdict[];
}

export interface Instance {
  activate(activation: Activation, settle: () => Promise<void>): Promise<Outcome>;
}

interface Waiter {
  resolve(value: unknown): void;
  reject(failure: SimFailure): void;
  cancellation: 'try' | 'wait' | 'abandon';
}

export const createInstance = (code: WorkflowCode, carried: unknown): Instance => {
  const waiters = new Map<number, Waiter>();
  let at = 0;
  let events = 0;
  let seq = 0;
  let commands: Command[] = [];
  let broken: unknown = null;
  let closed = false;

  const waiting = (cancellation: Waiter['cancellation']): { seq: number; promise: Promise<unknown> } => {
    seq += 1;
    const number = seq;
    const promise = new Promise<unknown>((resolve, reject) => {
      waiters.set(number, { resolve, reject, cancellation });
    });
    return { seq: number, promise };
  };
  const command = (added: Command): void => {
    if (!closed) commands.push(added);
  };

  const context: WorkflowContext = {
    now: () => at,
    historyEvents: () => events,
    activity(asked) {
      const { seq: number, promise } = waiting(asked.options.cancellation);
      command({ kind: 'activity', seq: number, ...asked });
      return {
        promise,
        cancel() {
          const waiter = waiters.get(number);
          if (waiter === undefined) return;
          if (waiter.cancellation !== 'abandon') command({ kind: 'cancelActivity', seq: number });
          if (waiter.cancellation === 'wait') return;
          waiters.delete(number);
          waiter.reject(cancelledFailure());
        },
      };
    },
    timer(due) {
      const { seq: number, promise } = waiting('try');
      command({ kind: 'timer', seq: number, at: due });
      return {
        promise: promise as Promise<void>,
        cancel() {
          const waiter = waiters.get(number);
          if (waiter === undefined) return;
          waiters.delete(number);
          command({ kind: 'cancelTimer', seq: number });
          waiter.reject(cancelledFailure());
        },
      };
    },
    startChild(workflowId, input): Pending<void> {
      const { seq: number, promise } = waiting('abandon');
      command({ kind: 'child', seq: number, workflowId, input });
      return { promise: promise as Promise<void>, cancel: () => undefined };
    },
    upsert: (text) => command({ kind: 'upsert', text }),
    complete(result, cancelled) {
      command({ kind: 'complete', result, cancelled });
      closed = true;
    },
    continueAsNew(state) {
      command({ kind: 'continueAsNew', carried: state });
      closed = true;
    },
    fail(error) {
      broken ??= error;
    },
  };
  const logic = code(context, carried);

  const updated = (job: Extract<Job, { kind: 'update' }>): UpdateVerdict => {
    try {
      logic.validate(job.name, job.payload);
      return { id: job.id, accepted: true, reply: logic.update(job.name, job.payload) };
    } catch (error) {
      if (error instanceof SimFailure) return { id: job.id, accepted: false, failure: error };
      throw error;
    }
  };

  return {
    async activate(activation, settle) {
      at = activation.at;
      events = activation.historyEvents;
      commands = [];
      const verdicts: UpdateVerdict[] = [];
      for (const job of activation.jobs) {
        switch (job.kind) {
          case 'init':
            logic.start();
            break;
          case 'signal':
            logic.signal(job.payload);
            break;
          case 'update':
            verdicts.push(updated(job));
            break;
          case 'cancel':
            logic.cancel();
            break;
          case 'timerFired':
          case 'resolved': {
            const waiter = waiters.get(job.seq);
            waiters.delete(job.seq);
            waiter?.resolve(job.kind === 'resolved' ? job.value : undefined);
            break;
          }
          case 'rejected': {
            const waiter = waiters.get(job.seq);
            waiters.delete(job.seq);
            waiter?.reject(job.failure);
            break;
          }
        }
      }
      await settle();
      if (broken !== null) throw broken;
      return { commands, verdicts };
    },
  };
};

/** A command in a few characters: what a replay must give again. */
export const commandText = (command: Command): string => {
  switch (command.kind) {
    case 'activity':
      return `activity ${command.seq} ${command.type}`;
    case 'cancelActivity':
    case 'cancelTimer':
      return `${command.kind} ${command.seq}`;
    case 'timer':
      return `timer ${command.seq} ${command.at}`;
    case 'child':
      return `child ${command.seq} ${command.workflowId}`;
    case 'upsert':
      return `upsert ${command.text}`;
    case 'complete':
      return `complete ${command.cancelled ? 'cancelled' : 'ok'}`;
    default:
      return 'continueAsNew';
  }
};
