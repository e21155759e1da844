/**
 * One cheap request that proves address and key, and an error for each problem.
 *
 * Rule: a wrong key, a wrong path, no listener and another kind of server are different errors. Imports the API.
 * index.ts imports it.
 */
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { asRecord, HttpFailure, toBackendError } from '../http/index.ts';
import type { AssistantsApi } from './api.ts';

const notFound = (origin: string): BackendError =>
  new BackendError(
    FAILURES.backendNotFound,
    `${origin} answers, but has no /assistants below the base URL (HTTP 404). Check the path of the base URL: most servers need a version in it, such as "/v1".`,
  );

export const probe = async (api: AssistantsApi, signal: AbortSignal): Promise<{ detail: string }> => {
  let body: unknown;
  try {
    ({ body } = await api.listAssistants(signal));
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error;
    if (error.status === 404) throw notFound(api.origin);
    throw toBackendError(error, { now: Date.now(), attempt: 1 });
  }
  const list = asRecord(body);
  if (!Array.isArray(list?.['data']))
    throw new BackendError(
      FAILURES.backendUnsupported,
      `${api.origin} answers GET /assistants with JSON that is not a list. Check that the base URL is that of an Assistants-compatible server.`,
    );
  return { detail: `${api.origin} answers GET /assistants with a list; the key is accepted` };
};
