/**
 * What the operations of the service share: store, workflows, clock, limits.
 * Imported within `service/` only.
 */
import { createHash } from 'node:crypto';
import type { Logger } from '../protocol/ports/backend.ts';
import type { Store } from '../protocol/ports/run-store.ts';
import type { AssertBudgetLeft } from './day-budget.ts';
import type { BlindModel } from './image-support.ts';
import type { createQuotas } from './quotas.ts';
import type { Workflows } from './run-workflows.ts';

export interface ServiceContext {
  store: Store;
  workflows: Workflows;
  quotas: ReturnType<typeof createQuotas>;
  /** Before a run is created. */
  assertBudgetLeft: AssertBudgetLeft;
  now: () => number;
  blindModel: BlindModel;
  /** How long a submit or an answer waits for a worker, in milliseconds. */
  workerTimeoutMs: number;
  log: Logger | undefined;
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
