/**
 * An answer in JSON as the call of a tool, for models whose provider takes no format by the operator's word.
 *
 * Rule: the same tool, and the same reading of its call, as for servers of chat completions. The provider's data of a turn in which
 * the tool was called does not go back: it belongs to a call that later turns do not have.
 * Imported by the adapter.
 */
import type { ModelPart, ModelRequest } from '../../../protocol/ports/model.ts';
import { answerToolOf, jsonFormat } from '../openai-compatible/answer-tool.ts';
import { JsonAnswerFilter } from '../openai-compatible/json-answer.ts';

export interface AnswerByTool {
  /** The request as the provider gets it. */
  request: ModelRequest;
  /** What of the parts is passed on. Throws `NotJson`. */
  take(parts: readonly ModelPart[]): ModelPart[];
}

const REFUSED: ReadonlySet<'no_response_format'> = new Set(['no_response_format'] as const);

/** null = the turn is asked as it is. */
export const answerByTool = (request: ModelRequest): AnswerByTool | null => {
  const format = jsonFormat(request);
  if (format === null || request.capabilities.jsonSchema !== false) return null;
  const answerTool = answerToolOf(request, REFUSED);
  const filter = new JsonAnswerFilter({ ...format, tools: request.tools.length > 0, answerTool });
  const name = answerTool?.tool.function.name;
  let answered = false;
  let calls = 0;
  const seen = (part: ModelPart): ModelPart => {
    if (part.kind === 'call_begun') {
      if (part.name === name) answered = true;
      else calls += 1;
    }
    return part.kind === 'provider_turn' && answered
      ? { ...part, turn: { ...part.turn, ids: Array<null>(calls).fill(null), data: null } }
      : part;
  };
  const own = request.toolChoice === 'none' ? [] : request.tools;
  return {
    request:
      answerTool === null
        ? { ...request, responseFormat: null }
        : { ...request, responseFormat: null, tools: [...own, answerTool.tool], toolChoice: 'required' },
    take: (parts) => filter.take(parts.map(seen)),
  };
};
