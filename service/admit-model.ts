/**
 * Refuses a run whose model is not configured, or not for its tenant.
 *
 * Rule: it is refused when it is created, not when a worker would ask; the message names the value that the caller sent. Pure.
 * Imported by `begin-run.ts` and tests.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { ModelsConfig } from '../protocol/models.ts';
import type { RunConfig } from '../protocol/ports/turn-store.ts';
import { resolveModel } from '../protocol/rules/resolve-model.ts';

/** Throws `ApiError`: 400 for an unknown model, 403 for one that the tenant may not use. */
export const admitModel =
  (models: ModelsConfig, tenant: string) =>
  ({ model }: Pick<RunConfig, 'model'>): void => {
    const found = resolveModel(models, model, tenant);
    if (found.kind === 'unknown') throw apiErrors.unknownModel(found.name);
    if (found.kind === 'forbidden') throw apiErrors.forbiddenModel(found.name);
  };
