/**
 * The layering table: the imports that each layer may have, and the lint configuration that is derived from it.
 *
 * Rule: an import that a row does not list is forbidden. `test/offline/repository/layering.test.ts` enforces the table
 * on the sources, and compares the derived lint overrides with `.oxlintrc.json`.
 */

export const ROOMS = [
  'protocol',
  'workflows',
  'activities',
  'backends',
  'store',
  'client',
  'service',
  'api',
  'testing',
  'worker',
  'dev-server',
  'app',
  'cli',
  'console',
] as const;
export type Room = (typeof ROOMS)[number];

export interface Layer {
  /** Path prefix of the importing files; the first row that fits a file counts. */
  from: string;
  /** Rooms it may import. Its own is always allowed. */
  rooms: readonly Room[];
  /** Rooms it may import types from, on top of `rooms`. */
  types?: readonly Room[];
  /** Packages; `node` stands for Node's own modules, `*` for all. */
  packages: readonly string[];
  /** The zod schemas, which workflow code must not load: 590 KB of heap per cached workflow. Default false. */
  schemas?: boolean;
  /** Said by lint with each refusal. */
  because: string;
}

export const LAYERS: readonly Layer[] = [
  {
    from: 'protocol/wire/schemas.ts',
    rooms: [],
    packages: ['zod'],
    because: 'protocol/wire/schemas.ts knows zod and protocol/.',
  },
  {
    from: 'protocol/rules/arguments-digest.ts',
    rooms: [],
    packages: ['node'],
    because: 'protocol/rules/arguments-digest.ts knows the hash of Node and protocol/.',
  },
  {
    from: 'protocol/',
    rooms: [],
    packages: [],
    because: 'protocol/ is pure: the workflow sandbox and the browser side of a test load it.',
  },
  {
    from: 'workflows/',
    rooms: ['protocol'],
    types: ['activities'],
    packages: ['@temporalio/workflow', '@temporalio/common'],
    because: 'workflow code is deterministic: protocol/ and @temporalio/workflow, activities as types.',
  },
  {
    from: 'activities/',
    rooms: ['protocol'],
    packages: ['node', '@temporalio/activity', '@temporalio/common', 'zod', 'undici', 'standardwebhooks'],
    schemas: true,
    because: 'activities/ reach a backend and the store through ports of protocol/ that the worker hands in.',
  },
  {
    from: 'backends/',
    rooms: ['protocol'],
    packages: [
      'node',
      'undici',
      '@ai-sdk/amazon-bedrock',
      '@ai-sdk/anthropic',
      '@ai-sdk/google',
      '@ai-sdk/mistral',
      '@ai-sdk/openai',
    ],
    schemas: true,
    because: 'backends/ implement a port of protocol/; they know neither Temporal nor the store.',
  },
  {
    from: 'store/drizzle.config.ts',
    rooms: [],
    packages: ['drizzle-kit'],
    because: 'the configuration of a development tool, never loaded by the store.',
  },
  {
    from: 'store/',
    rooms: ['protocol'],
    packages: ['node', 'drizzle-orm', 'pg', '@electric-sql/pglite'],
    because: 'store/ implements a port of protocol/ over SQL; it knows neither Temporal nor HTTP.',
  },
  {
    from: 'client/',
    rooms: ['protocol'],
    types: ['workflows'],
    packages: ['node', '@temporalio/client', '@temporalio/common', '@temporalio/envconfig', 'zod'],
    schemas: true,
    because:
      'client/ speaks to Temporal by the names in protocol/temporal/names.ts and never loads workflow code.',
  },
  {
    from: 'service/',
    rooms: ['protocol', 'client'],
    packages: ['node', '@temporalio/client'],
    because:
      'service/ joins the store, by its port, with the runs in Temporal; it knows neither SQL nor HTTP.',
  },
  {
    from: 'api/',
    rooms: ['protocol'],
    packages: ['node', 'hono', '@hono/node-server', 'zod'],
    schemas: true,
    because: 'api/ stands on the RunsService port: it knows no Temporal and no SQL.',
  },
  {
    from: 'testing/',
    rooms: ['protocol', 'api'],
    packages: ['node', 'hono', '@hono/node-server'],
    schemas: true,
    because: 'testing/ is a stranger on a socket: it shares the wire with us and no machinery.',
  },
  {
    from: 'worker/',
    rooms: [
      'protocol',
      'workflows',
      'activities',
      'backends',
      'store',
      'client',
      'service',
      'api',
      'testing',
    ],
    packages: ['*'],
    schemas: true,
    because: 'worker/ composes everything but the command line.',
  },
  {
    from: 'dev-server/',
    rooms: [],
    packages: ['node', 'hono', '@hono/node-server', '@temporalio/client', '@temporalio/testing'],
    because: 'dev-server/ finds and starts a Temporal dev server; it knows no run.',
  },
  {
    from: 'app/',
    rooms: ROOMS.filter((room) => room !== 'cli' && room !== 'console'),
    packages: ['*'],
    schemas: true,
    because: 'app/ composes processes for every command; the command line stands on it.',
  },
  {
    from: 'cli/',
    rooms: ROOMS.filter((room) => room !== 'console'),
    packages: ['*'],
    schemas: true,
    because: 'cli/ may import every room but the console, which is built on its own.',
  },
  {
    from: 'console/vite.config.ts',
    rooms: [],
    packages: ['vite'],
    because: 'the configuration of a development tool, never loaded by a page.',
  },
  {
    from: 'console/',
    rooms: ['protocol', 'client'],
    packages: ['preact', '@preact/signals'],
    because: 'console/ runs in a browser: it speaks HTTP and shares types and pure functions, no machinery.',
  },
];

