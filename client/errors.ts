/**
 * What Temporal's client throws → `RunsError`, whose code says who can do something about it.
 *
 * Rule: branch on classes, gRPC codes and failure types, never on text. An error that is not Temporal's comes back
 * as it is: it is a bug, not a state of the world.
 * Imported by the client only.
 */
import {
  isGrpcServiceError,
  NamespaceNotFoundError,
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, ValueError } from '@temporalio/common';
import { RunsError } from '../protocol/index.ts';

/** gRPC status codes that this file tells apart (the wire's own numbers). */
export const GRPC = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** The gRPC status code at the root of an error; undefined = none. */
export const grpcCode = (error: unknown): number | undefined => {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (isGrpcServiceError(at)) return at.code;
  }
  return undefined;
};

/** The failure a worker answered an update with; undefined when the error is something else. */
export const updateFailure = (error: unknown): ApplicationFailure | undefined =>
  error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure
    ? error.cause
    : undefined;

/** True when no worker took the call in time; the call may be repeated. */
export const isNoWorker = (error: unknown): boolean => {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  const code = grpcCode(error);
  // At a call's deadline the server may cut the stream a moment before the client's own clock rings: that comes as cancelled.
  return code === GRPC.deadlineExceeded || code === GRPC.failedPrecondition || code === GRPC.cancelled;
};

export interface ClientErrorContext {
  /** What was tried, as the start of a sentence: "Answering call_1 of run run_1". */
  what: string;
  runId?: string;
  address: string;
  namespace: string;
  taskQueue: string;
  /** A worker had to take part: no reply in time means that no worker is up. */
  awaitsWorker?: boolean;
  /** The caller aborted: only then the call counts as cancelled. */
  givenUp?: boolean;
}

const authHint = (code: number | undefined): string | undefined =>
  code === GRPC.unauthenticated || code === GRPC.permissionDenied
    ? 'Temporal refused the credentials: check TEMPORAL_API_KEY, the TLS certificate or the profile of the config file'
    : undefined;

/** Any error of Temporal's client as a `RunsError`; anything else unchanged. */
export const toRunsError = (error: unknown, context: ClientErrorContext): unknown => {
  if (error instanceof RunsError) return error;
  const { what, runId, address, namespace, taskQueue, awaitsWorker = false, givenUp = false } = context;
  const failure = updateFailure(error);
  if (failure !== undefined) {
    return new RunsError('refused', failure.message, {
      ...(failure.type == null ? {} : { failure: failure.type }),
      details: failure.details?.[0],
      cause: error,
    });
  }
  if (error instanceof NamespaceNotFoundError) {
    return new RunsError(
      'temporal_unavailable',
      `${what} failed: Temporal at ${JSON.stringify(address)} has no namespace ${JSON.stringify(namespace)}. Create it (temporal operator namespace create --namespace ${namespace}) or set TEMPORAL_NAMESPACE.`,
      { cause: error },
    );
  }
  if (error instanceof WorkflowNotFoundError) {
    return new RunsError(
      'run_not_found',
      `${what} failed: there is no live run ${JSON.stringify(runId ?? error.workflowId)} in namespace ${JSON.stringify(namespace)} of Temporal at ${JSON.stringify(address)}. Check the id ("runs list" shows what is there).`,
      { cause: error },
    );
  }
  if (error instanceof ValueError) {
    return new RunsError(
      'config',
      `${what} failed: the worker's payloads can't be decoded here (${error.message}). The worker encodes its payloads: set RUNS_ENCRYPTION_KEYS or RUNS_DATA_CONVERTER, or the client's dataConverter, to the one that the worker uses.`,
      { cause: error },
    );
  }
  const code = grpcCode(error);
  if (givenUp && (code === GRPC.cancelled || error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)) {
    return new RunsError('cancelled', `${what} was aborted by its caller. It is safe to send it again.`, {
      cause: error,
    });
  }
  if (awaitsWorker && isNoWorker(error)) {
    return new RunsError(
      'no_worker',
      `${what} failed: no worker on task queue ${JSON.stringify(taskQueue)} processed it in time. Nothing was lost; start a worker ("runs worker") and send it again.`,
      { cause: error },
    );
  }
  if (code === GRPC.invalidArgument) {
    return new RunsError('invalid_input', `${what} failed: Temporal refused the request: ${text(error)}`, {
      cause: error,
    });
  }
  if (code !== undefined || error instanceof ServiceError) {
    return new RunsError(
      'temporal_unavailable',
      `${what} failed: ${authHint(code) ?? `Temporal at ${JSON.stringify(address)} can't be reached`} (${text(error)}). It is safe to send it again.`,
      { cause: error },
    );
  }
  return error;
};

/** The innermost message: outer ones only say that a call failed. */
const text = (error: unknown): string => {
  let message = String(error);
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    message = at.message || message;
  }
  return message.length > 300 ? `${message.slice(0, 300)}…` : message;
};
