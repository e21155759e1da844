/**
 * The digest that names the arguments of a call in history, in channels and in a decision.
 *
 * Rule: 128 bits of SHA-256 over the canonical JSON, as hex; decisions of earlier versions hold it, so it never changes.
 * Uses Node's hash, so workflow code does not load it. Imported by activities, the API and tests.
 */
import { createHash } from 'node:crypto';
import { ARGUMENT_LIMITS } from '../limits.ts';
import { canonicalJson, type JsonObject } from './tool-arguments.ts';

export const argumentsDigest = (value: JsonObject): string =>
  createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, ARGUMENT_LIMITS.digestChars);
