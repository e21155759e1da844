/**
 * A model's arguments: JSON text → value, or what is wrong with it, told to the model. Pure.
 *
 * Rule: the text is untrusted. It is bounded in size and depth, holds no prototype keys, and is checked against the
 * tool's schema before any tool sees it. What is wrong never fails the activity: only the model can repair it.
 * Imported by the other files of this folder.
 */
import type { z } from 'zod';
import { quote } from '../../protocol/index.ts';
import type { ToolDefinition } from './types.ts';

export const ARGUMENT_LIMITS = { characters: 1_048_576, depth: 64 } as const;

export type Parsed<T = unknown> = { ok: true; value: T } | { ok: false; problem: string };

const problem = (text: string): Parsed<never> => ({ ok: false, problem: text });

/** Why a parsed value may not go on: too deep, or keys that reach prototypes. Iterative: depth is what it guards. */
const structureProblem = (value: unknown): string | undefined => {
  const open: { value: unknown; depth: number }[] = [{ value, depth: 1 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue;
    if (next.depth > ARGUMENT_LIMITS.depth)
      return `they are nested deeper than ${ARGUMENT_LIMITS.depth} levels`;
    for (const [key, item] of Object.entries(next.value)) {
      const reachesPrototype =
        key === '__proto__' ||
        (key === 'constructor' &&
          typeof item === 'object' &&
          item !== null &&
          Object.hasOwn(item, 'prototype'));
      if (reachesPrototype) return `the key ${quote(key)} is not allowed`;
      open.push({ value: item, depth: next.depth + 1 });
    }
  }
  return undefined;
};

/** JSON text → an object. Empty text counts as `{}`: that is how some models call a tool without parameters. */
export const parseArguments = (text: string): Parsed<Record<string, unknown>> => {
  if (text.length > ARGUMENT_LIMITS.characters)
    return problem(
      `they are ${text.length} characters long; at most ${ARGUMENT_LIMITS.characters} are allowed`,
    );
  let value: unknown;
  try {
    value = text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    return problem(`they are not valid JSON (${quote(text, 40)})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return problem(`they must be a JSON object, not ${quote(value, 40)}`);
  const bad = structureProblem(value);
  return bad === undefined ? { ok: true, value: value as Record<string, unknown> } : problem(bad);
};

const MAX_ISSUES = 5;
const MAX_ISSUE_CHARS = 200;

/** zod's issues as one compact sentence for the model. */
export const issuesText = (issues: readonly z.core.$ZodIssue[]): string => {
  const lines = issues.slice(0, MAX_ISSUES).map(({ path, message }) => {
    const at = path.map(String).join('.');
    const text = at === '' ? message : `${at}: ${message}`;
    return text.length > MAX_ISSUE_CHARS ? `${text.slice(0, MAX_ISSUE_CHARS)}…` : text;
  });
  const more = issues.length - lines.length;
  return `${lines.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
};

/** Arguments ready for the tool, or an error text for the model. */
export const checkArguments = async (
  tool: Pick<ToolDefinition, 'name' | 'parameters'>,
  text: string,
): Promise<Parsed> => {
  const again = 'Correct them and call the tool again.';
  const parsed = parseArguments(text);
  if (!parsed.ok)
    return problem(`the arguments of ${quote(tool.name)} can't be used: ${parsed.problem}. ${again}`);
  const checked = await tool.parameters.safeParseAsync(parsed.value);
  return checked.success
    ? { ok: true, value: checked.data }
    : problem(
        `the arguments of ${quote(tool.name)} are invalid: ${issuesText(checked.error.issues)}. ${again}`,
      );
};
