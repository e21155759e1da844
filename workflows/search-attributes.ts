/**
 * Writes the search attributes of workflows.
 *
 * Rule: one upsert when a wait begins and one when it ends, only where the input says that the attributes are
 * registered: an unknown attribute would fail the workflow task for ever. Imported by the workflow runtimes.
 */
import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';
import type { SearchAttributePair, SearchAttributeUpdatePair } from '@temporalio/common';
import type { SearchAttributeName } from '../protocol/temporal/names.ts';
import { utf8Length } from '../protocol/rules/tool-outputs.ts';

const key = <Name extends SearchAttributeName>(name: Name): Name => name;

const RUN_ID = defineSearchAttributeKey(key('RunsRunId'), SearchAttributeType.KEYWORD);
const THREAD_ID = defineSearchAttributeKey(key('RunsThreadId'), SearchAttributeType.KEYWORD);
const ASSISTANT_ID = defineSearchAttributeKey(key('RunsAssistantId'), SearchAttributeType.KEYWORD);
const STATUS = defineSearchAttributeKey(key('RunsStatus'), SearchAttributeType.KEYWORD);
const WAITING_FOR = defineSearchAttributeKey(key('RunsWaitingFor'), SearchAttributeType.KEYWORD_LIST);
const DEADLINE = defineSearchAttributeKey(key('RunsDeadline'), SearchAttributeType.DATETIME);

/**
 * Temporal ends a run whose attribute exceeds 2,048 bytes. Names that do not fit are left out; the run itself lists
 * them.
 */
const NAMES_BYTES = 1_900;

const listed = (names: readonly string[]): string[] => {
  let left = NAMES_BYTES;
  return names.filter((name) => (left -= utf8Length(JSON.stringify(name)) + 1) >= 0);
};

/** The end of a wait clears all three attributes, so an unknown deadline is left out. */
export const waitingAttributes = (
  status: string,
  tools: readonly string[],
  deadline: number | null,
): SearchAttributePair[] => [
  { key: STATUS, value: status },
  { key: WAITING_FOR, value: listed(tools) },
  ...(deadline === null ? [] : [{ key: DEADLINE, value: new Date(deadline) }]),
];

export const workingAttributes = (status: string): SearchAttributeUpdatePair[] => [
  { key: STATUS, value: status },
  { key: WAITING_FOR, value: null },
  { key: DEADLINE, value: null },
];

export const threadAttribute = (threadId: string): SearchAttributePair[] => [
  { key: THREAD_ID, value: threadId },
];

export const identityAttributes = (
  runId: string,
  threadId: string,
  assistantId: string,
): SearchAttributePair[] => [
  { key: RUN_ID, value: runId },
  ...threadAttribute(threadId),
  { key: ASSISTANT_ID, value: assistantId },
];
