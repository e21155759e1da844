/**
 * The part of a turn's request that is the same for all libraries.
 *
 * Rule: only what the turn asks for is set. A tool always has parameters. Pure. Imported by the adapters.
 */
import type { ModelRequest } from '../../../protocol/ports/model.ts';
import type { FunctionTool } from '../../../protocol/wire/objects.ts';
import { text } from '../openai-compatible/json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';
import type { SdkCallOptions, SdkMessage, SdkTool, SdkToolChoice } from './sdk-types.ts';

const toolOf = ({ function: { name, description, parameters, strict } }: FunctionTool): SdkTool => ({
  type: 'function',
  name,
  ...(description === undefined ? {} : { description }),
  inputSchema: parameters ?? { type: 'object', properties: {} },
  ...(strict == null ? {} : { strict }),
});

const choiceOf = (choice: ModelRequest['toolChoice']): SdkToolChoice | null => {
  if (choice === null || choice === 'auto') return null;
  return typeof choice === 'string' ? { type: choice } : { type: 'tool', toolName: choice.function.name };
};

const formatOf = (format: ModelRequest['responseFormat']): SdkCallOptions['responseFormat'] => {
  if (format === null || format === 'auto' || format.type === 'text') return undefined;
  if (format.type === 'json_object') return { type: 'json' };
  const { name, description, schema } = format.json_schema;
  return {
    type: 'json',
    ...(isRecord(schema) ? { schema } : {}),
    ...(text(name) === '' ? {} : { name: text(name) }),
    ...(text(description) === '' ? {} : { description: text(description) }),
  };
};

/** Does the run ask for an answer that keeps its schema strictly? */
export const strictSchema = ({ responseFormat }: ModelRequest): boolean =>
  responseFormat !== null &&
  responseFormat !== 'auto' &&
  responseFormat.type === 'json_schema' &&
  responseFormat.json_schema['strict'] === true;

export const commonOptions = (request: ModelRequest, prompt: SdkMessage[]): SdkCallOptions => {
  const { temperature, topP, maxOutputTokens } = request;
  const tools = request.tools.map(toolOf);
  const toolChoice = choiceOf(request.toolChoice);
  const responseFormat = formatOf(request.responseFormat);
  return {
    prompt,
    ...(tools.length === 0 ? {} : { tools, ...(toolChoice === null ? {} : { toolChoice }) }),
    ...(responseFormat === undefined ? {} : { responseFormat }),
    ...(temperature === null ? {} : { temperature }),
    ...(topP === null ? {} : { topP }),
    ...(maxOutputTokens === null ? {} : { maxOutputTokens }),
  };
};
