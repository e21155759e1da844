/**
 * What a chat-completions server checks before it answers, and what a script receives from the request.
 *
 * Rule: as strict as real servers where an orchestrator can go wrong (every tool call answered, no orphan answers),
 * loose elsewhere: unknown parameters pass. Only `testing/model.ts` imports it.
 */
import { ApiError } from '../protocol/errors.ts';
import type { FunctionTool } from '../protocol/wire/objects.ts';
import type { TurnInput } from './script.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

interface ChatCall {
  id: string;
  name: string;
  arguments: string;
}
interface ChatMessage {
  role: string;
  text: string;
  calls: ChatCall[];
  callId: string | null;
}

export interface ChatRequest {
  model: string;
  stream: boolean;
  includeUsage: boolean;
  maxTokens: number | null;
  toolChoice: unknown;
  parallel: boolean;
  /** The answer must be JSON. */
  wantsJson: boolean;
  turn: Omit<TurnInput, 'argument'>;
}

const wantsJson = (format: unknown): boolean =>
  isRecord(format) && (format['type'] === 'json_object' || format['type'] === 'json_schema');

const bad = (param: string, message: string, code: string | null = null): ApiError =>
  new ApiError(400, message, { param, code });

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];

const contentText = (content: unknown, param: string): string => {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content))
    throw bad(param, `Invalid type for '${param}': expected a string or an array of parts.`);
  return content
    .map((part) => (isRecord(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
};

const readCalls = (value: unknown, param: string): ChatCall[] => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length === 0)
    throw bad(param, `Invalid '${param}': expected a non-empty array of tool calls.`);
  return value.map((call: unknown, index) => {
    const fn = isRecord(call) ? call['function'] : undefined;
    if (
      !isRecord(call) ||
      !isRecord(fn) ||
      typeof call['id'] !== 'string' ||
      typeof fn['name'] !== 'string' ||
      typeof fn['arguments'] !== 'string'
    )
      throw bad(
        `${param}[${index}]`,
        `Invalid '${param}[${index}]': a tool call needs 'id', 'type' and 'function' with 'name' and 'arguments' (a JSON string).`,
      );
    return { id: call['id'], name: fn['name'], arguments: fn['arguments'] };
  });
};

const readMessage = (value: unknown, index: number): ChatMessage => {
  const param = `messages[${index}]`;
  if (!isRecord(value)) throw bad(param, `Invalid type for '${param}': expected an object.`);
  const {
    role,
    content,
    tool_calls: calls,
    tool_call_id: callId,
  } = value as {
    role?: unknown;
    content?: unknown;
    tool_calls?: unknown;
    tool_call_id?: unknown;
  };
  if (typeof role !== 'string' || !ROLES.includes(role))
    throw bad(
      `${param}.role`,
      `Invalid value: ${JSON.stringify(role)} for '${param}.role'. Supported values are: ${ROLES.map((item) => `'${item}'`).join(', ')}.`,
      'invalid_value',
    );
  const read: ChatMessage = {
    role,
    text: contentText(content, `${param}.content`),
    calls: role === 'assistant' ? readCalls(calls, `${param}.tool_calls`) : [],
    callId: role === 'tool' && typeof callId === 'string' ? callId : null,
  };
  if (role === 'tool' && read.callId === null)
    throw bad(
      `${param}.tool_call_id`,
      `Missing required parameter: '${param}.tool_call_id'.`,
      'missing_required_parameter',
    );
  if (
    (role === 'user' || role === 'system' || role === 'tool') &&
    (content === null || content === undefined)
  )
    throw bad(
      `${param}.content`,
      `Invalid value for '${param}.content': expected a string, got ${JSON.stringify(content ?? null)}.`,
      'invalid_type',
    );
  if (role === 'assistant' && read.calls.length === 0 && (content === null || content === undefined))
    throw bad(
      `${param}.content`,
      `Invalid value for '${param}.content': an assistant message without tool calls needs content.`,
    );
  return read;
};

