/** Configuration: what is refused, what is noted, what is shown. Tables. */
import { describe, expect, test } from 'vitest';
import { describeConfig, redactUrl } from '../../../worker/describe-config.ts';
import { configFromEnv, configErrors, storeFor, type Role } from '../../../worker/config.ts';
import { configWarnings } from '../../../worker/config-warnings.ts';

const CHAT = {
  RUNS_BACKEND: 'chat',
  OPENAI_BASE_URL: 'http://127.0.0.1:11434/v1',
  DATABASE_URL: 'postgres://h/db',
};
const ASSISTANTS = {
  RUNS_BACKEND: 'assistants',
  OPENAI_BASE_URL: 'https://host/v1',
  RUNS_TOOLS: './tools.ts',
};

describe('configFromEnv', () => {
  test('an empty environment is the sandbox with documented defaults', () => {
    expect(configFromEnv({})).toMatchObject({
      backend: 'sandbox',
      baseUrl: null,
      apiKey: null,
      expiresInMs: 600_000,
      databaseUrl: null,
      dataDir: '.runs',
      host: '127.0.0.1',
      port: 8787,
      metricsPort: null,
      taskQueue: 'runs',
      toolsFile: null,
      offerTools: null,
      maxCachedRuns: 500,
      maxActivities: 500,
      shutdownGraceMs: 10_000,
      deployment: null,
      halfDeployment: null,
      logLevel: 'info',
      invalid: [],
      unknown: [],
    });
  });

  test('everything can be set', () => {
    expect(
      configFromEnv({
        RUNS_BACKEND: 'chat',
        OPENAI_BASE_URL: 'http://127.0.0.1:11434/v1/',
        OPENAI_API_KEY: ' sk-1 ',
        OPENAI_API_VERSION: '2024-05-01-preview',
        RUNS_MODELS: './models.yaml',
        RUNS_MODEL: 'llama',
        RUNS_MODEL_ATTEMPTS: '2',
        RUNS_MODEL_MAX_TOKENS_FIELD: 'max_tokens',
        RUNS_MODEL_ROLES_ALTERNATE: 'false',
        RUNS_MODEL_STREAM: 'without_tools',
        RUNS_MODEL_JSON_SCHEMA: 'false',
        RUNS_MODEL_IMAGES: 'true',
        RUNS_MODEL_CONTEXT_TOKENS: '8192',
        RUNS_MODEL_HEADERS: '{"X-Team":"shop"}',
        RUNS_MODEL_BODY: '{"top_k":20}',
        RUNS_MODEL_PRICE: '{"currency":"USD","input":1,"output":2}',
        RUNS_ENCRYPTION_KEYS: 'k1:secret',
        RUNS_BUDGETS: '{"shop":{"tokens_per_day":9}}',
        RUNS_EXPIRES_IN: '2h',
        DATABASE_URL: 'postgres://u:p@h/db',
        RUNS_DATA_DIR: '/data',
        RUNS_API_KEYS: 'k1,k2',
        RUNS_RATE_LIMITS: 'run=50',
        RUNS_MAX_STREAMS: '10',
        RUNS_MAX_LIVE_RUNS: '20',
        RUNS_MAX_STORED_MB: '0',
        HOST: '0.0.0.0',
        PORT: '80',
        RUNS_CORS_ORIGINS: 'https://app.example',
        RUNS_PUBLIC_URL: 'https://runs.example/',
        RUNS_PEOPLE: 'people.yaml',
        RUNS_TEMPORAL_UI: 'https://temporal.example',
        RUNS_SESSION_IDLE: '1h',
        RUNS_SESSION_LIFETIME: '8h',
        RUNS_OIDC_ISSUER: 'https://login.example/realms/acme',
        RUNS_OIDC_CLIENT_ID: 'runs',
        RUNS_OIDC_CLIENT_SECRET: 'oidc-secret',
        RUNS_OIDC_SCOPES: 'openid',
        RUNS_OIDC_NAME_CLAIM: 'upn',
        RUNS_OIDC_GROUPS_CLAIM: 'roles',
        RUNS_PROXY_USER_HEADER: 'X-Forwarded-Email',
        RUNS_PROXY_GROUPS_HEADER: 'X-Forwarded-Groups',
        RUNS_PROXY_ADDRESSES: '10.0.0.5 fd00::/8',
        RUNS_PROXY_SECRET: 'proxy-secret-0123456789',
        RUNS_METRICS_ADDRESS: '10.0.0.1:9465',
        RUNS_METRICS_PORT: '9464',
        RUNS_TASK_QUEUE: 'q',
        RUNS_TOOLS: './t.mjs',
        RUNS_MCP: './mcp.json',
        RUNS_OFFER_TOOLS: 'granted',
        RUNS_DATA_CONVERTER: './c.mjs',
        RUNS_MAX_CACHED_RUNS: '0',
        RUNS_MAX_ACTIVITIES: '3',
        RUNS_SHUTDOWN_GRACE: '5s',
        RUNS_DEPLOYMENT: 'prod',
        RUNS_BUILD_ID: 'b7',
        RUNS_LOG_LEVEL: 'debug',
      }),
    ).toEqual({
      backend: 'chat',
      backendKnown: true,
      baseUrl: 'http://127.0.0.1:11434/v1',
      apiKey: 'sk-1',
      apiVersion: '2024-05-01-preview',
      model: 'llama',
      modelsFile: './models.yaml',
      modelAttempts: 2,
      modelSettings: {
        maxTokensField: 'max_tokens',
        rolesAlternate: false,
        stream: 'without_tools',
        jsonSchema: false,
        images: true,
        contextTokens: 8_192,
        headers: { 'x-team': 'shop' },
        body: { top_k: 20 },
      },
      encryptionKeys: 'k1:secret',
      modelPrice: { currency: 'USD', input: 1, cachedInput: null, output: 2 },
      budgets: new Map([
        ['shop', { tokensPerRun: null, tokensPerDay: 9, costPerRun: null, costPerDay: null }],
      ]),
      expiresInMs: 7_200_000,
      databaseUrl: 'postgres://u:p@h/db',
      dataDir: '/data',
      apiKeys: 'k1,k2',
      rateLimits: 'run=50',
      tenantLimits: { streams: 10, liveRuns: 20, storedMegabytes: 0 },
      corsOrigins: 'https://app.example',
      publicUrl: 'https://runs.example',
      webhookNetworks: null,
      console: {
        on: true,
        publicUrl: 'https://runs.example',
        peopleFile: 'people.yaml',
        temporalUi: 'https://temporal.example',
        idleMs: 3_600_000,
        lifetimeMs: 28_800_000,
        oidc: {
          issuer: 'https://login.example/realms/acme',
          clientId: 'runs',
          clientSecret: 'oidc-secret',
          scopes: 'openid',
          nameClaim: 'upn',
          groupsClaim: 'roles',
        },
        proxy: {
          userHeader: 'x-forwarded-email',
          groupsHeader: 'x-forwarded-groups',
          addresses: ['10.0.0.5', 'fd00::/8'],
          secret: 'proxy-secret-0123456789',
        },
      },
      metricsAddress: '10.0.0.1:9465',
      host: '0.0.0.0',
      port: 80,
      metricsPort: 9_464,
      telemetry: null,
      taskQueue: 'q',
      toolsFile: './t.mjs',
      mcpFile: './mcp.json',
      offerTools: 'granted',
      dataConverter: './c.mjs',
      maxCachedRuns: 0,
      maxActivities: 3,
      shutdownGraceMs: 5_000,
      deployment: { name: 'prod', buildId: 'b7' },
      halfDeployment: null,
      logLevel: 'debug',
      invalid: [],
      unknown: [],
    });
  });

  test('a value of spaces is no value', () => {
    expect(configFromEnv({ OPENAI_API_KEY: '  ', DATABASE_URL: '' })).toMatchObject({
      apiKey: null,
      databaseUrl: null,
    });
  });

  test('a bare number of seconds and a duration mean the same', () => {
    expect(configFromEnv({ RUNS_EXPIRES_IN: '90' }).expiresInMs).toBe(90_000);
    expect(configFromEnv({ RUNS_EXPIRES_IN: '90s' }).expiresInMs).toBe(90_000);
  });
});

