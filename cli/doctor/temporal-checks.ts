/**
 * Checks of Temporal: server, namespace, search attributes, and whether a worker polls the task queue.
 *
 * Rule: read only, unless `fix` was asked for; then only what is missing is created. Imported by `runs doctor`.
 */
import type { Client } from '@temporalio/client';
import {
  checkSearchAttributes,
  ensureSearchAttributes,
  registerCommand,
  type SearchAttributeState,
} from '../../client/index.ts';
import { toNumber } from '../output/pending-activities.ts';
import { ok, problem, type Check, type Finding } from './check.ts';
import { payloadCheck } from './payload-check.ts';

export interface TemporalGround {
  /** Connects on first use; the error says what to do. */
  client: () => Promise<Client>;
  address: string;
  namespace: string;
  taskQueue: string;
  fix: boolean;
  /** RUNS_DATA_CONVERTER; null = none. */
  dataConverter: string | null;
}

export const temporalChecks = (ground: TemporalGround): Check[] => [
  { name: 'temporal', needs: [], run: () => serverCheck(ground) },
  { name: 'namespace', needs: ['temporal'], run: () => namespaceCheck(ground) },
  { name: 'search-attributes', needs: ['namespace'], run: () => attributesCheck(ground) },
  { name: 'worker', needs: ['namespace'], run: () => workerCheck(ground) },
  {
    name: 'payloads',
    needs: ['namespace'],
    run: async () => payloadCheck(await ground.client(), ground.namespace, ground.dataConverter),
  },
];

const serverCheck = async ({ client, address }: TemporalGround): Promise<Finding> => {
  const { workflowService } = await client();
  const info = await workflowService.getSystemInfo({});
  return ok(`${address}, server ${info.serverVersion ?? 'of unknown version'}`);
};

const namespaceCheck = async ({ client, address, namespace }: TemporalGround): Promise<Finding> => {
  const { workflowService } = await client();
  try {
    const reply = await workflowService.describeNamespace({ namespace });
    const seconds = toNumber(reply.config?.workflowExecutionRetentionTtl?.seconds);
    const kept = seconds > 0 ? `, ended runs are kept for ${Math.round(seconds / 3_600)} h` : '';
    return ok(`${JSON.stringify(namespace)}${kept}`);
  } catch (error) {
    return problem(
      `Temporal at ${JSON.stringify(address)} does not show namespace ${JSON.stringify(namespace)}: ${reason(error)}`,
      `temporal operator namespace create --namespace ${namespace} --address ${address}, or set TEMPORAL_NAMESPACE`,
    );
  }
};

const attributesCheck = async (ground: TemporalGround): Promise<Finding> => {
  const { client, namespace, fix } = ground;
  const { connection } = await client();
  const before = await checkSearchAttributes(connection, namespace);
  if (before.available) return ok('all there');
  if (!fix) return attributesProblem(before, ground);
  const after = await ensureSearchAttributes(connection, namespace);
  return after.available ? ok(`created ${before.missing.join(', ')}`) : attributesProblem(after, ground);
};

const attributesProblem = (state: SearchAttributeState, { namespace, address }: TemporalGround): Finding => {
  const [wrong] = state.mistyped;
  if (wrong !== undefined)
    return problem(
      `${wrong.name} is registered as ${wrong.type}, it must be ${wrong.wanted}`,
      `remove it if nobody else uses it: temporal operator search-attribute remove --namespace ${namespace} --name ${wrong.name} --address ${address}; then runs doctor --fix`,
    );
  if (state.missing.length === 0)
    return problem(
      state.problem ?? 'it is not known which search attributes are registered',
      'ask the operator of this Temporal server',
    );
  return problem(
    `missing: ${state.missing.join(', ')}. Runs work without them, but can't be found by who they wait for${
      state.problem === null ? '' : ` (${state.problem})`
    }`,
    `runs doctor --fix, or: ${registerCommand(state.missing, namespace)} --address ${address}`,
  );
};

/** Temporal remembers a poller for five minutes after its last poll. */
const RECENT_MS = 70_000;

/** The wire's numbers for the workflow and the activity side of a queue; the SDK exports no names for them. */
const QUEUE_SIDES: readonly Record<string, number>[] = [{ taskQueueType: 1 }, { taskQueueType: 2 }];

const workerCheck = async ({ client, namespace, taskQueue }: TemporalGround): Promise<Finding> => {
  const { workflowService } = await client();
  const counts = await Promise.all(
    QUEUE_SIDES.map(async (side) => {
      const reply = await workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: taskQueue },
        ...side,
      });
      const recent = (reply.pollers ?? []).filter(
        (poller) => Date.now() - toNumber(poller.lastAccessTime?.seconds) * 1_000 < RECENT_MS,
      );
      return recent.map((poller) => poller.identity ?? '?');
    }),
  );
  const [workflows = [], activities = []] = counts;
  if (workflows.length > 0 && activities.length > 0)
    return ok(`${workflows.length} on task queue ${JSON.stringify(taskQueue)} (${workflows.join(', ')})`);
  return problem(
    workflows.length === 0 && activities.length === 0
      ? `no worker polls task queue ${JSON.stringify(taskQueue)}: runs wait until one does`
      : `only ${workflows.length > 0 ? 'workflows' : 'activities'} are polled on task queue ${JSON.stringify(taskQueue)}`,
    'start one with "runs worker", with the same RUNS_TASK_QUEUE and TEMPORAL_NAMESPACE',
  );
};

const reason = (error: unknown): string =>
  error instanceof Error
    ? (error.cause instanceof Error ? error.cause.message : '') || error.message
    : String(error);