/** Every call is answered right after it is made, and nothing answers a call that was not made. */
const checkCalls = (messages: readonly ChatMessage[]): void => {
  let open: string[] = [];
  const refuseOpen = (index: number): void => {
    if (open.length > 0)
      throw bad(
        `messages[${index}].role`,
        `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${open.join(', ')}`,
      );
  };
  for (const [index, message] of messages.entries()) {
    if (message.role === 'tool') {
      const at = open.indexOf(message.callId ?? '');
      if (at < 0)
        throw bad(
          `messages[${index}].role`,
          `Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.`,
        );
      open.splice(at, 1);
      continue;
    }
    refuseOpen(index);
    open = message.calls.map((call) => call.id);
  }
  refuseOpen(messages.length);
};

const readTools = (value: unknown): FunctionTool[] => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value))
    throw bad('tools', `Invalid type for 'tools': expected an array.`, 'invalid_type');
  if (value.length === 0)
    throw bad(
      'tools',
      `Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
      'empty_array',
    );
  return value.map((tool: unknown, index) => {
    const fn = isRecord(tool) ? tool['function'] : undefined;
    if (!isRecord(tool) || tool['type'] !== 'function' || !isRecord(fn) || typeof fn['name'] !== 'string')
      throw bad(
        `tools[${index}]`,
        `Invalid 'tools[${index}]': expected {"type":"function","function":{"name":…}}.`,
      );
    return tool as unknown as FunctionTool;
  });
};

/** The turn as a script sees it, from the messages alone: the model keeps nothing between requests. */
const turnOf = (
  messages: readonly ChatMessage[],
  model: string,
  tools: FunctionTool[],
): ChatRequest['turn'] => {
  const lastUser = messages.findLastIndex((message) => message.role === 'user');
  const since = messages.slice(lastUser + 1);
  const rounds = since.filter((message) => message.calls.length > 0);
  const calls = rounds.at(-1)?.calls ?? [];
  // Ids may repeat from round to round on some servers, so only answers after the last calls count.
  const answers = since.slice(since.findLastIndex((message) => message.calls.length > 0) + 1);
  const system = messages.filter((message) => message.role === 'system' || message.role === 'developer');
  return {
    round: rounds.length,
    messages: messages
      .filter((message) => message.role === 'user' || (message.role === 'assistant' && message.text !== ''))
      .map(({ role, text }) => ({ role, text })),
    outputs: calls.map((call) => ({
      callId: call.id,
      name: call.name,
      arguments: call.arguments,
      output: answers.find((message) => message.callId === call.id)?.text ?? '',
    })),
    model,
    instructions: system.length === 0 ? null : system.map(({ text }) => text).join('\n\n'),
    tools,
    assistant: null,
    run: null,
  };
};

const number = (value: unknown, param: string): number | null => {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw bad(
    param,
    `Invalid '${param}': expected a whole number above 0, got ${JSON.stringify(value)}.`,
    'invalid_value',
  );
};

export const readChatRequest = (body: unknown): ChatRequest => {
  if (!isRecord(body)) throw bad('body', 'Invalid type for the request body: expected an object.');
  const {
    model,
    messages,
    stream,
    stream_options: streamOptions,
    tools,
    tool_choice: toolChoice,
  } = body as {
    model?: unknown;
    messages?: unknown;
    stream?: unknown;
    stream_options?: unknown;
    tools?: unknown;
    tool_choice?: unknown;
  };
  if (typeof model !== 'string' || model === '')
    throw new ApiError(400, 'you must provide a model parameter');
  if (!Array.isArray(messages) || messages.length === 0)
    throw bad(
      'messages',
      `Invalid 'messages': expected an array with minimum length 1.`,
      messages === undefined ? 'missing_required_parameter' : 'empty_array',
    );
  if (streamOptions != null && stream !== true)
    throw bad('stream_options', "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
  const declared = readTools(tools);
  if (toolChoice !== undefined && declared.length === 0)
    throw bad(
      'tool_choice',
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
    );
  if (body['parallel_tool_calls'] !== undefined && declared.length === 0)
    throw bad(
      'parallel_tool_calls',
      "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
    );
  const read = messages.map(readMessage);
  checkCalls(read);
  return {
    wantsJson: wantsJson(body['response_format']),
    model,
    stream: stream === true,
    includeUsage: isRecord(streamOptions) && streamOptions['include_usage'] === true,
    maxTokens:
      number(body['max_completion_tokens'], 'max_completion_tokens') ??
      number(body['max_tokens'], 'max_tokens'),
    toolChoice,
    parallel: body['parallel_tool_calls'] !== false,
    turn: turnOf(read, model, declared),
  };
};
