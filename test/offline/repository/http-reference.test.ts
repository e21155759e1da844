/** `docs/reference/http-api.md` says what the server serves. */
import { expect, test } from 'vitest';
import {
  currentHttpReference,
  HTTP_REFERENCE_FILE,
  renderHttpReference,
  typeText,
} from '../../../scripts/http-reference.ts';
import { textOf } from '../../support/sources.ts';

test('the HTTP reference equals the output of the routes: run `npm run docs:http`', () => {
  expect(textOf(HTTP_REFERENCE_FILE)).toBe(currentHttpReference());
});

test('a route appears with its parameters, its body, and what it returns', () => {
  const page = renderHttpReference({
    paths: {
      '/things/{id}': {
        post: {
          summary: 'Changes a thing',
          parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
          requestBody: {
            content: {
              'application/json': {
                schema: {
                  properties: { name: { type: 'string', maxLength: 9 }, kind: { enum: ['a', 'b'] } },
                  required: ['name'],
                },
              },
            },
          },
          responses: {
            200: { description: '', content: { 'application/json': { schema: { $ref: '#/x/Thing' } } } },
          },
        },
      },
    },
    components: { schemas: { Thing: { properties: { id: { type: 'string' } }, required: ['id'] } } },
  });
  expect(page).toContain('### POST /things/{id}\n\nChanges a thing. Returns 200: `Thing`.');
  expect(page).toContain('| `name` | body, required | `string` | at most 9 characters |');
  expect(page).toContain('| `kind` | body | `"a" \\| "b"` |  |');
  expect(page).toContain('### Thing\n\n| field | type | |');
});

test.each([
  [{ anyOf: [{ type: 'string' }, { type: 'null' }] }, 'string'],
  [{ type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'object' }] } }, '(string | object)[]'],
  [{ type: ['integer', 'null'] }, 'integer'],
  [{ const: 1 }, '1'],
])('type %j reads %s', (schema, text) => {
  expect(typeText(schema)).toBe(text);
});
