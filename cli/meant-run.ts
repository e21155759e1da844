/**
 * Which run a command means: a run's id, the start of one, or the code of a call that waits in it.
 *
 * Rule: an id that exists always means itself. A text that fits several runs is refused with their list, and one that fits
 * none is passed on, so that the command says which server it asked. Imported by the commands.
 */
import type { RunListItem, RunsClient } from '../client/index.ts';
import { usageError } from '../app/exit.ts';
import { idProblem } from '../protocol/rules/validation.ts';
import { oneLine } from './output/format.ts';
import { isCallCode, isWholeRunId, runIdPrefixes } from './short-codes.ts';
import { allWaitingCalls } from './waiting-calls.ts';

/** Candidates that an error names. */
const MAX_LISTED = 8;

export const findRunByText = async (client: RunsClient, text: string): Promise<string> => {
  if (isWholeRunId(text) || idProblem('run', text) !== undefined || (await client.has(text))) return text;
  const found = new Map<string, string>();
  for (const item of await startingWith(client, runIdPrefixes(text)))
    found.set(item.runId, `${item.runId} (${item.status})`);
  if (isCallCode(text))
    for (const { runId, code, tool } of await allWaitingCalls(client))
      if (code === text) found.set(runId, `${runId} (its call of ${oneLine(tool, 64)} waits)`);
  const [only, second] = found.keys();
  if (only === undefined) return text;
  if (second === undefined) return only;
  const named = [...found.values()];
  const more = named.length > MAX_LISTED ? ', and more' : '';
  throw usageError(
    `${JSON.stringify(text)} fits several runs: ${named.slice(0, MAX_LISTED).join(', ')}${more}. Type more of the id.`,
  );
};

const startingWith = async (client: RunsClient, prefixes: readonly string[]): Promise<RunListItem[]> => {
  const found: RunListItem[] = [];
  for (const idPrefix of prefixes)
    for await (const item of client.list({ idPrefix, limit: MAX_LISTED + 1 })) found.push(item);
  // A run that carries a late answer has the first run's id in front of its own.
  return found.filter(({ runId }) => !found.some((other) => runId.startsWith(`${other.runId}.`)));
};
