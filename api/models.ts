/**
 * The list of `GET /v1/models`: of the models that are configured, of the model server, else the one name that is set.
 *
 * Rule: clients never cause more than one request in flight, nor more than one a minute; the server's list is bounded
 * and checked entry by entry. A failed request is not repeated within the minute. Imports protocol only.
 */
import type { ModelsConfig } from '../protocol/models.ts';
import { listModels } from '../protocol/rules/resolve-model.ts';
import { textProblem } from '../protocol/rules/validation.ts';

/** A model in the vendor's form. `created` is in unix seconds, 0 = not known. */
export interface WireModel {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
}

/** The models of a tenant. */
export type ListModels = (tenant: string) => Promise<readonly WireModel[]>;

export interface ModelListOptions {
  /** Reads the body of the model server's `GET /models`; may reject. null = no server is configured. */
  read: (() => Promise<unknown>) | null;
  /** Names of models to list when the server has no list. */
  configured: readonly string[];
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}

export const MODEL_LIST = { count: 1_000, idChars: 256, keptMs: 60_000 } as const;

const isName = (value: unknown): value is string =>
  typeof value === 'string' &&
  value !== '' &&
  value.length <= MODEL_LIST.idChars &&
  textProblem(value) === undefined;

const model = (id: string, created: unknown, owner: unknown): WireModel => ({
  id,
  object: 'model',
  created: typeof created === 'number' && Number.isSafeInteger(created) && created > 0 ? created : 0,
  owned_by: isName(owner) ? owner : 'unknown',
});

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;

/**
 * The models of a server's response, without duplicate ids, at most `MODEL_LIST.count`; null = it has no list, or an
 * empty one.
 */
export const modelsFrom = (body: unknown): readonly WireModel[] | null => {
  // Some servers send the bare array.
  const entries: unknown = Array.isArray(body) ? body : field(body, 'data');
  if (!Array.isArray(entries)) return null;
  const found = new Map<string, WireModel>();
  for (const entry of entries as unknown[]) {
    if (found.size === MODEL_LIST.count) break;
    const id = field(entry, 'id');
    if (isName(id) && !found.has(id))
      found.set(id, model(id, field(entry, 'created'), field(entry, 'owned_by')));
  }
  return found.size === 0 ? null : [...found.values()];
};

/** The models of a configuration that a tenant may ask for, aliases included. */
export const listConfiguredModels =
  (config: ModelsConfig): ListModels =>
  (tenant) =>
    Promise.resolve(
      listModels(config, tenant).flatMap(({ name, aliases, provider }) =>
        [name, ...aliases].map((id) => model(id, 0, provider)),
      ),
    );

/** Never rejects. */
export const createModelList = ({
  read,
  configured,
  now = () => performance.now(),
}: ModelListOptions): (() => Promise<readonly WireModel[]>) => {
  const fallback = configured.map((id) => model(id, 0, 'configured'));
  if (read === null) return () => Promise.resolve(fallback);
  let kept: { models: readonly WireModel[]; until: number } | null = null;
  let pending: Promise<readonly WireModel[]> | null = null;
  const renew = async (): Promise<readonly WireModel[]> => {
    const models = (await read().then(modelsFrom, () => null)) ?? fallback;
    kept = { models, until: now() + MODEL_LIST.keptMs };
    pending = null;
    return models;
  };
  return () => {
    if (kept !== null && now() < kept.until) return Promise.resolve(kept.models);
    pending ??= renew();
    return pending;
  };
};
