/**
 * Search attributes as the workflows write them.
 *
 * Rule: one upsert on entering a wait and one on leaving it, and only where the input says that the attributes are
 * registered: an unknown one would fail the workflow task for ever.
 * Workflow glue imports it.
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

/** Temporal ends a run whose attribute has more than 2,048 bytes; names beyond are found on the run, not by a query. */
const NAMES_BYTES = 1_900;

const listed = (names: readonly string[]): string[] => {
  let left = NAMES_BYTES;
  return names.filter((name) => (left -= utf8Length(JSON.stringify(name)) + 1) >= 0);
};

/** Leaving a wait clears all three, so an unknown deadline is simply left out. */
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
