/**
 * The sink of workflow traces where nothing is exported.
 *
 * Rule: a worker always has the sink, since the SDK reports each call to one that is missing as an error.
 * Imports names only. Imported by `worker/worker.ts` and the replayer.
 */
import type { InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import { TRACE_SINK } from '../../protocol/temporal/trace-carrier.ts';

export const noTraceSinks: InjectedSinks<Sinks> = {
  [TRACE_SINK]: { ended: { fn: () => undefined, callDuringReplay: false } },
};
