/**
 * The names of the environment variables that this project reads.
 *
 * Rule: a name that begins with `RUNS_` and is not listed is reported as unknown. Imported by `config.ts`, the warnings
 * and tests.
 */

/**
 * Every variable of this project, with its name in `describeConfig`. `RUNS_URL` and `RUNS_API_KEY` are for commands
 * that call the API.
 */
export const VARIABLES = [
  'RUNS_BACKEND',
  'RUNS_URL',
  'RUNS_API_KEY',
  'RUNS_MODEL',
  'RUNS_MODELS',
  'RUNS_MODEL_ATTEMPTS',
  'RUNS_MODEL_MAX_TOKENS_FIELD',
  'RUNS_MODEL_ROLES_ALTERNATE',
  'RUNS_MODEL_STREAM',
  'RUNS_MODEL_JSON_SCHEMA',
  'RUNS_MODEL_IMAGES',
  'RUNS_MODEL_CONTEXT_TOKENS',
  'RUNS_MODEL_HEADERS',
  'RUNS_MODEL_BODY',
  'RUNS_MODEL_PRICE',
  'RUNS_BUDGETS',
  'RUNS_EXPIRES_IN',
  'RUNS_DATA_DIR',
  'RUNS_API_KEYS',
  'RUNS_RATE_LIMITS',
  'RUNS_MAX_STREAMS',
  'RUNS_MAX_LIVE_RUNS',
  'RUNS_MAX_STORED_MB',
  'RUNS_CORS_ORIGINS',
  'RUNS_PUBLIC_URL',
  'RUNS_WEBHOOK_NETWORKS',
  'RUNS_METRICS_ADDRESS',
  'RUNS_METRICS_PORT',
  'RUNS_TASK_QUEUE',
  'RUNS_TOOLS',
  'RUNS_MCP',
  'RUNS_OFFER_TOOLS',
  'RUNS_DATA_CONVERTER',
  'RUNS_ENCRYPTION_KEYS',
  'RUNS_CODEC_ORIGINS',
  'RUNS_CODEC_URL',
  'RUNS_MAX_CACHED_RUNS',
  'RUNS_MAX_ACTIVITIES',
  'RUNS_SHUTDOWN_GRACE',
  'RUNS_DEPLOYMENT',
  'RUNS_BUILD_ID',
  'RUNS_LOG_LEVEL',
] as const;
