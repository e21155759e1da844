/**
 * `npm run docs:http`: writes `docs/reference/http-api.md` from the OpenAPI document.
 *
 * Rule: the page says what the server serves. A test renders it again and compares. Imported by that test.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CONSOLE_ROUTES, openApiDocument, ROUTES } from '../api/index.ts';

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
}
interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema: Schema;
}
interface Operation {
  summary: string;
  parameters: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Schema }> }>;
}
export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const HEAD = `# HTTP API

The routes of \`runs serve\` and \`runs dev\`, below \`/v1\`, and of the console's sign-in, below \`/console\`. The page is generated from \`GET /openapi.json\` by \`npm run docs:http\`.
Objects, statuses and error texts are those of the Assistants API, version 2; what is an extension of this project says so in its summary.

Errors are \`{"error": {"message", "type", "param", "code"}}\`. Lists take \`limit\`, \`order\`, \`after\` and \`before\` and return
\`{"object": "list", "data", "first_id", "last_id", "has_more"}\`.
`;

const NO_VALUE = 'null';

/** A type as a reader writes it: `string`, `"a" | "b"`, `object[]`. */
export const typeText = (schema: Schema): string => {
  if (schema.$ref !== undefined) return schema.$ref.split('/').at(-1) ?? 'object';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches !== undefined) {
    const texts = new Set(branches.map(typeText).filter((text) => text !== ''));
    return [...texts].join(' | ');
  }
  if (schema.type === 'array') {
    const item = typeText(schema.items ?? {});
    return item.includes(' ') ? `(${item})[]` : `${item}[]`;
  }
  const types = [schema.type ?? 'any'].flat().filter((type) => type !== NO_VALUE);
  return types.join(' | ');
};

const bound = (name: string, value: unknown): string[] =>
  value === undefined || value === Number.MAX_SAFE_INTEGER ? [] : [`${name} ${JSON.stringify(value)}`];

const boundsText = (schema: Schema): string => {
  const whole = schema.anyOf?.find((branch) => branch.type !== NO_VALUE) ?? schema;
  return [
    ...bound('from', whole.minimum === -Number.MAX_SAFE_INTEGER ? undefined : whole.minimum),
    ...bound('to', whole.maximum),
    ...bound('at most', whole.maxLength).map((text) => `${text} characters`),
    ...bound('at most', whole.maxItems).map((text) => `${text} items`),
    ...bound('at most', whole.maxProperties).map((text) => `${text} pairs`),
    ...bound('default', schema.default),
  ].join(', ');
};

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

const row = (name: string, where: string, schema: Schema): string =>
  `| \`${name}\` | ${where} | ${cell(`\`${typeText(schema)}\``)} | ${cell(boundsText(schema))} |`;

/** Rows of a body; a body that is one of several shapes lists the fields of each. */
const bodyRows = (schema: Schema): string[] => {
  const required = new Set(schema.required);
  const own = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    row(name, required.has(name) ? 'body, required' : 'body', field),
  );
  return [...own, ...(schema.anyOf ?? schema.oneOf ?? []).flatMap(bodyRows)];
};

const operationText = (path: string, method: string, operation: Operation): string => {
  const body = Object.values(operation.requestBody?.content ?? {}).flatMap(({ schema }) => bodyRows(schema));
  const parameters = operation.parameters.map(({ name, in: where, schema }) => row(name, where, schema));
  const rows = [...parameters, ...new Set(body)];
  const answers = Object.entries(operation.responses)
    .filter(([status]) => /^[23]/.test(status))
    .map(([status, { content = {} }]) => {
      const shapes = Object.entries(content).map(([type, { schema }]) =>
        type === 'text/event-stream' ? 'server-sent events' : `\`${typeText(schema)}\``,
      );
      return `${status}: ${shapes.length === 0 ? (status === '302' ? 'a redirect' : 'no body') : shapes.join(' or ')}`;
    });
  const table = ['| field | in | type | bounds |', '|---|---|---|---|', ...rows];
  return [
    `### ${method.toUpperCase()} ${path}`,
    `${operation.summary}. Returns ${answers.join('; ')}.`,
    ...(rows.length === 0 ? [] : [table.join('\n')]),
  ].join('\n\n');
};

const schemaText = (name: string, schema: Schema): string => {
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties ?? {}).map(
    ([field, of]) =>
      `| \`${field}\` | ${cell(`\`${typeText(of)}\``)} | ${required.has(field) ? '' : 'may be absent'} |`,
  );
  const table = ['| field | type | |', '|---|---|---|', ...rows].join('\n');
  return `### ${name}\n\n${rows.length === 0 ? cell(`\`${typeText(schema)}\``) : table}`;
};

/** The page, as Markdown. */
export const renderHttpReference = (document: OpenApi): string => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => operationText(path, method, operation)),
  );
  const objects = Object.entries(document.components.schemas).map(([name, schema]) =>
    schemaText(name, schema),
  );
  return `${[HEAD.trimEnd(), '## Routes', ...operations, '## Objects', ...objects].join('\n\n')}\n`;
};

/** The page of this checkout. The version is left out: a release would change the page for no reader's good. */
export const currentHttpReference = (): string =>
  renderHttpReference(openApiDocument([...ROUTES, ...CONSOLE_ROUTES], '') as OpenApi);

export const HTTP_REFERENCE_FILE = 'docs/reference/http-api.md';

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const file = fileURLToPath(new URL(`../${HTTP_REFERENCE_FILE}`, import.meta.url));
  writeFileSync(file, currentHttpReference());
  console.error(`Wrote ${HTTP_REFERENCE_FILE}.`);
}
