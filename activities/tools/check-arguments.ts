/**
 * Checks a model's arguments against a tool's schema: returns a value, or the problem for the model to read. Pure.
 *
 * Rule: the text is untrusted. The protocol parses it; the schema checks it before any tool sees the value. A problem
 * never fails the activity, because only the model can repair it.
 * Imported by the other files of this folder.
 */
import type { z } from 'zod';
import { parseArguments, quote, type JsonObject } from '../../protocol/index.ts';
import type { ToolDefinition } from './types.ts';

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

type Checking = Pick<ToolDefinition, 'name' | 'parameters'>;

/** `problem` is for the model; `reason` is the problem alone, for a person who edited the arguments. */
export type Checked<T = unknown> = { ok: true; value: T } | { ok: false; problem: string; reason: string };

const RETRY_HINT = 'Correct them and call the tool again.';
const unusable = (name: string, reason: string): Checked<never> => ({
  ok: false,
  problem: `the arguments of ${quote(name)} can't be used: ${reason}. ${RETRY_HINT}`,
  reason,
});
const invalid = (name: string, issues: readonly z.core.$ZodIssue[]): Checked<never> => ({
  ok: false,
  problem: `the arguments of ${quote(name)} are invalid: ${issuesText(issues)}. ${RETRY_HINT}`,
  reason: issuesText(issues),
});

/** Arguments ready for the tool, or an error text for the model. */
export const checkArguments = async (tool: Checking, text: string): Promise<Checked> => {
  const parsed = parseArguments(text);
  if (!parsed.ok) return unusable(tool.name, parsed.problem);
  const checked = await tool.parameters.safeParseAsync(parsed.value);
  return checked.success ? { ok: true, value: checked.data } : invalid(tool.name, checked.error.issues);
};

/** What a plan needs: the arguments as the model sent them, and as `needsApproval` receives them. */
export interface PlannedArguments {
  given: JsonObject;
  checked: unknown;
}

/**
 * Like `checkArguments`, synchronously. A check that throws must not stop the planning: the model reads that it failed.
 */
export const checkArgumentsNow = (tool: Checking, text: string): Checked<PlannedArguments> => {
  const parsed = parseArguments(text);
  if (!parsed.ok) return unusable(tool.name, parsed.problem);
  try {
    const checked = tool.parameters.safeParse(parsed.value);
    return checked.success
      ? { ok: true, value: { given: parsed.value, checked: checked.data } }
      : invalid(tool.name, checked.error.issues);
  } catch (error) {
    const why = error instanceof Error ? error.message : quote(error);
    return unusable(tool.name, `checking them failed (${quote(why, 200)})`);
  }
};
