/**
 * Fields of messages and calls that only the server understands, collected so that they can be sent back unchanged.
 *
 * Rule: pieces of a stream are joined (texts of reasoning, items of a list by their index); any other value is replaced
 * by a later one. Empty values and fields that servers do not accept back are left out. Pure. Imported within
 * `backends/models/openai-compatible/`.
 */
import { isRecord } from '../../../protocol/rules/is-record.ts';

export type Fields = Record<string, unknown>;

/** Texts that come in pieces: of reasoning, whatever it is called. */
const CONCATENATED_FIELDS = /reason|think|summary/i;

/** Fields that servers send and do not accept back. */
const RESPONSE_ONLY_FIELDS = new Set([
  'role',
  'content',
  'refusal',
  'annotations',
  'audio',
  'logprobs',
  'stop_reason',
  'token_ids',
  'usage',
  'padding',
  'obfuscation',
  'images',
]);

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0);

/** Items with an index and a type are joined with the item before of the same index and type. */
const joinItems = (items: unknown[], more: unknown[]): unknown[] => {
  for (const item of more) {
    const last = items.at(-1);
    const joins =
      isRecord(item) &&
      isRecord(last) &&
      item['index'] !== undefined &&
      item['index'] === last['index'] &&
      item['type'] === last['type'];
    if (!joins) items.push(item);
    else items[items.length - 1] = joinRecord(last, item);
  }
  return items;
};

const joinRecord = (
  before: Record<string, unknown>,
  more: Record<string, unknown>,
): Record<string, unknown> => {
  const joined = { ...before };
  for (const [name, value] of Object.entries(more)) {
    if (value === null || value === undefined) continue;
    const old = joined[name];
    const pieces = name === 'text' || name === 'summary' || name === 'data';
    joined[name] = pieces && typeof old === 'string' && typeof value === 'string' ? old + value : value;
  }
  return joined;
};

/** Adds the unknown fields of `raw` to `fields`; below `under` when it is given. */
export const collectFields = (
  fields: Fields,
  raw: Record<string, unknown>,
  known: ReadonlySet<string>,
  under?: string,
): void => {
  for (const name of Object.keys(raw)) {
    if (known.has(name) || RESPONSE_ONLY_FIELDS.has(name) || name === '__proto__') continue;
    const value = raw[name];
    if (isEmpty(value)) continue;
    const inner = under === undefined ? fields : innerOf(fields, under);
    const old = inner[name];
    if (typeof value === 'string' && typeof old === 'string' && CONCATENATED_FIELDS.test(name))
      inner[name] = old + value;
    else if (Array.isArray(value) && Array.isArray(old)) inner[name] = joinItems(old, value);
    else inner[name] = Array.isArray(value) ? joinItems([], value) : value;
  }
};

const innerOf = (fields: Fields, name: string): Fields => {
  const inner = fields[name];
  if (isRecord(inner)) return inner;
  const made: Fields = {};
  fields[name] = made;
  return made;
};
