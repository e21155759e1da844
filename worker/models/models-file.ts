/**
 * The file that RUNS_MODELS names: several providers and their models, in YAML or JSON.
 *
 * Rule: reading it needs no variable of the environment; a worker puts those in when it opens the providers.
 * Imported by the composition roots, by `runs doctor` and by tests.
 */
import type { ModelsConfig } from '../../protocol/models.ts';
import type { TenantBudgets } from '../../protocol/rules/budget.ts';
import { quote } from '../../protocol/index.ts';
import { isModelKnown } from '../../protocol/rules/resolve-model.ts';
import { modelsConfigFrom, modelsFileSchema } from './models-schema.ts';
import { modelsProblems } from './models-problems.ts';
import { loadFile, parseYaml, unusableFile } from '../yaml-file.ts';

/** The configuration of a file's text. Pure. */
export const parseModels = async (
  text: string,
): Promise<{ config: ModelsConfig } | { problems: string[] }> => {
  const parsed = await parseYaml(text, modelsFileSchema);
  if ('problems' in parsed) return parsed;
  const config = modelsConfigFrom(parsed.value);
  const problems = modelsProblems(config);
  return problems.length > 0 ? { problems } : { config };
};

interface BesideFile {
  cwd?: string;
  /** RUNS_MODEL: a model of the file that every run gets. */
  replacement?: string | null;
  /** RUNS_BUDGETS: those of a file that has none. */
  budgets?: TenantBudgets;
}

/** Throws `RunsError('config')`. */
export const loadModelsFile = async (
  path: string,
  { cwd = process.cwd(), replacement = null, budgets = new Map() }: BesideFile = {},
): Promise<ModelsConfig> => {
  const config = await loadFile('RUNS_MODELS', path, cwd, async (text) => {
    const parsed = await parseModels(text);
    return 'config' in parsed ? { value: parsed.config } : parsed;
  });
  const refuse = unusableFile('RUNS_MODELS', path);
  if (replacement !== null && !isModelKnown(config, replacement))
    throw refuse(
      `RUNS_MODEL is ${quote(replacement)}, and the file has no such model. Set RUNS_MODEL to a name of models, or unset it`,
    );
  if (budgets.size > 0 && config.budgets.size > 0)
    throw refuse('budgets is in the file, and RUNS_BUDGETS is set, too. Keep one of them');
  return { ...config, replacement, budgets: config.budgets.size > 0 ? config.budgets : budgets };
};
