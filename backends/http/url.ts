/**
 * Base URLs as people configure them, and request paths below them.
 *
 * Rule: a path prefix (`/v1`, `/api/projects/p`) and a query (`?api-version=…`) of the base survive joining; ids are
 * encoded as one path segment each, so that no id of a server or a person can point a request elsewhere.
 * Imports problem texts only. Backends, the worker's configuration and tests import it.
 */
import { quote } from '../../protocol/rules/validation.ts';

/** The problem of a base URL, or undefined. Never shows its credentials. */
export const baseUrlProblem = (subject: string, value: unknown): string | undefined => {
  const example = 'such as "https://api.example.com/v1"';
  if (typeof value !== 'string' || value.trim() === '')
    return `${subject} must be a URL ${example}; got ${quote(value)}`;
  let url: URL;
  try {
    url = new URL(value.trim());
  } catch {
    return `${subject} must be an absolute URL ${example}; got ${quote(value.replace(/\/\/[^/@]*@/, '//…@'))}`;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `${subject} must start with "http://" or "https://"; got ${quote(`${url.protocol}//…`)}`;
  if (url.username !== '' || url.password !== '')
    return `${subject} must not contain a user name or password; give the key in its own setting`;
  if (url.hash !== '') return `${subject} must not have a fragment; remove ${quote(url.hash)}`;
  return undefined;
};

export interface BaseUrl {
  origin: string;
  /** The target of a request: path and query, ready to send. */
  target(segments: readonly string[], query?: Readonly<Record<string, string | number | undefined>>): string;
}

const encodeSegment = (segment: string): string => {
  // Dot segments are the one thing that percent-encoding does not disarm.
  if (segment === '' || segment === '.' || segment === '..')
    throw new TypeError(`A path segment must not be ${quote(segment)}`);
  return encodeURIComponent(segment);
};

/** Throws `TypeError` with the problem when the base URL is unusable. */
export const parseBaseUrl = (
  value: string,
  extraQuery: Readonly<Record<string, string>> = {},
  subject = 'baseUrl',
): BaseUrl => {
  const problem = baseUrlProblem(subject, value);
  if (problem !== undefined) throw new TypeError(problem);
  const url = new URL(value.trim());
  const prefix = url.pathname.replace(/\/+$/, '');
  for (const [key, item] of Object.entries(extraQuery)) url.searchParams.set(key, item);
  const always = [...url.searchParams];
  return {
    origin: url.origin,
    target(segments, query = {}) {
      const params = new URLSearchParams(always);
      for (const [key, item] of Object.entries(query)) if (item !== undefined) params.set(key, String(item));
      const text = params.toString();
      return `${prefix}/${segments.map(encodeSegment).join('/')}${text === '' ? '' : `?${text}`}`;
    },
  };
};
