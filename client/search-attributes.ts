/**
 * Are our search attributes registered in a namespace, and can they be?
 *
 * Rule: a workflow uses them only when they were seen here first. A start that names an unregistered one is refused,
 * and an upsert of one is retried for ever.
 * Imported by the client and the worker.
 */
import type { Connection } from '@temporalio/client';
import { defineSearchAttributeKey, type SearchAttributeType } from '@temporalio/common';
import { SEARCH_ATTRIBUTES, type SearchAttributeName } from '../protocol/index.ts';
import { grpcCode } from './errors.ts';

/** Numbers of Temporal's `IndexedValueType`. */
const INDEXED_TYPE = { Keyword: 2, Datetime: 6, KeywordList: 7 } as const;
const TYPE_NAME: Record<number, string> = {
  1: 'Text',
  2: 'Keyword',
  3: 'Int',
  4: 'Double',
  5: 'Bool',
  6: 'Datetime',
  7: 'KeywordList',
};

const NAMES = Object.keys(SEARCH_ATTRIBUTES) as SearchAttributeName[];

/** The SDK exports the function and not the type that it returns; left to inference, our declarations would name its insides. */
type Key<T extends SearchAttributeType> = ReturnType<typeof defineSearchAttributeKey<T>>;

export const searchAttributeKeys: {
  readonly [name in 'runId' | 'threadId' | 'assistantId' | 'status']: Key<'KEYWORD'>;
} & { readonly waitingFor: Key<'KEYWORD_LIST'>; readonly deadline: Key<'DATETIME'> } = {
  runId: defineSearchAttributeKey('RunsRunId' satisfies SearchAttributeName, 'KEYWORD'),
  threadId: defineSearchAttributeKey('RunsThreadId' satisfies SearchAttributeName, 'KEYWORD'),
  assistantId: defineSearchAttributeKey('RunsAssistantId' satisfies SearchAttributeName, 'KEYWORD'),
  status: defineSearchAttributeKey('RunsStatus' satisfies SearchAttributeName, 'KEYWORD'),
  waitingFor: defineSearchAttributeKey('RunsWaitingFor' satisfies SearchAttributeName, 'KEYWORD_LIST'),
  deadline: defineSearchAttributeKey('RunsDeadline' satisfies SearchAttributeName, 'DATETIME'),
};

/** Which of the search attributes the namespace has. */
export interface SearchAttributeState {
  /** All of them are there, with the right types. */
  available: boolean;
  missing: SearchAttributeName[];
  /** There under our name with another type: only an operator can tell what they are for. */
  mistyped: { name: SearchAttributeName; type: string; wanted: string }[];
  /** Why it could not be found out, when it could not. */
  problem: string | null;
}

export type OperatorConnection = Pick<Connection, 'operatorService'>;

/** Which of our attributes the namespace lacks. Never throws for what the server refuses to tell; that is a `problem`. */
export const checkSearchAttributes = async (
  connection: OperatorConnection,
  namespace: string,
): Promise<SearchAttributeState> => {
  let registered: Record<string, number>;
  try {
    const reply = await connection.operatorService.listSearchAttributes({ namespace });
    registered = reply.customAttributes ?? {};
  } catch (error) {
    const code = grpcCode(error);
    if (code === undefined) throw error;
    return {
      available: false,
      missing: [],
      mistyped: [],
      problem: `Temporal does not list the search attributes of namespace ${JSON.stringify(namespace)} (gRPC status ${code})`,
    };
  }
  const missing = NAMES.filter((name) => registered[name] === undefined);
  const mistyped = NAMES.flatMap((name) => {
    const type = registered[name];
    const wanted = SEARCH_ATTRIBUTES[name];
    return type === undefined || type === INDEXED_TYPE[wanted]
      ? []
      : [{ name, type: TYPE_NAME[type] ?? String(type), wanted }];
  });
  return { available: missing.length === 0 && mistyped.length === 0, missing, mistyped, problem: null };
};

/** Registers what is missing, where the server allows it; returns the state afterwards. */
export const ensureSearchAttributes = async (
  connection: OperatorConnection,
  namespace: string,
): Promise<SearchAttributeState> => {
  const before = await checkSearchAttributes(connection, namespace);
  if (before.available || before.problem !== null || before.mistyped.length > 0) return before;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(
        before.missing.map((name) => [name, INDEXED_TYPE[SEARCH_ATTRIBUTES[name]]]),
      ),
    });
  } catch (error) {
    const code = grpcCode(error);
    if (code === undefined) throw error;
    return {
      ...before,
      problem: `Temporal does not let this client register search attributes (gRPC status ${code}); an operator can: ${registerCommand(before.missing, namespace)}`,
    };
  }
  return await checkSearchAttributes(connection, namespace);
};

/** The command an operator types for the missing ones; the server's address is the operator's to add. */
export const registerCommand = (missing: readonly SearchAttributeName[], namespace: string): string =>
  `temporal operator search-attribute create --namespace ${namespace} ${missing
    .map((name) => `--name ${name} --type ${SEARCH_ATTRIBUTES[name]}`)
    .join(' ')}`;
