/**
 * Parses the environment of `runs worker`, `runs serve` and `runs dev` into one typed record, and lists its problems.
 *
 * Rule: no effects: `configFromEnv` parses, `configErrors` lists value and fix; a bad value is never guessed. Warnings
 * are in config-warnings.ts, the shown form in describe-config.ts.
 * Imported by the composition roots and the CLI.
 */
import { DEFAULT_TASK_QUEUE, idProblem, quote, TENANT_DEFAULTS } from '../protocol/index.ts';
import type { TokenPrice } from '../protocol/rules/cost.ts';
import type { TenantBudgets } from '../protocol/rules/budget.ts';
import { parseNetworks } from '../activities/webhooks/address-guard.ts';
import { readBudgets } from './budgets.ts';
import { readConsoleSettings, type ConsoleSettings } from './console-settings.ts';
import { envReader } from './env-reader.ts';
import { readModelPrice } from './model-price.ts';
import { readModelSettings, type ModelSettings } from './model-settings.ts';
import { readTelemetry, type TelemetrySettings } from './telemetry/settings.ts';
import { VARIABLES } from './variables.ts';

export type ConfigEnv = Readonly<Record<string, string | undefined>>;

/** The role of a process. `dev` is everything in one process. */
export type Role = 'worker' | 'serve' | 'dev';
export type BackendName = 'sandbox' | 'assistants' | 'chat';

/** The settings of a process, as `configFromEnv` reads them. Times are milliseconds. */
export interface Config {
  backend: BackendName;
  /** false = RUNS_BACKEND names no backend, and `backend` is the default. */
  backendKnown: boolean;
  /** Address of the model server or the upstream runs API; null = not set. */
  baseUrl: string | null;
  apiKey: string | null;
  apiVersion: string | null;
  /** Replaces every run's model. */
  model: string | null;
  /** File of several providers and their models; null = one model server. */
  modelsFile: string | null;
  /** Attempts of one turn in which the model may have generated. */
  modelAttempts: number;
  /** How the model server answers, in the place of what would be learned. */
  modelSettings: ModelSettings;
  /** What the models of the server cost; null = not known. */
  modelPrice: TokenPrice | null;
  /** What the runs of each tenant may use. */
  budgets: TenantBudgets;
  expiresInMs: number;
  databaseUrl: string | null;
  dataDir: string;
  /** API keys that `serve` accepts, unparsed: the API parses them. */
  apiKeys: string | null;
  /** Requests a minute that `serve` allows each tenant, unparsed: the API parses them. null = no limit. */
  rateLimits: string | null;
  /** Limits of `serve` for one tenant; 0 = no limit. */
  tenantLimits: { streams: number; liveRuns: number; storedMegabytes: number };
  /** Origins of web pages that may use the API, unparsed: the API parses them. null = none. */
  corsOrigins: string | null;
  /** Where people reach the server, without a slash at the end; null = links are left out. */
  publicUrl: string | null;
  /** Networks besides the internet that webhooks may reach, unparsed. */
  webhookNetworks: string | null;
  /** The console of `serve` and `dev`, and how people sign in. */
  console: ConsoleSettings;
  host: string;
  port: number;
  /** `host:port` where `serve` offers its metrics instead of on the API's address. */
  metricsAddress: string | null;
  metricsPort: number | null;
  taskQueue: string;
  toolsFile: string | null;
  /** JSON file of MCP servers, in the form that other programs have. */
  mcpFile: string | null;
  /** Which worker tools are offered to runs that declare none; null = depends on whether the API has keys. */
  offerTools: 'all' | 'granted' | 'none' | null;
  /** Module that exports `dataConverter`. */
  dataConverter: string | null;
  /** Keys of the built-in encryption, unparsed. null = payloads are not encrypted. */
  encryptionKeys: string | null;
  maxCachedRuns: number;
  maxActivities: number;
  shutdownGraceMs: number;
  /** Pins runs to this worker version; null = unversioned. */
  deployment: { name: string; buildId: string } | null;
  /** The one of RUNS_DEPLOYMENT and RUNS_BUILD_ID that is set without the other; null = both or none. */
  halfDeployment: string | null;
  logLevel: LogLevel;
  /** Where spans and metrics are exported; null = nowhere. */
  telemetry: TelemetrySettings | null;
  /** Problems of single values, found while parsing. */
  invalid: readonly string[];
  /** Names that resemble ours and are unknown. */
  unknown: readonly string[];
}

