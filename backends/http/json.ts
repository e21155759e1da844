/**
 * JSON from an upstream server, within bounds.
 *
 * Rule: depth and number of values are checked before parsing (a hundred kilobytes of "[" must not cost a stack, megabytes of
 * "{}," not twenty times as much memory), `__proto__` keys are dropped after it (harmless in a parsed object, not in one that
 * is copied by assignment).
 * Imports protocol. Backends and tests import it.
 */
import { dropProtoKeys, jsonExcess, mayHoldProto } from '../../protocol/json-scan.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';

export class JsonDepthError extends Error {
  override readonly name = 'JsonDepthError';
}

export class JsonValuesError extends Error {
  override readonly name = 'JsonValuesError';
}

/**
 * Parses, or throws `SyntaxError`, `JsonDepthError` or `JsonValuesError`. Default: 100 levels, 250,000 values (a page
 * of a hundred runs with everything that they can hold).
 */
export const parseJson = (text: string, maxDepth = 100, maxValues = 250_000): unknown => {
  const excess = jsonExcess(text, { depth: maxDepth, values: maxValues });
  if (excess?.what === 'depth') throw new JsonDepthError(`JSON nested deeper than ${maxDepth} levels`);
  if (excess !== null) throw new JsonValuesError(`JSON with more than ${maxValues} values`);
  const value: unknown = JSON.parse(text);
  if (mayHoldProto(text)) dropProtoKeys(value);
  return value;
};

/** A plain object to read fields from; undefined for anything else. */
export const asRecord = (value: unknown): Record<string, unknown> | undefined =>
  isRecord(value) ? value : undefined;
