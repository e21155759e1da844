/**
 * Checks input: bodies, ids, page queries; and rejects features that this server lacks.
 *
 * Rule: all outside input passes here before the service sees it; features that are not served are named and rejected,
 * never ignored. Their empty forms (`attachments: []`, `tool_resources: null`), which official clients may send, are
 * dropped. Imports protocol and zod's types only.
 */
import type { z } from 'zod';
import type { MessageParams, PageQuery, ThreadParams } from '../protocol/ports/runs-service.ts';
import { apiErrors } from '../protocol/errors.ts';
import { idProblem, shortenText, quote } from '../protocol/rules/validation.ts';
import type { MessageContent } from '../protocol/wire/objects.ts';
import { invalidBody } from './errors.ts';
import { firstIssues } from './first-issue.ts';
import { normalizeBody } from './normalize.ts';
import { INSTEAD_OF_BUILT_IN, INSTEAD_OF_FILES } from './unsupported.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

/** JSON never contains undefined, so optional keys of the schema and of the hand-written types mean the same. */
export type Exact<T> = T extends (infer Item)[]
  ? Exact<Item>[]
  : T extends object
    ? { [Key in keyof T]: Exact<Exclude<T[Key], undefined>> }
    : T;

export const parseBody = <Schema extends z.ZodType>(
  schema: Schema,
  sent: unknown,
): Exact<z.infer<Schema>> => {
  const body = normalizeBody(schema, sent);
  const issues = firstIssues(schema, body);
  if (issues !== null) throw invalidBody(issues, body);
  return body as Exact<z.infer<Schema>>;
};

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.values(value).every(isEmpty));

const BUILT_IN_TOOLS: Record<string, string> = {
  code_interpreter: 'The code_interpreter tool',
  file_search: 'The file_search tool',
  retrieval: 'The retrieval tool',
};

/** Rejects, by name, features of the original API that this server lacks; returns the body without their empty forms. */
export const rejectUnsupported = (body: unknown, path = ''): unknown => {
  if (!isRecord(body)) return body;
  const rest: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(body)) {
    const name = path === '' ? key : `${path}.${key}`;
    if (key === 'tool_resources' || key === 'attachments' || key === 'file_ids') {
      if (isEmpty(value)) continue;
      throw apiErrors.unsupported(name, `'${key}'`, INSTEAD_OF_FILES);
    }
    if (key === 'tools' && Array.isArray(value)) {
      for (const [index, tool] of value.entries()) {
        const what =
          isRecord(tool) && typeof tool['type'] === 'string' ? BUILT_IN_TOOLS[tool['type']] : undefined;
        if (what !== undefined)
          throw apiErrors.unsupported(`${name}[${index}].type`, what, INSTEAD_OF_BUILT_IN);
      }
    }
    if (key === 'content' && Array.isArray(value)) {
      for (const [index, part] of value.entries()) {
        if (isRecord(part) && part['type'] === 'image_file')
          throw apiErrors.unsupported(
            `${name}[${index}].type`,
            "Content of type 'image_file'",
            "Use 'image_url'.",
          );
      }
    }
    if ((key === 'messages' || key === 'additional_messages') && Array.isArray(value))
      rest[key] = value.map((item, index) => rejectUnsupported(item, `${name}[${index}]`));
    else rest[key] = key === 'thread' ? rejectUnsupported(value, name) : value;
  }
  return rest;
};

export const parseId = (param: string, value: string | undefined): string => {
  const problem = idProblem(param, value);
  if (problem !== undefined || value === undefined)
    throw apiErrors.invalid(param, `Invalid '${param}': ${problem}.`);
  return value;
};

/** Contents of file searches, the only value that the vendor's API knows. No step here has any. */
const INCLUDE_VALUE = 'step_details.tool_calls[*].file_search.results[*].content';
const INCLUDE = /^include(?:\[\d*\])?$/;

/**
 * The query parameters that a route accepts. Others are rejected like unknown body keys; an empty value counts as
 * absent.
 */
export const parseQuery = (url: URL, known: readonly string[]): Record<string, string> => {
  const query: Record<string, string> = {};
  for (const [key, value] of url.searchParams) {
    // Azure's clients add it to every request; it selects nothing here.
    if (key === 'api-version') continue;
    if (INCLUDE.test(key) && known.includes('include[]')) {
      if (value !== '' && value !== INCLUDE_VALUE)
        throw apiErrors.invalid(
          'include',
          `Invalid value: ${quote(value)} for 'include'. Supported values are: '${INCLUDE_VALUE}'.`,
          'invalid_value',
        );
    } else if (!known.includes(key))
      throw apiErrors.invalid(
        shortenText(key),
        `Unknown query parameter: '${shortenText(key)}'.`,
        'unknown_parameter',
      );
    else if (value !== '') query[key] = value;
  }
  return query;
};

/** A value of a query parameter that takes only these. */
export const parseChoice = <Choice extends string>(
  name: string,
  value: string,
  choices: readonly Choice[],
): Choice => {
  const chosen = choices.find((choice) => choice === value);
  if (chosen !== undefined) return chosen;
  throw apiErrors.invalid(
    name,
    `Invalid value: ${quote(value)} for '${name}'. Supported values are: ${choices.map((choice) => `'${choice}'`).join(', ')}.`,
    'invalid_value',
  );
};

/** A time in unix seconds. */
export const parseTime = (name: string, text: string): number => {
  if (!/^\d{1,12}$/.test(text))
    throw apiErrors.invalid(
      name,
      `Invalid '${name}': expected a time in unix seconds, but got ${quote(text)} instead.`,
      'invalid_value',
    );
  return Number(text);
};

export const PAGE_KEYS = ['limit', 'order', 'after', 'before'] as const;

export const parsePage = (query: Record<string, string>): PageQuery => {
  const { limit = '20', order = 'desc', after, before } = query;
  const count = Number(limit);
  if (!/^\d{1,6}$/.test(limit) || count < 1 || count > 100)
    throw apiErrors.invalid(
      'limit',
      `Invalid 'limit': expected a whole number from 1 to 100, but got ${quote(limit)} instead.`,
      'invalid_value',
    );
  return {
    limit: count,
    order: parseChoice('order', order, ['asc', 'desc']),
    ...(after === undefined ? {} : { after: parseId('after', after) }),
    ...(before === undefined ? {} : { before: parseId('before', before) }),
  };
};

type SentContent =
  | string
  | ({ type: 'text'; text: string } | Extract<MessageContent, { type: 'image_url' }>)[];
interface SentMessage {
  role: 'user' | 'assistant';
  content: SentContent;
  metadata?: Record<string, string> | null;
}

/** Converts a message from the request to the form of the store: text parts get their annotations. */
export const messageParams = (sent: SentMessage): MessageParams => ({
  role: sent.role,
  content:
    typeof sent.content === 'string'
      ? sent.content
      : sent.content.map((part) =>
          part.type === 'text' ? { type: 'text', text: { value: part.text, annotations: [] } } : part,
        ),
  ...(sent.metadata === undefined ? {} : { metadata: sent.metadata }),
});

interface SentThread {
  messages?: SentMessage[];
  metadata?: Record<string, string> | null;
}

export const threadParams = ({ messages, ...rest }: SentThread): ThreadParams => ({
  ...rest,
  ...(messages === undefined ? {} : { messages: messages.map(messageParams) }),
});
