/**
 * The tool that a model calls to give an answer in JSON, for servers that do not take `response_format`.
 *
 * Rule: the tool is between this adapter and its server: its call becomes the answer's text, and the API's caller sees no call.
 * Its name is none of the request's tools. Parameters of a tool are an object, so that an answer of another type stands in
 * one property of it. Pure. Imported within `backends/models/openai-compatible/` and by tests.
 */
import type { ModelRequest } from '../../../protocol/ports/model.ts';
import type { FunctionTool } from '../../../protocol/wire/objects.ts';
import type { Adjustment } from './capabilities.ts';
import { record } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

/** The property that holds an answer that is no object. */
export const WRAPPED = 'value';

export interface AnswerTool {
  tool: FunctionTool;
  /** The answer is the property `WRAPPED` of the arguments. */
  wrapped: boolean;
}

/** Is the answer to be JSON? `object`: it can be an object only. */
export const jsonFormat = ({ responseFormat }: ModelRequest): { object: boolean } | null => {
  if (responseFormat === null || responseFormat === 'auto' || responseFormat.type === 'text') return null;
  if (responseFormat.type === 'json_object') return { object: true };
  return { object: isObjectSchema(responseFormat.json_schema['schema']) };
};

const isObjectSchema = (schema: unknown): boolean =>
  schema === undefined || (isRecord(schema) && schema['type'] === 'object');

/** Values of these keywords are data, in which `$ref` refers to nothing. */
const DATA: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);

/** References within a schema that now stands below `place`. */
const moved = (schema: unknown, place: string): unknown => {
  if (Array.isArray(schema)) return schema.map((item) => moved(item, place));
  if (!isRecord(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (key === '$ref' && typeof value === 'string' && (value === '#' || value.startsWith('#/')))
        return [key, `${place}${value.slice(1)}`];
      return [key, DATA.has(key) ? value : moved(value, place)];
    }),
  );
};

const parametersOf = (schema: unknown, wrapped: boolean): Record<string, unknown> => {
  if (!wrapped) return isRecord(schema) ? schema : { type: 'object' };
  return {
    type: 'object',
    properties: { [WRAPPED]: moved(schema, `#/properties/${WRAPPED}`) },
    required: [WRAPPED],
    additionalProperties: false,
  };
};

const freeName = (taken: ReadonlySet<string>): string => {
  let name = 'final_answer';
  for (let number = 2; taken.has(name); number += 1) name = `final_answer_${number}`;
  return name;
};

const DESCRIPTION = 'Gives the final answer. Call it once, when no other tool is needed any more.';

const build = (request: ModelRequest): AnswerTool => {
  const format = request.responseFormat;
  const given =
    format !== null && format !== 'auto' && format.type === 'json_schema' ? format.json_schema : {};
  const { schema, description, strict } = record(given);
  const wrapped = !isObjectSchema(schema);
  const about = typeof description === 'string' && description !== '' ? ` ${description}` : '';
  return {
    wrapped,
    tool: {
      type: 'function',
      function: {
        name: freeName(new Set(request.tools.map((tool) => tool.function.name))),
        description: `${DESCRIPTION}${about}`,
        parameters: parametersOf(schema, wrapped),
        ...(strict === true ? { strict } : {}),
      },
    },
  };
};

/** The run has chosen the tool of this turn, so the turn is no answer. */
const mustCall = ({ toolChoice, tools }: ModelRequest): boolean =>
  tools.length > 0 && toolChoice !== null && toolChoice !== 'auto' && toolChoice !== 'none';

export const refusesFormat = (
  { tools }: Pick<ModelRequest, 'tools'>,
  adjustments: ReadonlySet<Adjustment>,
): boolean =>
  adjustments.has('no_response_format') ||
  (tools.length > 0 && adjustments.has('no_response_format_with_tools'));

/** null = the turn needs none: its answer is text, the server takes the format, or the turn has to call a tool. */
export const answerToolOf = (
  request: ModelRequest,
  adjustments: ReadonlySet<Adjustment>,
): AnswerTool | null =>
  jsonFormat(request) === null || !refusesFormat(request, adjustments) || mustCall(request)
    ? null
    : build(request);
