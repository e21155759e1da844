/**
 * The file that RUNS_MODELS names: several providers and their models, in YAML or JSON.
 *
 * Rule: a file that can't be used stops the process at start with the path, what is wrong and the fix. Reading it needs no
 * variable of the environment; a worker puts those in when it opens the providers. YAML reads JSON, too, and refuses a key that is
 * there twice.
 * Imported by the composition roots, by `runs doctor` and by tests.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ModelsConfig } from '../../protocol/models.ts';
import { quote, RunsError } from '../../protocol/index.ts';
import { isModelKnown } from '../../protocol/rules/resolve-model.ts';
import { modelsConfigFrom, modelsFileSchema } from './models-schema.ts';
import { modelsProblems } from './models-problems.ts';

const MAX_FILE_CHARS = 4_194_304;
/** Problems shown of one file. */
const SHOWN = 10;

const placeOf = (path: readonly PropertyKey[]): string => (path.length === 0 ? 'the file' : path.join('.'));

/** Zod's words begin with a capital letter; those of this project stand after the place. */
const lowered = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;

interface SchemaIssue {
  code?: string | undefined;
  path: readonly PropertyKey[];
  message: string;
  keys?: readonly string[];
  /** Of a key of a record that its schema refuses. */
  issues?: readonly { message: string }[];
}

const issueText = ({ code, path, message, keys, issues }: SchemaIssue): string => {
  if (code === 'unrecognized_keys')
    return `${placeOf(path)} has no setting ${(keys ?? []).map((key) => quote(key)).join(', ')}. Correct it, or leave it out`;
  if (code === 'invalid_key') return `${placeOf(path)}: the name ${lowered(issues?.[0]?.message ?? message)}`;
  return `${placeOf(path)}: ${lowered(message)}`;
};

/** The configuration of a file's text. Pure. */
export const parseModels = async (
  text: string,
): Promise<{ config: ModelsConfig } | { problems: string[] }> => {
  if (text.length > MAX_FILE_CHARS)
    return { problems: [`it has ${text.length} characters, ${MAX_FILE_CHARS} are allowed`] };
  // Loaded only where a file is configured: most servers have one provider and no file.
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { uniqueKeys: true, stringKeys: true, prettyErrors: true });
  const wrong = document.errors[0];
  if (wrong !== undefined) return { problems: [`it is neither YAML nor JSON: ${wrong.message.trim()}`] };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { problems: [`it can't be read: ${error instanceof Error ? error.message : String(error)}`] };
  }
  const parsed = modelsFileSchema.safeParse(value);
  if (!parsed.success) return { problems: parsed.error.issues.map(issueText) };
  const config = modelsConfigFrom(parsed.data);
  const problems = modelsProblems(config);
  return problems.length > 0 ? { problems } : { config };
};

/** `replacement`: a model of the file that every run gets. Throws `RunsError('config')`. */
export const loadModelsFile = async (
  path: string,
  { cwd = process.cwd(), replacement = null }: { cwd?: string; replacement?: string | null } = {},
): Promise<ModelsConfig> => {
  const file = resolve(cwd, path);
  const refuse = (what: string, cause?: unknown): RunsError =>
    new RunsError('config', `RUNS_MODELS=${quote(path)} can't be used: ${what}.`, { cause });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw refuse(`there is no readable file ${quote(file)}`, error);
  }
  const parsed = await parseModels(text);
  if ('config' in parsed) {
    if (replacement !== null && !isModelKnown(parsed.config, replacement))
      throw refuse(
        `RUNS_MODEL is ${quote(replacement)}, and the file has no such model. Set RUNS_MODEL to a name of models, or unset it`,
      );
    return { ...parsed.config, replacement };
  }
  const more = parsed.problems.length - SHOWN;
  throw refuse(
    `${parsed.problems.slice(0, SHOWN).join('; ')}${more > 0 ? `; and ${more} more problems` : ''}`,
  );
};
