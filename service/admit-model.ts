/**
 * Refuses a run whose model is not configured, not for its tenant, or not able to serve it.
 *
 * Rule: it is refused when it is created, not when a worker would ask; the message names the value that the caller sent. Pure.
 * Imported by `begin-run.ts` and tests.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { ModelsConfig, ResolvedModel } from '../protocol/models.ts';
import type { RunConfig } from '../protocol/ports/turn-store.ts';
import { resolveModel } from '../protocol/rules/resolve-model.ts';

/** The parameter that the model can't serve, and what it lacks; null = nothing is known to be wrong. */
const unserved = (
  { capabilities: { jsonSchema, tools: callsTools } }: ResolvedModel,
  { tools, response_format: format }: Pick<RunConfig, 'tools' | 'response_format'>,
): { param: string; what: string; fix: string } | null => {
  if (callsTools !== false) return null;
  if (tools.length > 0)
    return { param: 'tools', what: 'call tools', fix: 'Ask for another model, or leave the tools out.' };
  return jsonSchema === false && format !== 'auto' && format.type !== 'text'
    ? { param: 'response_format', what: 'answer in JSON', fix: 'Ask for another model, or for text.' }
    : null;
};

/**
 * Throws `ApiError`: 400 for an unknown model and for a run that its model can't serve, 403 for a model that the tenant may not use.
 */
export const admitModel =
  (models: ModelsConfig, tenant: string) =>
  (config: Pick<RunConfig, 'model' | 'tools' | 'response_format'>): void => {
    const found = resolveModel(models, config.model, tenant);
    if (found.kind !== 'resolved')
      throw found.kind === 'unknown'
        ? apiErrors.unknownModel(found.name)
        : apiErrors.forbiddenModel(found.name);
    const wrong = unserved(found.model, config);
    if (wrong !== null)
      throw apiErrors.invalid(
        wrong.param,
        `Invalid '${wrong.param}': the model ${JSON.stringify(found.model.name)} can't ${wrong.what}. ${wrong.fix}`,
        'unsupported_value',
      );
  };
