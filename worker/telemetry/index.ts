/**
 * The telemetry of a process, if it is configured.
 *
 * Rule: without settings nothing is loaded. The packages are optional peers: without them the error names the command.
 * Imported by the composition roots.
 */
import { RunsError, type Logger } from '../../protocol/index.ts';
import type { TelemetrySettings } from './settings.ts';
import type { Telemetry } from './types.ts';

/** What `npm install` needs for an export. */
export const TELEMETRY_PACKAGES = [
  '@opentelemetry/api',
  '@opentelemetry/core',
  '@opentelemetry/context-async-hooks',
  '@opentelemetry/exporter-metrics-otlp-proto',
  '@opentelemetry/exporter-trace-otlp-proto',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-metrics',
  '@opentelemetry/sdk-trace',
] as const;

/** null = not configured. Throws `RunsError` `config` when the packages are not installed. */
export const startTelemetry = async (
  settings: TelemetrySettings | null,
  log: Logger,
): Promise<Telemetry | null> => {
  if (settings === null) return null;
  try {
    const { openTelemetry } = await import('./open.ts');
    return openTelemetry(settings, log);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new RunsError(
      'config',
      `OTEL_… names a collector, and the packages of OpenTelemetry are not installed. Run "npm install ${TELEMETRY_PACKAGES.join(' ')}", or set OTEL_SDK_DISABLED=true.`,
      { cause: error },
    );
  }
};
