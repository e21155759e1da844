/**
 * Checks of Temporal: server, namespace, search attributes, and the task queue (queue-checks.ts).
 *
 * Rule: read only, unless `fix` was asked for; then only what is missing is created. Imported by `runs doctor`.
 */
import {
  checkSearchAttributes,
  ensureSearchAttributes,
  registerCommand,
  type SearchAttributeState,
} from '../../client/index.ts';
import { toNumber } from '../output/pending-activities.ts';
import { ok, problem, type Check, type Finding } from './check.ts';
import { payloadCheck } from './payload-check.ts';
import { queueChecks, type QueueGround } from './queue-checks.ts';

export interface TemporalGround extends QueueGround {
  address: string;
  fix: boolean;
  /** What decodes payloads in this shell, as `Converters.shell`. */
  dataConverter: string | null;
  /** That of the process which runs here; null = none, or no process. */
  processConverter: string | null;
}

export const temporalChecks = (ground: TemporalGround): Check[] => [
  { name: 'temporal', needs: [], run: () => serverCheck(ground) },
  { name: 'namespace', needs: ['temporal'], run: () => namespaceCheck(ground) },
  { name: 'search-attributes', needs: ['namespace'], run: () => attributesCheck(ground) },
  ...queueChecks(ground),
  {
    name: 'payloads',
    needs: ['namespace'],
    run: async () =>
      payloadCheck((await ground.runs()).temporal, ground, {
        shell: ground.dataConverter,
        process: ground.processConverter,
      }),
  },
];

const serverCheck = async ({ runs, address }: TemporalGround): Promise<Finding> => {
  const { workflowService } = (await runs()).temporal;
  const info = await workflowService.getSystemInfo({});
  return ok(`${address}, server ${info.serverVersion ?? 'of unknown version'}`);
};

const namespaceCheck = async ({ runs, address, namespace }: TemporalGround): Promise<Finding> => {
  const { workflowService } = (await runs()).temporal;
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
  const { runs, namespace, fix } = ground;
  const { connection } = (await runs()).temporal;
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
      `if no other program uses it, remove it: temporal operator search-attribute remove --namespace ${namespace} --name ${wrong.name} --address ${address}; then runs doctor --fix`,
    );
  if (state.missing.length === 0)
    return problem(
      state.problem ?? 'Temporal did not say which search attributes are registered',
      'ask the operator of this Temporal server',
    );
  return problem(
    `missing: ${state.missing.join(', ')}. Runs work without them, but lists can't filter by the calls that runs wait for${
      state.problem === null ? '' : ` (${state.problem})`
    }`,
    `runs doctor --fix, or: ${registerCommand(state.missing, namespace)} --address ${address}`,
  );
};

const reason = (error: unknown): string =>
  error instanceof Error
    ? (error.cause instanceof Error ? error.cause.message : '') || error.message
    : String(error);
