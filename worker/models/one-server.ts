/**
 * The configuration of a server without RUNS_MODELS: one model server that gets every name. Pure.
 *
 * Rule: its name is empty, so that it is in no name of a model and in no message. Imported by the composition root and tests.
 */
import { plainProvider, type ModelsConfig } from '../../protocol/models.ts';
import type { Config } from '../config.ts';

const ONLY = '';

export const oneServer = ({
  model,
  modelSettings,
  budgets,
}: Pick<Config, 'model' | 'modelSettings' | 'budgets'>): ModelsConfig => ({
  providers: new Map([
    [ONLY, { ...plainProvider(ONLY, 'openai-compatible'), contextTokens: modelSettings.contextTokens }],
  ]),
  models: new Map(),
  default: null,
  tenants: new Map(),
  budgets,
  replacement: model,
  onlyProvider: ONLY,
});