const BACKENDS = ['sandbox', 'assistants', 'chat'] as const;
const OFFERS = ['all', 'granted', 'none'] as const;
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const DEFAULTS = {
  expiresInMs: 600_000,
  /** Each attempt may cost money; more than five rarely help. */
  modelAttempts: 5,
  port: 8787,
  /** A waiting run takes about 60 KB of heap; one that is not cached costs a replay when it wakes. */
  maxCachedRuns: 500,
  /** A run that is followed occupies one, and mostly waits on a socket. */
  maxActivities: 500,
  shutdownGraceMs: 10_000,
} as const;

const MEGABYTE = 1_048_576;
const YEAR_MS = 31_536_000_000;

/** Parses everything. Never throws: a bad value is listed in `invalid`, and its default is used. */
export const configFromEnv = (env: ConfigEnv): Config => {
  const reader = envReader(env);
  const { invalid, text, oneOf, whole, duration, address } = reader;

  const taskQueue = text('RUNS_TASK_QUEUE') ?? DEFAULT_TASK_QUEUE;
  const badQueue = idProblem('RUNS_TASK_QUEUE', taskQueue);
  if (badQueue !== undefined) invalid.push(badQueue);

  const deploymentName = text('RUNS_DEPLOYMENT');
  const buildId = text('RUNS_BUILD_ID');

  const known: readonly string[] = VARIABLES;
  const named = text('RUNS_BACKEND');
  return {
    backend: oneOf('RUNS_BACKEND', BACKENDS, 'sandbox'),
    backendKnown: named === null || BACKENDS.some((item) => item === named),
    baseUrl: text('OPENAI_BASE_URL')?.replace(/\/+$/, '') ?? null,
    apiKey: text('OPENAI_API_KEY'),
    apiVersion: text('OPENAI_API_VERSION'),
    model: text('RUNS_MODEL'),
    modelsFile: text('RUNS_MODELS'),
    modelAttempts: whole('RUNS_MODEL_ATTEMPTS', 1, 1_000, DEFAULTS.modelAttempts),
    modelSettings: readModelSettings(text, invalid),
    modelPrice: readModelPrice(text('RUNS_MODEL_PRICE'), invalid),
    budgets: readBudgets(text('RUNS_BUDGETS'), invalid),
    expiresInMs: duration('RUNS_EXPIRES_IN', 1_000, YEAR_MS, DEFAULTS.expiresInMs),
    databaseUrl: text('DATABASE_URL'),
    dataDir: text('RUNS_DATA_DIR') ?? '.runs',
    apiKeys: text('RUNS_API_KEYS'),
    rateLimits: text('RUNS_RATE_LIMITS'),
    tenantLimits: {
      streams: whole('RUNS_MAX_STREAMS', 0, 1_000_000, TENANT_DEFAULTS.streams),
      liveRuns: whole('RUNS_MAX_LIVE_RUNS', 0, 100_000_000, TENANT_DEFAULTS.liveRuns),
      storedMegabytes: whole('RUNS_MAX_STORED_MB', 0, 1_000_000_000, TENANT_DEFAULTS.storedBytes / MEGABYTE),
    },
    corsOrigins: text('RUNS_CORS_ORIGINS'),
    publicUrl: text('RUNS_PUBLIC_URL')?.replace(/\/+$/, '') ?? null,
    webhookNetworks: readNetworks(text('RUNS_WEBHOOK_NETWORKS'), invalid),
    console: readConsoleSettings(reader),
    host: text('HOST') ?? '127.0.0.1',
    port: whole('PORT', 0, 65_535, DEFAULTS.port),
    metricsAddress: address('RUNS_METRICS_ADDRESS'),
    metricsPort: whole('RUNS_METRICS_PORT', 0, 65_535, null),
    taskQueue,
    toolsFile: text('RUNS_TOOLS'),
    mcpFile: text('RUNS_MCP'),
    offerTools: text('RUNS_OFFER_TOOLS') === null ? null : oneOf('RUNS_OFFER_TOOLS', OFFERS, 'none'),
    dataConverter: text('RUNS_DATA_CONVERTER'),
    encryptionKeys: text('RUNS_ENCRYPTION_KEYS'),
    maxCachedRuns: whole('RUNS_MAX_CACHED_RUNS', 0, 1_000_000, DEFAULTS.maxCachedRuns),
    maxActivities: whole('RUNS_MAX_ACTIVITIES', 1, 100_000, DEFAULTS.maxActivities),
    shutdownGraceMs: duration('RUNS_SHUTDOWN_GRACE', 0, 3_600_000, DEFAULTS.shutdownGraceMs),
    deployment: deploymentName === null || buildId === null ? null : { name: deploymentName, buildId },
    halfDeployment:
      (deploymentName === null) === (buildId === null)
        ? null
        : deploymentName === null
          ? 'RUNS_BUILD_ID'
          : 'RUNS_DEPLOYMENT',
    logLevel: oneOf('RUNS_LOG_LEVEL', LOG_LEVELS, 'info'),
    telemetry: readTelemetry(reader),
    invalid,
    unknown: Object.keys(env).filter((name) => name.startsWith('RUNS_') && !known.includes(name)),
  };
};

