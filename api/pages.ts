/**
 * Pages for monitoring: health, readiness, the OpenAPI document, metrics.
 *
 * Rule: most need no key, so one check or one document serves all requests that arrive at the same time.
 * Imports protocol and the edges of `api/`.
 */
import type { RunsService } from '../protocol/ports/runs-service.ts';
import { mintId } from '../protocol/wire/ids.ts';
import { requireRole } from './auth.ts';
import type { Authenticator } from './auth.ts';
import type { RouteDescription } from './route.ts';

export interface PageOptions {
  engine: Pick<RunsService, 'readiness'>;
  auth: Authenticator;
  /** The content of the OpenAPI document. */
  routes: readonly RouteDescription[];
  version: string;
  isClosing(): boolean;
  /** Default: no such page. */
  metrics?: (() => Promise<{ contentType: string; body: string }>) | undefined;
}

export type Pages = Readonly<Record<string, (request: Request) => Response | Promise<Response>>>;

const READINESS_MS = 3000;

const json = (status: number, text: string): Response =>
  new Response(text, {
    status,
    headers: { 'content-type': 'application/json', 'x-request-id': mintId('req') },
  });
const plain = (status: number, value: unknown): Response => json(status, JSON.stringify(value));

/** A probe must be answered, whatever hangs behind it. */
const readiness = async (engine: PageOptions['engine']): Promise<string[]> => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string[]>((resolve) => {
    timer = setTimeout(
      () => resolve([`the readiness check took longer than ${READINESS_MS} ms`]),
      READINESS_MS,
    );
  });
  const checked = engine
    .readiness()
    .catch((error: unknown) => [
      `readiness could not be checked: ${error instanceof Error ? error.message : 'unknown error'}`,
    ]);
  try {
    return await Promise.race([checked, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** By path. A page may throw `ApiError`. */
export const createPages = (options: PageOptions): Pages => {
  const { engine, auth, metrics } = options;
  let look: Promise<string[]> | null = null;
  let document: Promise<string> | null = null;
  return {
    '/healthz': () => plain(200, { status: 'ok' }),
    '/readyz': async () => {
      look ??= readiness(engine).finally(() => (look = null));
      const problems = options.isClosing() ? ['the server is shutting down'] : await look;
      return problems.length === 0
        ? plain(200, { status: 'ready' })
        : plain(503, { status: 'not ready', problems });
    },
    '/openapi.json': async () => {
      // Rarely requested, and slow to build.
      document ??= import('./openapi.ts').then(({ openApiDocument }) =>
        JSON.stringify(openApiDocument(options.routes, options.version)),
      );
      return json(200, await document);
    },
    ...(metrics === undefined
      ? {}
      : {
          '/metrics': async ({ headers }) => {
            requireRole(auth.authenticate(headers), ['operator'], 'GET /metrics');
            const page = await metrics();
            return new Response(page.body, { headers: { 'content-type': page.contentType } });
          },
        }),
  };
};