describe('problems: a value that can not be meant is refused, with the value and what would do', () => {
  test.each<[string, Role, Record<string, string>, RegExp]>([
    [
      'an unknown backend',
      'worker',
      { RUNS_BACKEND: 'openai' },
      /RUNS_BACKEND must be "sandbox", "assistants", "chat"; got "openai"/,
    ],
    [
      'a port of text',
      'serve',
      { ...CHAT, PORT: 'http' },
      /PORT must be a whole number from 0 to 65535; got "http"/,
    ],
    ['a port too high', 'serve', { ...CHAT, PORT: '70000' }, /PORT must be.*got "70000"/],
    ['a negative limit', 'worker', { ...CHAT, RUNS_MAX_ACTIVITIES: '-1' }, /RUNS_MAX_ACTIVITIES.*got "-1"/],
    ['no activities at all', 'worker', { ...CHAT, RUNS_MAX_ACTIVITIES: '0' }, /RUNS_MAX_ACTIVITIES.*from 1/],
    [
      'an expiry without sense',
      'serve',
      { ...CHAT, RUNS_EXPIRES_IN: 'tomorrow' },
      /RUNS_EXPIRES_IN must be seconds.*got "tomorrow"/,
    ],
    ['an expiry of nothing', 'serve', { ...CHAT, RUNS_EXPIRES_IN: '0' }, /RUNS_EXPIRES_IN.*got "0"/],
    [
      'a task queue with a slash',
      'worker',
      { ...CHAT, RUNS_TASK_QUEUE: 'a/b' },
      /RUNS_TASK_QUEUE must be.*got "a\/b"/,
    ],
    ['half a version', 'worker', { ...CHAT, RUNS_BUILD_ID: 'b1' }, /go together; only RUNS_BUILD_ID is set/],
    ['an unknown log level', 'worker', { ...CHAT, RUNS_LOG_LEVEL: 'loud' }, /RUNS_LOG_LEVEL.*got "loud"/],
    [
      'an address that is none',
      'worker',
      { ...CHAT, OPENAI_BASE_URL: 'localhost' },
      /OPENAI_BASE_URL must be a URL/,
    ],
    [
      'another protocol',
      'worker',
      { ...CHAT, OPENAI_BASE_URL: 'ftp://h' },
      /OPENAI_BASE_URL must begin with.*"ftp:"/,
    ],
    [
      'a database of another kind',
      'worker',
      { ...CHAT, DATABASE_URL: 'mysql://h/db' },
      /DATABASE_URL must begin with "postgres:\/\/".*"mysql:"/,
    ],
    [
      'no server of the runs API',
      'worker',
      { RUNS_BACKEND: 'assistants' },
      /OPENAI_BASE_URL is needed with RUNS_BACKEND=assistants/,
    ],
    [
      'no model server and no key',
      'worker',
      { RUNS_BACKEND: 'chat', DATABASE_URL: 'postgres://h/db' },
      /OPENAI_BASE_URL is needed with RUNS_BACKEND=chat/,
    ],
    [
      'a worker without shared database',
      'worker',
      { ...CHAT, DATABASE_URL: '' },
      /DATABASE_URL is needed by "runs worker"/,
    ],
    [
      'a server without shared database',
      'serve',
      { ...CHAT, DATABASE_URL: '' },
      /DATABASE_URL is needed by "runs serve"/,
    ],
    ['a worker of the sandbox', 'worker', {}, /exists only inside "runs dev"/],
    ['a server of the sandbox', 'serve', {}, /exists only inside "runs dev"/],
    ["serving somebody else's API", 'serve', ASSISTANTS, /has no API to serve/],
  ])('%s', (_what, role, env, expected) => {
    const found = configErrors(configFromEnv(env), role);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  test('all problems are told at once', () => {
    expect(
      configErrors(configFromEnv({ RUNS_BACKEND: 'x', PORT: 'y', RUNS_LOG_LEVEL: 'z' }), 'dev'),
    ).toHaveLength(3);
  });

  test.each<[string, Role, Record<string, string>]>([
    ['everything local', 'dev', {}],
    ['a model server, everything else local', 'dev', { RUNS_BACKEND: 'chat', OPENAI_BASE_URL: 'http://h' }],
    ['a worker on a shared database', 'worker', CHAT],
    ['a server on a shared database', 'serve', CHAT],
    [
      "the vendor's model server, by its key",
      'worker',
      { RUNS_BACKEND: 'chat', OPENAI_API_KEY: 'k', DATABASE_URL: 'postgresql://h/db' },
    ],
    ['a worker for a runs API', 'worker', ASSISTANTS],
  ])('nothing is wrong with %s', (_what, role, env) => {
    expect(configErrors(configFromEnv(env), role)).toEqual([]);
  });

  test('a password in an address is refused without being shown', () => {
    const found = configErrors(
      configFromEnv({ ...CHAT, OPENAI_BASE_URL: 'https://user:canary@host/v1' }),
      'worker',
    ).join();
    expect(found).toMatch(/must not hold a user or password/);
    expect(found).not.toContain('canary');
  });
});

describe('which store a role uses', () => {
  test.each<[Role, Record<string, string>, string]>([
    ['worker', ASSISTANTS, 'none'],
    ['worker', CHAT, 'postgres'],
    ['dev', CHAT, 'postgres'],
    ['dev', {}, 'pglite'],
    ['worker', { RUNS_BACKEND: 'chat' }, 'refused'],
    ['serve', { RUNS_BACKEND: 'chat' }, 'refused'],
  ])('%s with %j: %s', (role, env, kind) => {
    expect(storeFor(configFromEnv(env), role).kind).toBe(kind);
  });
});

describe('notes: odd, but it works', () => {
  test.each<[string, Record<string, string>, RegExp]>([
    [
      'a name that is nearly ours',
      { ...ASSISTANTS, RUNS_TOOL: 'x' },
      /RUNS_TOOL is not a setting.*did you mean RUNS_TOOLS\?/,
    ],
    [
      'a name that is nothing like ours',
      { ...ASSISTANTS, RUNS_COLOUR_OF_THE_SKY: 'x' },
      /RUNS_COLOUR_OF_THE_SKY is not a setting of this program and is ignored$/,
    ],
    ['a database nobody uses', { ...ASSISTANTS, DATABASE_URL: 'postgres://h' }, /DATABASE_URL is ignored/],
    ['a model nobody asks', { ...ASSISTANTS, RUNS_MODEL: 'm' }, /RUNS_MODEL is ignored/],
    [
      'a server the sandbox does not call',
      { OPENAI_BASE_URL: 'http://h', RUNS_TOOLS: 't.ts' },
      /set RUNS_BACKEND=chat/,
    ],
    ['a worker without tools', { ...ASSISTANTS, RUNS_TOOLS: '' }, /RUNS_TOOLS is not set/],
  ])('%s', (_what, env, expected) => {
    expect(configWarnings(configFromEnv(env), 'worker')).toEqual([expect.stringMatching(expected)]);
  });

  test('variables of other commands and other programs are no news', () => {
    expect(
      configWarnings(
        configFromEnv({ ...ASSISTANTS, RUNS_URL: 'u', RUNS_API_KEY: 'k', PATH: '/bin' }),
        'worker',
      ),
    ).toEqual([]);
  });
});

describe('the shown configuration', () => {
  test('shows no secret', () => {
    const shown = JSON.stringify(
      describeConfig(
        configFromEnv({
          RUNS_BACKEND: 'chat',
          OPENAI_API_KEY: 'canary-1',
          RUNS_API_KEYS: 'canary-2',
          DATABASE_URL: 'postgres://user:canary-3@host:5432/db?password=canary-4',
          OPENAI_BASE_URL: 'https://canary-5:canary-6@host/v1?key=canary-7',
        }),
      ),
    );
    expect(shown).not.toContain('canary');
    expect(shown).toContain('postgres://***@host:5432/db');
    expect(shown).toContain('https://***@host/v1');
  });

  test('an invalid URL is not repeated', () => {
    expect(redactUrl('canary at host')).toBe('(not a URL)');
  });
});

const problemsOf = (env: Record<string, string>): readonly string[] => configFromEnv(env).invalid;

describe('sign-in to the console', () => {
  const OIDC = {
    RUNS_OIDC_ISSUER: 'https://login.example',
    RUNS_OIDC_CLIENT_ID: 'runs',
    RUNS_PEOPLE: 'p.yaml',
    RUNS_PUBLIC_URL: 'https://runs.example',
  };
  const PROXY = {
    RUNS_PROXY_USER_HEADER: 'x-user',
    RUNS_PROXY_ADDRESSES: '10.0.0.0/8',
    RUNS_PROXY_SECRET: 'proxy-secret-0123456789',
    RUNS_PEOPLE: 'p.yaml',
  };

  test.each([
    ['an OpenID provider', OIDC],
    ['one on this machine', { ...OIDC, RUNS_OIDC_ISSUER: 'http://127.0.0.1:4000' }],
    ['a proxy', PROXY],
    ['nothing of it with the console off', { RUNS_CONSOLE: 'off', RUNS_OIDC_ISSUER: 'nonsense' }],
  ])('%s can be set', (_what, env) => {
    expect(problemsOf(env)).toEqual([]);
  });

  test.each([
    ['the client’s id', { ...OIDC, RUNS_OIDC_CLIENT_ID: '' }, 'go together'],
    ['the public address', { ...OIDC, RUNS_PUBLIC_URL: '' }, 'needs RUNS_PUBLIC_URL'],
    ['people', { ...OIDC, RUNS_PEOPLE: '' }, 'needs RUNS_PEOPLE'],
    ['https at the issuer', { ...OIDC, RUNS_OIDC_ISSUER: 'http://login.example' }, 'must be an https URL'],
    ['an address without a path', { ...OIDC, RUNS_PUBLIC_URL: 'https://a.example/x' }, 'without a path'],
    ['addresses of the proxy', { ...PROXY, RUNS_PROXY_ADDRESSES: '' }, 'needs RUNS_PROXY_ADDRESSES'],
    ['a network', { ...PROXY, RUNS_PROXY_ADDRESSES: '10.0.0.0/33' }, 'addresses and networks'],
    ['a long secret of the proxy', { ...PROXY, RUNS_PROXY_SECRET: 'short' }, 'at least 16 characters'],
    ['the name of a header', { ...PROXY, RUNS_PROXY_USER_HEADER: 'x user' }, 'names of headers'],
    ['people for a proxy', { ...PROXY, RUNS_PEOPLE: '' }, 'RUNS_PROXY_USER_HEADER needs RUNS_PEOPLE'],
  ])('without %s it is refused', (_what, env, problem) => {
    const problems = problemsOf(env);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
    expect(problems[0]).not.toContain(PROXY.RUNS_PROXY_SECRET);
  });
});
