/**
 * Problem functions: they take a value and return a sentence that says what is wrong with it, or undefined. Client,
 * HTTP API, worker and workflow share them, so the four never disagree.
 *
 * Rule: no throwing, no dependency; a message names subject, rule, offending value and fix.
 * Imports limits only. Any room may import it; the workflow sandbox may too.
 */
import { BALLOT_LIMITS, LIMITS } from '../limits.ts';
import { isRecord } from './is-record.ts';

const ID = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/;
const TOOL_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Shortens a value that may be large before it is serialised. */
const beginning = (value: unknown, max: number): unknown => {
  if (typeof value === 'string') return value.slice(0, max);
  if (Array.isArray(value)) return value.length > max ? value.slice(0, max) : value;
  return value;
};

/** A value for an error message: JSON, shortened, never throwing. */
export const quote = (value: unknown, max = 80): string => {
  let text: string | undefined;
  let seen = 0;
  try {
    // Beyond the budget the rest is left out; it would be cut off anyway.
    text = JSON.stringify(beginning(value, max + 1), (_key, item: unknown) =>
      (seen += 1) > max ? undefined : beginning(item, max + 1),
    );
  } catch {
    text = undefined;
  }
  text ??= typeof value === 'bigint' ? `${value}n` : typeof value;
  return text.length > max ? `${text.slice(0, max)}…` : text;
};

/** A name from input, short enough to repeat in a message. */
export const shortenText = (name: string, max = 128): string =>
  name.length > max ? `${name.slice(0, max)}…` : name;

/** Ids go into paths, workflow ids and logs: no slashes, spaces or control characters. */
export const idProblem = (subject: string, value: unknown): string | undefined =>
  typeof value === 'string' && ID.test(value)
    ? undefined
    : `${subject} must be 1 to 128 letters, digits, "_", "-", "." or ":", starting with a letter, digit or "_"; got ${quote(value)}`;

/** Problems of a text that is stored: PostgreSQL has no U+0000, and UTF-8 has no lone surrogate. */
export const textProblem = (value: string): string | undefined =>
  /[\0\p{Cs}]/u.test(value)
    ? `it must not hold U+0000 or half of a surrogate pair; got ${quote(value)}`
    : undefined;

export const toolNameProblem = (value: unknown): string | undefined =>
  typeof value === 'string' && TOOL_NAME.test(value)
    ? undefined
    : `A tool's name must be 1 to 64 letters, digits, "_" or "-"; got ${quote(value)}`;

export const metadataProblem = (value: unknown): string | undefined => {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'object' || Array.isArray(value))
    return `metadata must be an object of strings; got ${quote(value)}`;
  const entries = Object.entries(value);
  if (entries.length > LIMITS.metadataPairs)
    return `metadata may have at most ${LIMITS.metadataPairs} pairs; got ${entries.length}`;
  for (const [key, item] of entries) {
    if (key.length > LIMITS.metadataKey)
      return `metadata keys may have at most ${LIMITS.metadataKey} characters; ${quote(key)} has ${key.length}`;
    if (typeof item !== 'string') return `metadata values must be strings; ${quote(key)} is ${quote(item)}`;
    if (item.length > LIMITS.metadataValue)
      return `metadata values may have at most ${LIMITS.metadataValue} characters; ${quote(key)} has ${item.length}`;
  }
  return undefined;
};

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/;

/** `"90s"`, `"15m"`, `"2h"`, `"1.5d"`, `"500ms"` or a number of milliseconds → milliseconds; undefined = neither. */
export const parseDuration = (value: unknown): number | undefined => {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  const match = DURATION.exec(value.trim());
  const unit = match?.[2] === undefined ? undefined : UNITS[match[2]];
  return match?.[1] === undefined || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
};

export const durationProblem = (subject: string, value: unknown): string | undefined =>
  parseDuration(value) === undefined
    ? `${subject} needs a number and a unit, such as "90s", "15m", "2h" or "3d"; got ${quote(value)}`
    : undefined;

/** A JSON object, or the text of one; null = neither. */
export const jsonObject = (value: unknown): Record<string, unknown> | null => {
  if (typeof value !== 'string') return isRecord(value) ? value : null;
  try {
    const parsed: unknown = JSON.parse(value);
    return isRecord(parsed) ? parsed : null;
  } catch {
    return null;
  }
};

/** 32 digits, or the whole digest: the run compares it with the digest in its plan. */
const DIGEST = /^[0-9a-f]{32,64}$/;

const ANSWER_SHAPES =
  'send one JSON object {"call_id": "…", "output": "…"} or {"call_id": "…", "decision": "approve" | "deny"}';

