/**
 * Logs: one JSON object a line on stderr, for this project's code and for Temporal's SDK.
 *
 * Rule: fields are allow-listed. Arguments, outputs, payloads and texts of foreign errors are not on the list, so a
 * secret in them can't get into a log by accident.
 * Imported by the composition root and the CLI.
 */
import type { Logger as TemporalLogger, LogLevel as TemporalLevel } from '@temporalio/common';
import pino from 'pino';
import type { Logger } from '../protocol/index.ts';
import type { LogLevel } from './config.ts';

/** Names of fields that may be logged. Values are ids, names, numbers and flags. */
const FIELDS = new Set([
  'activity',
  'activityId',
  'activityType',
  'address',
  'assistantId',
  'at',
  'attempt',
  'backend',
  'backendRunId',
  'callId',
  'calls',
  'code',
  'delayMs',
  'durationMs',
  'errorName',
  'failure',
  'failureType',
  'keyId',
  'method',
  'ms',
  'namespace',
  'operator',
  'outcome',
  'phase',
  'port',
  'reason',
  'requestId',
  'retryable',
  'round',
  'route',
  'runId',
  'sdkComponent',
  'server',
  'status',
  'stderr',
  'taskQueue',
  'threadId',
  'tool',
  'tools',
  'waitMs',
  'workflowId',
  'workflowRunId',
  'workflowType',
]);
const MAX_FIELD_CHARS = 200;

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

/** The fields that may be logged. Of an error its name and type, never its text. */
export const isAllowedLogField = (
  fields: Record<string, unknown>,
): Record<string, string | number | boolean> => {
  const kept: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Error) {
      kept['errorName'] = value.name;
      const type: unknown = Reflect.get(value, 'type') ?? Reflect.get(value, 'code');
      if (isPlain(type)) kept['failureType'] = type;
    } else if (FIELDS.has(name) && isPlain(value)) {
      kept[name] = typeof value === 'string' ? value.slice(0, MAX_FIELD_CHARS) : value;
    }
  }
  return kept;
};

/** Lines below the level are not formatted: most are, several for each activity. */
const dropped = (): void => undefined;

export const makeLog = (
  level: LogLevel,
  destination: { write(line: string): void } = pino.destination({ dest: 2, sync: true }),
): Logger => {
  const sink = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const at = (name: keyof Logger): Logger[keyof Logger] =>
    sink.isLevelEnabled(name) ? (fields, message) => sink[name](isAllowedLogField(fields), message) : dropped;
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
};

/** The SDK's `runId` (its core's `run_id`) names a workflow execution; a run is named by its workflow id. */
const renamed = ({ runId, run_id = runId, ...meta }: Record<string, unknown>): Record<string, unknown> => ({
  ...meta,
  ...(run_id === undefined ? {} : { workflowRunId: run_id }),
  ...(meta['workflowId'] === undefined ? {} : { runId: meta['workflowId'] }),
});

/** Routes the logs of Temporal's SDK into this log. Its info level becomes debug: our own lines report the runs. */
export const temporalLogger = (log: Logger): TemporalLogger => {
  const write = (level: TemporalLevel, message: string, meta: Record<string, unknown> = {}) => {
    if (log.debug === dropped && level !== 'ERROR' && level !== 'WARN') return;
    const fields = renamed(meta);
    if (level === 'ERROR') log.error(fields, message);
    else if (level === 'WARN') log.warn(fields, message);
    else log.debug(fields, message);
  };
  return {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
};
