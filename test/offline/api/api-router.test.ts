/** The router: patterns by segments, the first that fits, and the path of a URL. */
import { expect, test } from 'vitest';
import { createRouter, pathOf } from '../../../api/router.ts';

const find = createRouter([
  { method: 'POST', path: '/v1/threads/runs' },
  { method: 'POST', path: '/v1/threads/{thread_id}' },
  { method: 'GET', path: '/v1/threads/{thread_id}' },
  { method: 'GET', path: '/v1/threads/{thread_id}/runs/{run_id}' },
]);
const found = (method: string, path: string) => {
  const match = find(method, path);
  return match === null ? null : [match.row.path, match.params];
};

test('a literal segment that comes first in the table wins over a parameter', () => {
  expect(found('POST', '/v1/threads/runs')).toEqual(['/v1/threads/runs', {}]);
  expect(found('GET', '/v1/threads/runs')).toEqual(['/v1/threads/{thread_id}', { thread_id: 'runs' }]);
});

test('parameters are decoded, and what can’t be decoded stays as it came', () => {
  expect(found('GET', '/v1/threads/a%20b/runs/%zz')).toEqual([
    '/v1/threads/{thread_id}/runs/{run_id}',
    { thread_id: 'a b', run_id: '%zz' },
  ]);
  // An encoded slash is no separator.
  expect(found('GET', '/v1/threads/a%2Fb')).toEqual(['/v1/threads/{thread_id}', { thread_id: 'a/b' }]);
});

test.each([
  ['GET', '/v1/threads/'],
  ['GET', '/v1/threads/t/'],
  ['GET', '/v1/threads/t/runs//'],
  ['GET', '/v1/threads'],
  ['GET', '//v1/threads/t'],
  ['DELETE', '/v1/threads/t'],
  ['get', '/v1/threads/t'],
  ['GET', '/'],
])('%s %s fits nothing', (method, path) => {
  expect(found(method, path)).toBeNull();
});

test('HEAD finds what GET finds', () => {
  expect(found('HEAD', '/v1/threads/t')?.[0]).toBe('/v1/threads/{thread_id}');
});

test.each([
  ['http://host/v1/threads/t?limit=1&after=/x', '/v1/threads/t'],
  ['http://127.0.0.1:8787/', '/'],
  ['https://host:1/a/b', '/a/b'],
  ['http://[::1]:8787/a?b', '/a'],
])('the path of %s', (url, path) => {
  expect(pathOf(url)).toBe(path);
});
