/**
 * The configuration as people and logs may see it.
 *
 * Rule: a secret is shown as "set" or "not set", and a URL without its secret parts.
 * Imported by the composition roots and the CLI.
 */
import type { Config } from './config.ts';
import { describeBudgets } from './budgets.ts';
import { describePrice } from './model-price.ts';
import { describeModelSettings } from './model-settings.ts';

/** A URL without user, password, query and fragment. */
export const redactUrl = (value: string): string => {
  try {
    const url = new URL(value);
    const auth = url.username === '' && url.password === '' ? '' : '***@';
    return `${url.protocol}//${auth}${url.host}${url.pathname === '/' ? '' : url.pathname}`;
  } catch {
    return '(not a URL)';
  }
};

const secret = (value: string | null): string => (value === null ? 'not set' : 'set');

/** What is exported, and where to. */
export const describeTelemetry = ({ telemetry }: Pick<Config, 'telemetry'>): string => {
  if (telemetry === null) return 'off';
  const what = [
    ...(telemetry.traces ? [`traces (${telemetry.sampler})`] : []),
    ...(telemetry.metrics ? [`metrics every ${telemetry.metricIntervalMs / 1_000} s`] : []),
  ];
  return `${what.join(' and ')} to ${telemetry.endpoint === null ? 'this machine' : redactUrl(telemetry.endpoint)}`;
};

/** The settings, without secrets. */
export const describeConfig = (config: Config): Record<string, string> => {
  const url = (value: string | null): string => (value === null ? 'not set' : redactUrl(value));
  return {
    backend: config.backend,
    baseUrl: url(config.baseUrl),
    apiKey: secret(config.apiKey),
    apiVersion: config.apiVersion ?? 'not set',
    model: config.model ?? 'named by each run',
    modelsFile: config.modelsFile ?? 'none',
    modelAttempts: String(config.modelAttempts),
    modelSettings: describeModelSettings(config.modelSettings),
    modelPrice: describePrice(config.modelPrice),
    budgets: describeBudgets(config.budgets),
    expiresIn: `${config.expiresInMs / 1_000} s`,
    database: config.databaseUrl === null ? 'not set' : redactUrl(config.databaseUrl),
    dataDir: config.dataDir,
    apiKeys: secret(config.apiKeys),
    rateLimits: config.rateLimits ?? 'none',
    tenantLimits: `${config.tenantLimits.streams} streams, ${config.tenantLimits.liveRuns} live runs, ${config.tenantLimits.storedMegabytes} MB stored (0 = no limit)`,
    corsOrigins: config.corsOrigins ?? 'none',
    publicUrl: url(config.publicUrl),
    webhookNetworks: config.webhookNetworks ?? 'the internet only',
    console: config.console.on ? (config.console.publicUrl ?? 'on') : 'off',
    people: config.console.peopleFile ?? 'none',
    oidc: config.console.oidc?.issuer ?? 'none',
    proxyUserHeader: config.console.proxy?.userHeader ?? 'none',
    listen: `${config.host}:${config.port}`,
    metricsAddress: config.metricsAddress ?? 'the address of the API',
    metricsPort: config.metricsPort === null ? 'off' : String(config.metricsPort),
    taskQueue: config.taskQueue,
    tools: config.toolsFile ?? 'none',
    offerTools: config.offerTools ?? (config.apiKeys === null ? 'all' : 'none'),
    dataConverter: config.dataConverter ?? 'none',
    encryption: secret(config.encryptionKeys),
    maxCachedRuns: String(config.maxCachedRuns),
    maxActivities: String(config.maxActivities),
    shutdownGrace: `${config.shutdownGraceMs / 1_000} s`,
    deployment:
      config.deployment === null ? 'not versioned' : `${config.deployment.name} ${config.deployment.buildId}`,
    logLevel: config.logLevel,
    telemetry: describeTelemetry(config),
  };
};