/** What is wrong with the people and groups to whom a decision is handed over. */
export const handOverProblem = (to: unknown): string | undefined => {
  const shape = `to must be an object with people, groups or both: lists of 1 to ${BALLOT_LIMITS.names} names in all, each of 1 to ${LIMITS.id} characters; got ${quote(to)}`;
  if (!isRecord(to)) return shape;
  const { people = [], groups = [], ...others } = to;
  if (!Array.isArray(people) || !Array.isArray(groups) || Object.keys(others).length > 0) return shape;
  const names: unknown[] = [...people, ...groups];
  const good = names.every((name) => typeof name === 'string' && name !== '' && name.length <= LIMITS.id);
  return good && names.length > 0 && names.length <= BALLOT_LIMITS.names ? undefined : shape;
};

/** What is wrong with the shape of an `AnswerPayload`. The run decides whether the call exists and still waits. */
export const answerPayloadProblem = (value: unknown): string | undefined => {
  if (!isRecord(value)) return `An answer must be a JSON object; got ${quote(value)}: ${ANSWER_SHAPES}`;
  const { call_id, output, decision, arguments: edited, reason, by, note, run_id, to } = value;
  const { arguments_digest: digest } = value;
  if (typeof call_id !== 'string' || call_id === '' || call_id.length > LIMITS.id)
    return `call_id must be the id of the call that is answered; got ${quote(call_id)}: ${ANSWER_SHAPES}`;
  if (output !== undefined && decision !== undefined)
    return `An answer to ${quote(call_id)} takes output or decision, not both: ${ANSWER_SHAPES}`;
  if (output === undefined && decision === undefined)
    return `An answer to ${quote(call_id)} needs output or decision; got the keys ${quote(Object.keys(value))}: ${ANSWER_SHAPES}`;
  if (decision !== undefined && decision !== 'approve' && decision !== 'deny' && decision !== 'delegate')
    return `decision must be "approve", "deny" or "delegate"; got ${quote(decision)}`;
  if ((to != null) !== (decision === 'delegate'))
    return decision === 'delegate'
      ? `A decision "delegate" about ${quote(call_id)} needs to: {"people": ["…"]} or {"groups": ["…"]}`
      : `to goes with "decision": "delegate" only; got ${quote(to)}`;
  if (to != null && handOverProblem(to) !== undefined) return handOverProblem(to);
  if (edited != null && decision !== 'approve')
    return `arguments go with "decision": "approve" only; got ${quote(edited)}`;
  if (edited != null && jsonObject(edited) === null)
    return `arguments must be a JSON object, or a JSON object as text; got ${quote(edited)}`;
  if (digest != null && decision === undefined)
    return `arguments_digest goes with a decision only; got ${quote(digest)}`;
  if (digest != null && (typeof digest !== 'string' || !DIGEST.test(digest)))
    return `arguments_digest must be the hex digest that is shown beside the arguments; got ${quote(digest)}`;
  if (reason != null && (typeof reason !== 'string' || reason.length > LIMITS.reasonChars))
    return `reason must be text of at most ${LIMITS.reasonChars} characters; got ${quote(reason)}`;
  if (by != null && (typeof by !== 'string' || by.length > LIMITS.id))
    return `by must be text of at most ${LIMITS.id} characters; got ${quote(by)}`;
  if (note != null && (typeof note !== 'string' || note.length > LIMITS.reasonChars))
    return `note must be text of at most ${LIMITS.reasonChars} characters; got ${quote(note)}`;
  if (run_id != null && typeof run_id !== 'string') return `run_id must be text; got ${quote(run_id)}`;
  return undefined;
};

/** What is wrong with the shape of a `SubmitPayload`. */
export const submitPayloadProblem = (value: unknown): string | undefined => {
  if (!isRecord(value)) return `A submit must be a JSON object; got ${quote(value)}`;
  if (typeof value['run_id'] !== 'string')
    return `run_id must be the id of the run; got ${quote(value['run_id'])}`;
  const outputs = value['tool_outputs'];
  if (!Array.isArray(outputs) || outputs.length === 0)
    return `tool_outputs must be a list with one output for each open call; got ${quote(outputs)}`;
  for (const [index, item] of outputs.entries()) {
    if (!isRecord(item) || typeof item['tool_call_id'] !== 'string' || item['tool_call_id'] === '')
      return `tool_outputs[${index}] needs a tool_call_id; got ${quote(item)}`;
    if (typeof item['output'] !== 'string')
      return `tool_outputs[${index}].output must be text (encode other values as JSON); got ${quote(item['output'])}`;
  }
  return undefined;
};
