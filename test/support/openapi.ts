/**
 * Compares a server's responses with the OpenAPI document that it publishes. Tests only.
 *
 * Rule: the document comes from the server itself; a response that the document does not describe is a problem too.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';

type Operation = { responses: Record<string, { content?: Record<string, unknown> }> };
export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
}

interface Row {
  method: string;
  path: string;
  pattern: RegExp;
  operation: Operation;
}

export interface ResponseCheck {
  /** What an answer differs in; empty = it is as the document says. Its body is read. */
  (method: string, response: Response, url?: string): Promise<string[]>;
  /** `GET /v1/… 200` of everything that was checked. */
  seen: Set<string>;
}

const pointer = (...parts: string[]): string =>
  parts.map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');

export const responseCheck = (document: OpenApiDocument): ResponseCheck => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ ...document, $id: 'document' });
  const rows = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): Row => ({
      method: method.toUpperCase(),
      path,
      pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      operation,
    })),
  );
  const seen = new Set<string>();
  const check = async (method: string, response: Response, url = response.url): Promise<string[]> => {
    const { pathname } = new URL(url);
    const found = rows.find((row) => row.method === method && row.pattern.test(pathname));
    if (found === undefined) return [];
    const { path, operation } = found;
    const status = String(response.status);
    const name = `${method} ${path} ${status}`;
    seen.add(name);
    const type = response.headers.get('content-type')?.split(';')[0] ?? '';
    if (operation.responses[status]?.content?.[type] === undefined)
      return [`${name}: ${type} is not documented`];
    if (type !== 'application/json') return [];
    const schema = pointer(
      'paths',
      path,
      method.toLowerCase(),
      'responses',
      status,
      'content',
      type,
      'schema',
    );
    const validate = ajv.getSchema(`document#${schema}`);
    if (validate === undefined) return [`${name}: no schema`];
    // None of the schemas is an asynchronous one.
    void validate(await response.json());
    return (validate.errors ?? []).map((error) => `${name}: ${error.instancePath} ${error.message ?? ''}`);
  };
  return Object.assign(check, { seen });
};

/** A `fetch` for clients that checks every answer on the way; streams pass. `problems` collects what was found. */
export const checkingFetch =
  (check: ResponseCheck, problems: string[]): typeof fetch =>
  async (input, init) => {
    const response = await fetch(input, init);
    const method = init?.method?.toUpperCase() ?? 'GET';
    if (response.headers.get('content-type')?.startsWith('application/json') === true)
      problems.push(...(await check(method, response.clone(), response.url)));
    return response;
  };
