/**
 * The command line of the embedded Temporal dev server, as a pure function of what is wanted.
 *
 * Rule: every setting that costs or saves time stands here with its reason, and the server listens on the
 * loopback interface only. Imported by `temporal-server.ts` and its tests.
 */

/** Names and types of search attributes, as `--search-attribute` takes them. */
export type SearchAttributeTypes = Readonly<
  Record<string, 'Text' | 'Keyword' | 'Int' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList'>
>;

export interface TemporalServerSettings {
  port: number;
  httpPort: number;
  metricsPort: number;
  /** `undefined` = no Web UI. */
  uiPort: number | undefined;
  /** Loopback address of the Web UI. */
  uiHost: string;
  /** Where the Web UI decrypts payloads; `undefined` = it shows them as they are. */
  codecEndpoint: string | undefined;
  /** `undefined` = state lives in memory and dies with the server. */
  dbFilename: string | undefined;
  /** Created at start; `default` always exists. */
  namespace: string;
  searchAttributes: SearchAttributeTypes;
  /** Added to `DYNAMIC_CONFIG`; the same key replaces ours. Values are written as JSON. */
  dynamicConfig: Readonly<Record<string, unknown>>;
}

/**
 * - The transfer queue polls 20 times a second by default, which quadruples the latency of a run.
 * - Eager start and eager activities hand a task to the worker that is already talking to the server,
 *   instead of a second round trip through matching. On by default in the servers known to us; stated,
 *   because our latency targets rest on it.
 */
export const DYNAMIC_CONFIG: Readonly<Record<string, unknown>> = {
  'history.transferProcessorMaxPollRPS': 1000,
  'system.enableEagerWorkflowStart': true,
  'system.enableActivityEagerExecution': true,
};

export function temporalServerArgs(settings: TemporalServerSettings): string[] {
  const args = ['server', 'start-dev', '--ip', '127.0.0.1'];
  const option = (name: string, value: string | number): void => {
    args.push(`--${name}`, String(value));
  };
  option('port', settings.port);
  option('http-port', settings.httpPort);
  option('metrics-port', settings.metricsPort);
  if (settings.uiPort === undefined) args.push('--headless');
  // The news feed would send a request to the internet from the user's browser.
  else args.push('--ui-ip', settings.uiHost, '--ui-port', String(settings.uiPort), '--ui-disable-news-fetch');
  if (settings.uiPort !== undefined && settings.codecEndpoint !== undefined)
    option('ui-codec-endpoint', settings.codecEndpoint);
  option('log-level', 'error');
  if (settings.namespace !== 'default') option('namespace', settings.namespace);
  if (settings.dbFilename !== undefined) {
    option('db-filename', settings.dbFilename);
    // Twice as fast as the default pragmas, and an acknowledged start still survives a power cut.
    option('sqlite-pragma', 'journal_mode=WAL');
    option('sqlite-pragma', 'synchronous=FULL');
  }
  for (const [name, type] of Object.entries(settings.searchAttributes)) {
    option('search-attribute', `${name}=${type}`);
  }
  for (const [key, value] of Object.entries({ ...DYNAMIC_CONFIG, ...settings.dynamicConfig })) {
    option('dynamic-config-value', `${key}=${JSON.stringify(value)}`);
  }
  return args;
}