export const layerOf = (file: string): Layer | undefined => LAYERS.find(({ from }) => file.startsWith(from));

export const roomOf = (file: string): Room | undefined => ROOMS.find((room) => file.startsWith(`${room}/`));

/** What one import is of: a file of ours (path from the root), Node, or a package. */
export type Target = { file: string } | { package: string };

/** Why `file` may not import `target`; `undefined` when it may. */
export function importProblem(file: string, target: Target, typeOnly: boolean): string | undefined {
  const layer = layerOf(file);
  if (layer === undefined) return undefined;
  if ('package' in target) {
    const allowed = layer.packages.includes('*') || layer.packages.includes(target.package);
    return allowed
      ? undefined
      : `${file} imports package ${JSON.stringify(target.package)}: ${layer.because}`;
  }
  if (target.file === SCHEMAS) {
    const allowed = layer.schemas === true || typeOnly || file.startsWith('protocol/');
    return allowed && file !== 'protocol/index.ts'
      ? undefined
      : `${file} imports ${SCHEMAS}: ${layer.because}`;
  }
  const room = roomOf(target.file);
  const allowed =
    room !== undefined &&
    (room === roomOf(file) ||
      layer.rooms.includes(room) ||
      (typeOnly && layer.types?.includes(room) === true));
  return allowed ? undefined : `${file} imports ${JSON.stringify(target.file)}: ${layer.because}`;
}

export const SCHEMAS = 'protocol/wire/schemas.ts';

interface RestrictedPattern {
  regex?: string;
  group?: string[];
  message: string;
  allowTypeImports?: boolean;
}
export interface LintOverride {
  files: string[];
  rules: { 'no-restricted-imports': ['error', { patterns: RestrictedPattern[] }] };
}

/** The `overrides` of `.oxlintrc.json` that say the same as `LAYERS`, as far as text patterns can. */
export function lintOverrides(): LintOverride[] {
  // Lint applies the last override that fits, this table the first row.
  return LAYERS.toReversed().map((layer) => ({
    files: [layer.from.endsWith('/') ? `${layer.from}**` : layer.from],
    rules: { 'no-restricted-imports': ['error', { patterns: patternsOf(layer) }] },
  }));
}

/** Folders by regular expression, packages by a group: a group's `!` line ends the search, so it comes last. */
function patternsOf(layer: Layer): RestrictedPattern[] {
  const message = layer.because;
  const own = roomOf(layer.from);
  const others = ROOMS.filter((room) => room !== own && !layer.rooms.includes(room));
  const never = others.filter((room) => layer.types?.includes(room) !== true);
  const patterns: RestrictedPattern[] = [
    { regex: `^(\\.\\./)+(${[...never, 'test', 'scripts', 'bench'].join('|')})/`, message },
  ];
  if (layer.types !== undefined) {
    patterns.push({ regex: `^(\\.\\./)+(${layer.types.join('|')})/`, message, allowTypeImports: true });
  }
  if (layer.schemas !== true && own !== 'protocol') {
    patterns.push({ regex: `/${SCHEMAS}$`, message, allowTypeImports: true });
  }
  if (!layer.packages.includes('*')) {
    const names = layer.packages.map((name) => (name === 'node' ? 'node:*' : name));
    const free = names.flatMap((name) => [`!${name}`, `!${name}/**`]);
    patterns.push({ group: ['**', '!./**', '!../**', ...free], message });
  }
  return patterns;
}
