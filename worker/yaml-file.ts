/**
 * Files of settings, in YAML or JSON, checked against a schema: models and people.
 *
 * Rule: a file that can't be used stops the process at start with the path, what is wrong and the fix. YAML reads JSON, too, and
 * refuses a key that is there twice. Imported by `worker/models/` and the app.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { z } from 'zod';
import { quote, RunsError } from '../protocol/index.ts';

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

export type ParsedFile<Value> = { value: Value } | { problems: string[] };

/** The checked value of a file's text. */
export const parseYaml = async <Schema extends z.ZodType>(
  text: string,
  schema: Schema,
): Promise<ParsedFile<z.infer<Schema>>> => {
  if (text.length > MAX_FILE_CHARS)
    return { problems: [`it has ${text.length} characters, ${MAX_FILE_CHARS} are allowed`] };
  // Loaded only where a file is configured: most servers have none.
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
  const parsed = schema.safeParse(value);
  return parsed.success ? { value: parsed.data } : { problems: parsed.error.issues.map(issueText) };
};

/** `RUNS_MODELS="models.yaml" can't be used: …`. */
export const unusableFile =
  (variable: string, path: string) =>
  (what: string, cause?: unknown): RunsError =>
    new RunsError('config', `${variable}=${quote(path)} can't be used: ${what}.`, { cause });

/** Reads the file that a variable names. Throws `RunsError('config')`. */
export const loadFile = async <Value>(
  variable: string,
  path: string,
  cwd: string,
  parse: (text: string) => Promise<ParsedFile<Value>>,
): Promise<Value> => {
  const file = resolve(cwd, path);
  const refuse = unusableFile(variable, path);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw refuse(`there is no readable file ${quote(file)}`, error);
  }
  const parsed = await parse(text);
  if ('value' in parsed) return parsed.value;
  const more = parsed.problems.length - SHOWN;
  throw refuse(
    `${parsed.problems.slice(0, SHOWN).join('; ')}${more > 0 ? `; and ${more} more problems` : ''}`,
  );
};
