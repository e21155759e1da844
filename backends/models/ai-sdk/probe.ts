/**
 * The cheapest request that proves address and key of a provider.
 *
 * Rule: it generates nothing. Imported by the adapter.
 */
import { HttpFailure, asRecord, type HttpClient } from '../../http/index.ts';
import { ofTransport } from '../openai-compatible/answer.ts';
import type { SdkDialect } from './dialect.ts';

const MODELS_SHOWN = 5;

const nameOf = (model: unknown): unknown => {
  const { id, name } = asRecord(model) ?? {};
  return id ?? (typeof name === 'string' ? name.replace(/^models\//, '') : undefined);
};

export const probeProvider = async (
  http: HttpClient,
  { modelsPath }: Pick<SdkDialect, 'modelsPath'>,
  signal: AbortSignal,
): Promise<{ detail: string }> => {
  if (modelsPath === null)
    return { detail: `${http.origin} is asked by turns only; it has no list of models` };
  try {
    const route = `/${modelsPath.join('/')}`;
    const { body } = await http.json({ method: 'GET', path: modelsPath, route, signal });
    const list = asRecord(body);
    const models = list?.['data'] ?? list?.['models'];
    const names = (Array.isArray(models) ? models : [])
      .map(nameOf)
      .filter((name) => typeof name === 'string')
      .slice(0, MODELS_SHOWN);
    return { detail: `${http.origin} answers${names.length === 0 ? '' : ` and has ${names.join(', ')}`}` };
  } catch (error) {
    if (error instanceof HttpFailure && error.status === 404)
      return { detail: `${http.origin} answers; it has no list of models, which no run needs` };
    throw ofTransport(error, false, 0);
  }
};
