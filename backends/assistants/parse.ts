/**
 * Runs and steps as servers really send them, brought into one shape.
 *
 * Rule: tolerant. Absent fields, nulls, extra fields, `{}` for "no action", unknown statuses and milliseconds where
 * seconds belong are all read; only an object without a usable id or a status is no run. Nothing here decides anything.
 * Imports calls and the JSON reader. The rest of this folder imports it.
 */
import type { LastError, Usage } from '../../protocol/ports/backend.ts';
import type { ToolCall } from '../../protocol/tool-calls.ts';
import { METADATA } from '../../protocol/temporal/names.ts';
import { asRecord } from '../http/index.ts';

export interface UpstreamRun {
  id: string;
  status: string;
  /** Unix ms by the server's clock; null when it does not say. */
  createdAt: number | null;
  expiresAt: number | null;
  assistantId: string | null;
  /** `required_action.type`, when there is an action. */
  actionType: string | null;
  /** Calls of the action, in order, each id once. Malformed ones are counted instead. */
  calls: ToolCall[];
  malformedCalls: number;
  /** Names of the function tools that the run declares. */
  toolNames: string[];
  /** null = the server keeps no metadata on this object. */
  metadata: Record<string, string> | null;
  usage?: Usage;
  lastError?: LastError;
  incompleteDetails?: { reason?: string };
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/**
 * An id that can be used; null for any other value. Ids go into URLs, keys of tools, summaries and attributes, whose sizes
 * Temporal bounds by ending the run.
 */
export const idOf = (value: unknown): string | null =>
  typeof value === 'string' && /^[\x21-\x7e]{1,256}$/.test(value) && !/^\.\.?$/.test(value) ? value : null;
const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** A later time means "never", or other units: timers and dates of that size can't be set. */
const LAST_TIME = Date.UTC(2200, 0);

/** Seconds become milliseconds. Above 1e11 it was milliseconds already: in seconds that is the year 5138. */
export const timeOf = (value: unknown): number | null => {
  const number = numberOf(value);
  if (number === null || number <= 0) return null;
  const time = number > 1e11 ? number : number * 1000;
  return time > LAST_TIME ? null : time;
};

/** A server's texts about its failures go into history: bounded. */
const MAX_TEXT = 4000;
const cut = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);

const callsOf = (action: Record<string, unknown> | undefined): { calls: ToolCall[]; malformed: number } => {
  const list = asRecord(action?.['submit_tool_outputs'])?.['tool_calls'];
  const byId = new Map<string, ToolCall>();
  let malformed = 0;
  for (const item of Array.isArray(list) ? (list as unknown[]) : []) {
    const call = asRecord(item);
    const id = idOf(call?.['id']);
    const fn = asRecord(call?.['function']);
    const name = textOf(fn?.['name']);
    if (id === null || name === null) malformed++;
    else if (!byId.has(id)) {
      const given = fn?.['arguments'];
      // Some shims send the arguments as an object instead of its text.
      const text = typeof given === 'string' ? given : given == null ? '' : JSON.stringify(given);
      byId.set(id, { callId: id, name, arguments: text });
    }
  }
  return { calls: [...byId.values()], malformed };
};

const toolNamesOf = (tools: unknown): string[] =>
  (Array.isArray(tools) ? (tools as unknown[]) : [])
    .map((tool) => textOf(asRecord(asRecord(tool)?.['function'])?.['name']))
    .filter((name) => name !== null);

const metadataOf = (value: unknown): Record<string, string> | null => {
  const record = asRecord(value);
  if (record === undefined) return null;
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
};

const usageOf = (value: unknown): Usage | undefined => {
  const usage = asRecord(value);
  if (usage === undefined) return undefined;
  const promptTokens = numberOf(usage['prompt_tokens']) ?? 0;
  const completionTokens = numberOf(usage['completion_tokens']) ?? 0;
  return {
    promptTokens,
    completionTokens,
    totalTokens: numberOf(usage['total_tokens']) ?? promptTokens + completionTokens,
  };
};

/** undefined when the value is no run. */
export const readRun = (value: unknown): UpstreamRun | undefined => {
  const run = asRecord(value);
  const id = idOf(run?.['id']);
  const status = textOf(run?.['status']);
  if (run === undefined || id === null || status === null) return undefined;
  const action = asRecord(run['required_action']);
  const { calls, malformed } = callsOf(action);
  const error = asRecord(run['last_error']);
  const details = asRecord(run['incomplete_details']);
  const usage = usageOf(run['usage']);
  const reason = textOf(details?.['reason']);
  return {
    id,
    status,
    createdAt: timeOf(run['created_at']),
    expiresAt: timeOf(run['expires_at']),
    assistantId: textOf(run['assistant_id']),
    actionType: textOf(action?.['type']),
    calls,
    malformedCalls: malformed,
    toolNames: toolNamesOf(run['tools']),
    metadata: metadataOf(run['metadata']),
    ...(usage === undefined ? {} : { usage }),
    ...(error === undefined
      ? {}
      : {
          lastError: {
            code: cut(textOf(error['code']) ?? 'unknown'),
            message: cut(textOf(error['message']) ?? ''),
          },
        }),
    ...(details === undefined ? {} : { incompleteDetails: reason === null ? {} : { reason: cut(reason) } }),
  };
};

export const tokenOf = (run: UpstreamRun): string | null => run.metadata?.[METADATA.token] ?? null;

export interface PageOf<T> {
  items: T[];
  hasMore: boolean;
  lastId: string | null;
}

/** A list answer; a bare array is read as the only page. undefined when the value is neither. */
export const parseRunsPage = <T>(
  value: unknown,
  read: (item: unknown) => T | undefined,
): PageOf<T> | undefined => {
  const page = asRecord(value);
  const data = Array.isArray(value) ? (value as unknown[]) : page?.['data'];
  if (!Array.isArray(data)) return undefined;
  const items = (data as unknown[]).map(read).filter((item) => item !== undefined);
  return {
    items,
    hasMore: page?.['has_more'] === true,
    lastId: textOf(page?.['last_id']) ?? textOf(asRecord(data.at(-1))?.['id']),
  };
};

/** Outputs that a step shows, by call id; null = the call is there without an output. */
export const readStepOutputs = (value: unknown): Map<string, string | null> => {
  const outputs = new Map<string, string | null>();
  const calls = asRecord(asRecord(value)?.['step_details'])?.['tool_calls'];
  for (const item of Array.isArray(calls) ? (calls as unknown[]) : []) {
    const call = asRecord(item);
    const id = textOf(call?.['id']);
    const output = asRecord(call?.['function'])?.['output'];
    if (id !== null) outputs.set(id, typeof output === 'string' ? output : null);
  }
  return outputs;
};