/** The setting as it is, with its problems listed. */
const readNetworks = (setting: string | null, invalid: string[]): string | null => {
  if (setting !== null)
    parseNetworks(setting, (entry) =>
      invalid.push(
        `RUNS_WEBHOOK_NETWORKS must list networks such as "10.0.0.0/8" or "fd00::/8", separated by commas; got ${quote(entry)}`,
      ),
    );
  return setting;
};

const urlProblem = (name: string, value: string | null, protocols: readonly string[]): string | null => {
  if (value === null) return null;
  if (!URL.canParse(value))
    return `${name} must be a URL such as "${protocols[0] ?? 'http'}//host:port/path"; the value is not one`;
  const { protocol } = new URL(value);
  return protocols.includes(protocol)
    ? null
    : `${name} must begin with ${protocols.map((item) => `"${item}//"`).join(' or ')}; got ${quote(protocol)}`;
};

const baseUrlProblem = ({ backend, baseUrl, apiKey, modelsFile }: Config, role: Role): string | null => {
  const malformed = urlProblem('OPENAI_BASE_URL', baseUrl, ['https:', 'http:']);
  if (malformed !== null) return malformed;
  if (baseUrl !== null && new URL(baseUrl).username + new URL(baseUrl).password !== '')
    return 'OPENAI_BASE_URL must not hold a user or password; put the key into OPENAI_API_KEY';
  // A file of models names its own addresses.
  if (baseUrl !== null || modelsFile !== null || role === 'serve' || backend === 'sandbox') return null;
  if (backend === 'assistants')
    return 'OPENAI_BASE_URL is needed with RUNS_BACKEND=assistants: the root of a server of the runs API, such as "https://host/v1"';
  return apiKey === null
    ? 'OPENAI_BASE_URL is needed with RUNS_BACKEND=chat unless OPENAI_API_KEY is set: the root of a chat-completions server, such as "http://127.0.0.1:11434/v1"'
    : null;
};

/**
 * Which database a role may use, for `configErrors` and for the code that opens the store. PGlite serves one process: a
 * second one would corrupt it.
 */
export const storeFor = (
  config: Config,
  role: Role,
):
  | { kind: 'none' }
  | { kind: 'postgres'; databaseUrl: string }
  | { kind: 'pglite'; dataDir: string }
  | { kind: 'refused'; problem: string } => {
  if (config.backend === 'assistants') return { kind: 'none' };
  if (config.databaseUrl !== null) return { kind: 'postgres', databaseUrl: config.databaseUrl };
  if (role === 'dev') return { kind: 'pglite', dataDir: config.dataDir };
  return {
    kind: 'refused',
    problem: `DATABASE_URL is needed by "runs ${role}" with RUNS_BACKEND=${config.backend}: threads and runs are shared between processes, and the embedded database serves one only. Set it to a PostgreSQL, such as "postgres://user:password@host:5432/name", or use "runs dev"`,
  };
};

/** Why this role can't run with this configuration; empty = it can. Each names the value and the fix. */
export const configErrors = (config: Config, role: Role): string[] => {
  const { backend } = config;
  // An unknown backend has no rules to check.
  if (!config.backendKnown) return [...config.invalid];
  const store = storeFor(config, role);
  const list: (string | null | false)[] = [
    ...config.invalid,
    role !== 'dev' &&
      backend === 'sandbox' &&
      `RUNS_BACKEND is "sandbox" (its default), which exists only inside "runs dev". For "runs ${role}" set it to "chat" (any chat-completions server) or "assistants" (a server of the runs API)`,
    role === 'serve' &&
      backend === 'assistants' &&
      'RUNS_BACKEND=assistants has no API to serve: the upstream server has its own. Use that one, start runs with "runs start", or set RUNS_BACKEND=chat',
    // Only workers have a build; `serve` may share their environment.
    role !== 'serve' &&
      config.halfDeployment !== null &&
      `RUNS_DEPLOYMENT and RUNS_BUILD_ID go together; only ${config.halfDeployment} is set. Set both to pin runs to this version, or none`,
    config.modelsFile !== null &&
      backend !== 'chat' &&
      `RUNS_MODELS names a file of models, which RUNS_BACKEND=${backend} does not use. Set RUNS_BACKEND=chat`,
    baseUrlProblem(config, role),
    urlProblem('DATABASE_URL', config.databaseUrl, ['postgres:', 'postgresql:']),
    backend !== 'sandbox' && store.kind === 'refused' && store.problem,
  ];
  return list.filter((item) => typeof item === 'string');
};
