/**
 * The built front end of the console, from one folder.
 *
 * Rule: what is served is a name of the folder's own list, which is made by reading the folder: a path of a request is looked up in
 * it and never joined to the folder. Every other path is a page of the front end and gets `index.html`; missing assets are a 404.
 * No inline script and no foreign origin may run. Imports Node only. Imported by `console-server.ts` and tests.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

/** Of every page and file of the console. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const ENCODINGS = [
  { name: 'br', suffix: '.br' },
  { name: 'gzip', suffix: '.gz' },
] as const;
type Encoding = (typeof ENCODINGS)[number]['name'];

interface ListedFile {
  /** Where it is on disk. */
  path: string;
  type: string;
  /** The name holds a digest of the content. */
  immutable: boolean;
  encodings: ReadonlyMap<Encoding, string>;
}

type Listing = ReadonlyMap<string, ListedFile>;

const INDEX = 'index.html';
const ASSETS = 'assets/';

const listFiles = async (folder: string): Promise<Listing> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const onDisk = new Set(paths);
  return new Map(
    paths.flatMap((path) => {
      const type = TYPES[extname(path)];
      if (type === undefined) return [];
      const name = relative(folder, path).replaceAll(sep, '/');
      const encodings = new Map(
        ENCODINGS.filter(({ suffix }) => onDisk.has(`${path}${suffix}`)).map(
          ({ name: encoding, suffix }) => [encoding, `${path}${suffix}`] as const,
        ),
      );
      return [[name, { path, type, immutable: name.startsWith(ASSETS), encodings }] as const];
    }),
  );
};

/** Encodings that the client takes; `q=0` refuses one. */
const accepts = (header: string, encoding: Encoding): boolean =>
  header.split(',').some((part) => {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    return name === encoding && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });

const etagOf = (content: Uint8Array): string =>
  `"${createHash('sha256').update(content).digest('base64url').slice(0, 27)}"`;

const hasTag = (header: string | null, etag: string): boolean =>
  (header ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);

const NOT_BUILT = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>The console is not built</title>
  </head>
  <body>
    <h1>The console is not built</h1>
    <p>Run <code>npm run build:console</code> in the checkout, and load this page again. The API works without it.</p>
  </body>
</html>
`;

export const htmlPage = (status: number, text: string): Response =>
  new Response(text, {
    status,
    headers: { ...PAGE_HEADERS, 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
  });

const noSuchFile = (): Response =>
  new Response('The console has no such file.\n', {
    status: 404,
    headers: { ...PAGE_HEADERS, 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
  });

const send = async (request: Request, file: ListedFile): Promise<Response> => {
  const wanted = request.headers.get('accept-encoding') ?? '';
  const encoding = ENCODINGS.find(({ name }) => file.encodings.has(name) && accepts(wanted, name))?.name;
  const path = encoding === undefined ? file.path : (file.encodings.get(encoding) ?? file.path);
  const content = await readFile(path);
  const etag = etagOf(content);
  const headers = {
    ...PAGE_HEADERS,
    etag,
    vary: 'accept-encoding',
    'cache-control': file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
  if (hasTag(request.headers.get('if-none-match'), etag)) return new Response(null, { status: 304, headers });
  return new Response(request.method === 'HEAD' ? null : content, {
    headers: {
      ...headers,
      'content-type': file.type,
      'content-length': String(content.byteLength),
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
    },
  });
};

/** Serves GET and HEAD below `/console/`. `name` is the rest of the path, as sent. */
export const staticFiles = (folder: string): ((request: Request, name: string) => Promise<Response>) => {
  let listed: { stamp: string; files: Promise<Listing> } | null = null;

  /** The folder's list, made again when the front end was built again; null = it is not built. */
  const listing = async (): Promise<Listing | null> => {
    const index = await stat(join(folder, INDEX)).catch(() => null);
    if (index === null) return null;
    const stamp = `${index.mtimeMs} ${index.ino} ${index.size}`;
    if (listed?.stamp !== stamp) listed = { stamp, files: listFiles(folder) };
    return listed.files;
  };

  return async (request, name) => {
    const files = await listing();
    if (files === null) return htmlPage(404, NOT_BUILT);
    const file = files.get(name === '' ? INDEX : name);
    if (file !== undefined) return send(request, file);
    const index = files.get(INDEX);
    const isAsset = name.startsWith(ASSETS) || TYPES[extname(name)] !== undefined;
    return isAsset || index === undefined ? noSuchFile() : send(request, index);
  };
};
