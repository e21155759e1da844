/**
 * Can this shell read what the workers of the namespace write? A worker with a payload codec and a client without it fail
 * at every `show` and `answer`.
 *
 * Rule: read only; one payload of the task queue's latest run is decoded, and nothing of it is printed. Imported by `runs doctor`.
 */
import type { Client } from '@temporalio/client';
import type { LoadedDataConverter, Payload } from '@temporalio/common';
import { chainCodecs } from '../../client/payload-codecs.ts';
import { WORKFLOWS } from '../../protocol/temporal/names.ts';
import { ok, problem, skipped, type Finding } from './check.ts';

const decode = async (converter: LoadedDataConverter, payload: Payload): Promise<unknown> => {
  const [plain = payload] = await chainCodecs(converter.payloadCodecs).decode([payload]);
  return converter.payloadConverter.fromPayload(plain);
};

const fixOf = ({ process, shell }: Converters): string =>
  process !== null && process !== shell
    ? `set RUNS_DATA_CONVERTER=${process} in this shell too: the process of this folder uses it`
    : 'set RUNS_ENCRYPTION_KEYS or RUNS_DATA_CONVERTER to what the workers use, in this shell too';

export interface Converters {
  /** RUNS_DATA_CONVERTER of this shell, or the name RUNS_ENCRYPTION_KEYS where only that is set; null = neither. */
  shell: string | null;
  /** Of the process that runs in this folder; null = none, or no process. */
  process: string | null;
}

export const payloadCheck = async (
  client: Client,
  { namespace, taskQueue }: { namespace: string; taskQueue: string },
  converters: Converters,
): Promise<Finding> => {
  const { workflowService } = client;
  const converter = converters.shell;
  const { executions } = await workflowService.listWorkflowExecutions({
    namespace,
    pageSize: 1,
    query: `WorkflowType = "${WORKFLOWS.run}" AND TaskQueue = ${JSON.stringify(taskQueue)}`,
  });
  const execution = executions[0]?.execution;
  if (execution == null) return skipped('no run is there yet');
  const { history } = await workflowService.getWorkflowExecutionHistory({
    namespace,
    execution,
    maximumPageSize: 1,
  });
  const [input] = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  if (input === undefined) return skipped('the latest run has no input');
  const run = JSON.stringify(execution.workflowId);
  try {
    await decode(client.options.loadedDataConverter, input);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return problem(
      converter === null
        ? `the input of run ${run} can't be decoded here (${why}): its worker encodes payloads, and this shell has no data converter`
        : `the input of run ${run} can't be decoded with ${converter}: ${why}`,
      converter === null ? fixOf(converters) : `${fixOf(converters)}; check its keys`,
    );
  }
  return ok(converter === null ? 'plain JSON, readable here' : `readable with ${converter}`);
};
