/**
 * Environment variables in strings of files: `${NAME}` and `${NAME:-default}`.
 *
 * Rule: a variable that is not set, or empty, has its default, else it is missing; values of variables are never in messages. Pure.
 * Imported by the files of models and of MCP servers.
 */

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** Names of the variables that a text needs or may use. */
export const variablesIn = (text: string): string[] =>
  [...text.matchAll(VARIABLE)].map(([, name = '']) => name);

/** Puts variables in; names of those that are missing are added to `missing`. */
export const fillVariables = (
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  missing: Set<string>,
): string =>
  text.replaceAll(VARIABLE, (_, name: string, other?: string) => {
    const set = env[name];
    if (set !== undefined && set !== '') return set;
    if (other === undefined) missing.add(name);
    return other ?? '';
  });
