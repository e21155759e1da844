/**
 * The cheapest requests that prove address and key, and errors for a base URL without chat completions.
 *
 * Rule: it requires only what a turn needs. `GET /models` is optional: without it, the probe sends chat completions
 * with an empty body, which every server refuses before it generates. If the base URL has neither, it tries the same
 * below `/v1`. Imported by `index.ts`.
 */
import { ModelError } from '../../../protocol/ports/model.ts';
import { asRecord, HttpFailure, type HttpClient } from '../../http/index.ts';
import { ofTransport } from './answer.ts';

/** Statuses by which a server says that it has no such route. */
const NO_ROUTE: ReadonlySet<number> = new Set([404, 405, 501]);
/** Code of the error for a base URL that lacks its version path. */
export const BASE_URL_LACKS_VERSION = 'base_url_lacks_version';

/** `unsure`: something answers, and does not show that it is chat completions. */
type Found = 'yes' | 'no' | 'unsure';

const MODELS_SHOWN = 5;

const answersNoJson = (error: unknown): boolean => error instanceof HttpFailure && error.kind === 'bad_body';
const hasNoRoute = (error: unknown): boolean =>
  error instanceof HttpFailure && error.status !== null && NO_ROUTE.has(error.status);

/** Names of the first models; null = there is no list of models. */
const listModels = async (
  http: HttpClient,
  prefix: readonly string[],
  signal: AbortSignal,
): Promise<string[] | null> => {
  try {
    const { body } = await http.json({
      method: 'GET',
      path: [...prefix, 'models'],
      route: '/models',
      signal,
    });
    const models = asRecord(body)?.['data'];
    if (!Array.isArray(models)) return null;
    const names = models.map((model) => asRecord(model)?.['id']);
    return names.filter((name) => typeof name === 'string').slice(0, MODELS_SHOWN);
  } catch (error) {
    if (hasNoRoute(error) || answersNoJson(error)) return null;
    throw error;
  }
};

const takesCompletions = async (
  http: HttpClient,
  prefix: readonly string[],
  signal: AbortSignal,
): Promise<Found> => {
  try {
    await http.json({
      method: 'POST',
      path: [...prefix, 'chat', 'completions'],
      route: '/chat/completions',
      body: {},
      signal,
    });
    return 'unsure';
  } catch (error) {
    if (hasNoRoute(error) || answersNoJson(error)) return 'no';
    if (!(error instanceof HttpFailure) || error.status === null) throw error;
    if (error.status === 401 || error.status === 403) throw error;
    // A 4xx refuses the empty body; a 5xx is a server of this route that does so badly.
    return 'yes';
  }
};

/** The same address with a version path, without what may be secret in it; null = it has one. */
const versioned = (baseUrl: string): { base: string; withVersion: string } | null => {
  const { origin, pathname } = new URL(baseUrl);
  const path = pathname.replace(/\/+$/, '');
  return /\/v\d+\w*$/.test(path) ? null : { base: `${origin}${path}`, withVersion: `${origin}${path}/v1` };
};

const isBelowVersion = async (http: HttpClient, signal: AbortSignal): Promise<boolean> => {
  try {
    return (
      (await listModels(http, ['v1'], signal)) !== null ||
      (await takesCompletions(http, ['v1'], signal)) === 'yes'
    );
  } catch (error) {
    // A refused key is that of a server which has the route.
    return error instanceof HttpFailure && (error.status === 401 || error.status === 403);
  }
};

const look = async (http: HttpClient, baseUrl: string, signal: AbortSignal): Promise<{ detail: string }> => {
  const models = await listModels(http, [], signal);
  if (models !== null)
    return { detail: `${http.origin} answers${models.length === 0 ? '' : ` and has ${models.join(', ')}`}` };
  const found = await takesCompletions(http, [], signal);
  const other = found === 'yes' ? null : versioned(baseUrl);
  if (other !== null && (await isBelowVersion(http, signal)))
    throw new ModelError(
      'rejected',
      `${other.base} has no chat completions, and ${other.withVersion} has: the base URL lacks its version path. Set OPENAI_BASE_URL=${other.withVersion}.`,
      { code: BASE_URL_LACKS_VERSION },
    );
  if (found === 'no')
    throw new ModelError(
      'rejected',
      `${http.origin} answers, but has no /chat/completions below the base URL. Check the path of OPENAI_BASE_URL: most servers need a version in it, such as "/v1".`,
    );
  return { detail: `${http.origin} answers; it has no GET /models, which runs do not need` };
};

export const probeModels = async (
  http: HttpClient,
  baseUrl: string,
  signal: AbortSignal,
): Promise<{ detail: string }> => {
  try {
    return await look(http, baseUrl, signal);
  } catch (error) {
    throw ofTransport(error, false, 0);
  }
};
