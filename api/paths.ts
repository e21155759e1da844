/**
 * Maps request paths to the paths of the route table, and explains a path without a route.
 *
 * Rule: Azure's paths (`/openai/…`, `/openai/v1/…`) and extra slashes find the route of `/v1`; an endpoint of the
 * vendor that this server lacks is named. Pure. Imports protocol only; imported by `app.ts`.
 */
import { ApiError, apiErrors } from '../protocol/errors.ts';
import { shortenText } from '../protocol/rules/validation.ts';
import { INSTEAD_OF_BUILT_IN, INSTEAD_OF_FILES } from './unsupported.ts';

const MODEL = '/v1/models/';

const stripAzurePrefix = (path: string): string => {
  const single = path.includes('//') ? path.replaceAll(/\/{2,}/g, '/') : path;
  const plain = single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single;
  if (!plain.startsWith('/openai/')) return plain;
  return plain.startsWith('/openai/v1/')
    ? plain.slice('/openai'.length)
    : `/v1/${plain.slice('/openai/'.length)}`;
};

/**
 * `/v1/threads/` and `/openai//threads` → `/v1/threads`. The name of a model is one segment: older Python clients send its slashes
 * (`org/name`) as they are. Other paths stay unchanged.
 */
export const canonicalPath = (path: string): string => {
  const plain = stripAzurePrefix(path);
  return plain.startsWith(MODEL) ? `${MODEL}${plain.slice(MODEL.length).replaceAll('/', '%2F')}` : plain;
};

const MODEL_SERVER = 'Send such requests to the model server itself.';

/** Endpoints of the vendor that this server lacks, by the first segment after `/v1`, and what to do instead. */
const NOT_SERVED: Readonly<Record<string, string>> = {
  files: INSTEAD_OF_FILES,
  uploads: INSTEAD_OF_FILES,
  vector_stores: INSTEAD_OF_FILES,
  containers: INSTEAD_OF_BUILT_IN,
  audio: MODEL_SERVER,
  batches: MODEL_SERVER,
  chat: MODEL_SERVER,
  completions: MODEL_SERVER,
  embeddings: MODEL_SERVER,
  fine_tuning: MODEL_SERVER,
  images: MODEL_SERVER,
  moderations: MODEL_SERVER,
  realtime: MODEL_SERVER,
  videos: MODEL_SERVER,
  conversations: 'Create a thread instead.',
  responses: 'Create a thread and a run instead.',
  evals: 'There is no substitute here.',
  organization: 'Keys and tenants are set with RUNS_API_KEYS.',
};

/** The 404 of a path without a route. `isKnown` tells whether the table has a route for a path. */
export const noSuchPath = (method: string, path: string, isKnown: (path: string) => boolean): ApiError => {
  const plain = canonicalPath(path);
  const [first = '', second = ''] = plain.slice(1).split('/');
  const family = first === 'v1' ? second : first;
  const asked = shortenText(path, 1_024);
  if (Object.hasOwn(NOT_SERVED, family))
    return new ApiError(
      404,
      `${method} ${asked} is not supported here: this server has assistants, threads, messages, runs and run steps, and no /v1/${family}. ${NOT_SERVED[family] ?? ''}`,
      { code: 'unsupported_endpoint' },
    );
  // A base URL without `/v1` is the most common mistake.
  if (!plain.startsWith('/v1/') && isKnown(`/v1${plain}`))
    return new ApiError(
      404,
      `Unknown request URL: ${method} ${asked}. Paths begin with /v1 here: set the base URL to end in /v1.`,
      { code: 'unknown_url' },
    );
  return apiErrors.noRoute(method, path);
};
