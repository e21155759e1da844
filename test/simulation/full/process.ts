/**
 * The memory of a worker process at the full level, and the checks that all processes share.
 *
 * Rule: a process's memory dies with it. Secrets are planted in the same places as in production, and searched in all
 * records: logs, inputs, failures. Only `test/simulation/full` imports it.
 */
import type { ActivityDeps, createActivities } from '../../../activities/index.ts';
import type { Logger } from '../../../protocol/ports/backend.ts';
import type { Ledger } from '../ledger.ts';
import type { Scenario } from '../scenario.ts';
import type { Worker } from '../temporal/worker.ts';
import type { Broken } from './broken.ts';
import type { SimDispatcher } from './dispatcher.ts';

export interface Process {
  dispatcher: SimDispatcher;
  activities: ReturnType<typeof createActivities>;
}

export interface Processes {
  of(worker: Worker): Process;
  died(worker: Worker): void;
  /** Of the processes that live. */
  openConnections(): number;
}

export const createProcesses = (start: (worker: Worker) => Process): Processes => {
  const alive = new Map<number, Process>();
  return {
    of(worker) {
      const known = alive.get(worker.id);
      if (known !== undefined) return known;
      const started = start(worker);
      alive.set(worker.id, started);
      return started;
    },
    died(worker) {
      alive.get(worker.id)?.dispatcher.die();
      alive.delete(worker.id);
    },
    openConnections: () => [...alive.values()].reduce((sum, { dispatcher }) => sum + dispatcher.open, 0),
  };
};

export const createHooks = (scenario: Scenario): NonNullable<ActivityDeps['hooks']> => {
  let failures = scenario.hookFailures;
  const hook = async (): Promise<void> => {
    await new Promise((resolve) => {
      setTimeout(resolve, scenario.hookMs);
    });
    failures -= 1;
    if (failures >= 0) throw new Error('the hook failed');
  };
  return { onWaiting: hook, onEnd: hook };
};

/** What people and tools say; none of it belongs into a log. */
const SPOKEN = ['canary-arguments', 'out:call_', 'tool:call_'];

export interface Watch {
  key: string;
  log: Logger;
  /** Something goes into history. */
  saw(kept: unknown): void;
  inspect(): void;
}

export const createWatch = (key: string, ledger: Ledger, broken: Broken): Watch => {
  const logged: string[] = [];
  const kept: string[] = [];
  const line = (fields: Record<string, unknown>, given: string): void => {
    const message = broken.logged?.(given, key) ?? given;
    logged.push(`${message} ${JSON.stringify(fields)}`);
    ledger.note(`log: ${message} ${JSON.stringify(fields)}`);
  };
  return {
    key,
    log: { debug: line, info: line, warn: line, error: line },
    saw: (what) => void kept.push(JSON.stringify(what) ?? ''),
    inspect() {
      const leaked = [...logged, ...kept].find((text) => text.includes(key));
      if (leaked !== undefined) ledger.violate('I10', `the API key is in ${leaked.slice(0, 200)}`);
      for (const secret of SPOKEN) {
        const told = logged.find((text) => text.includes(secret));
        if (told !== undefined) ledger.violate('I10', `a log line repeats ${secret}: ${told.slice(0, 200)}`);
      }
      if (JSON.stringify(ledger.result ?? '').includes(key))
        ledger.violate('I10', 'the API key is in the result');
    },
  };
};
