/**
 * Checks of what is on this side of the wires: Node, configuration, tools, backend, store.
 *
 * Rule: nothing is written and nothing stays started; the backend is asked the cheapest question that proves address and key,
 * MCP servers for their tools.
 * Imported by `runs doctor`.
 */
import { BASE_URL_LACKS_VERSION } from '../../backends/models/openai-compatible/probe.ts';
import type { ProcessRecord } from '../../app/process-file.ts';
import { describeBudgets } from '../../worker/budgets.ts';
import { BackendError } from '../../protocol/errors.ts';
import type { ConfiguredModel } from '../../protocol/models.ts';
import { ModelError } from '../../protocol/ports/model.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { describeConfig, describeTelemetry, redactUrl } from '../../worker/describe-config.ts';
import { configErrors, storeFor, type Config, type Role } from '../../worker/config.ts';
import { configWarnings } from '../../worker/config-warnings.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import type { MadeBackend } from '../../worker/backends.ts';
import { learnedFinding } from './learned-check.ts';
import { ok, problem, skipped, type Check, type Finding } from './check.ts';

export interface LocalGround {
  config: Config;
  role: Role;
  /** The process that runs with this configuration, which is a valid one then; null = none. */
  process: ProcessRecord | null;
  /** Secrets that the process has and this shell lacks. */
  missing: readonly string[];
  /** Null where the backend lives inside `runs dev`. */
  backend(): Promise<MadeBackend | null>;
}

export const localChecks = (ground: LocalGround): Check[] => [
  { name: 'node', needs: [], run: async () => nodeCheck(process.versions.node) },
  { name: 'config', needs: [], run: async () => configCheck(ground) },
];

export const worldChecks = (ground: LocalGround): Check[] => [
  { name: 'tools', needs: [], run: () => toolsCheck(ground.config) },
  { name: 'mcp', needs: ['tools'], run: () => mcpCheck(ground.config) },
  { name: 'models', needs: ['config'], run: () => modelsCheck(ground.config) },
  { name: 'people', needs: ['config'], run: () => peopleCheck(ground.config) },
  { name: 'backend', needs: ['config'], run: () => backendCheck(ground) },
  { name: 'learned', needs: ['config'], run: async () => learnedCheck(ground) },
  { name: 'telemetry', needs: ['config'], run: async () => telemetryCheck(ground.config) },
  { name: 'store', needs: ['config'], run: () => storeCheck(ground) },
];

const OLDEST: readonly [number, number] = [20, 19];

export const nodeCheck = (version: string): Finding => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor, wantedMinor] = OLDEST;
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
    ? ok(version)
    : problem(`Node ${version} is too old, ${OLDEST.join('.')} or newer is needed`, 'install Node 22 or 24');
};

const configCheck = ({ config, role, process: running }: LocalGround): Finding => {
  const found = running !== null ? [] : configErrors(config, role);
  if (found.length > 0)
    return problem(
      found.join('; '),
      `correct the environment; the variables are in docs/reference/cli.md. Checked as "runs ${role}": --role checks as another`,
    );
  const { backend, taskQueue } = describeConfig(config);
  const odd = configWarnings(config, role);
  return ok(
    `backend ${backend}, task queue ${taskQueue}${odd.length === 0 ? '' : ` (note: ${odd.join('; ')})`}`,
  );
};

const toolsCheck = async (config: Config): Promise<Finding> => {
  if (config.toolsFile === null) return skipped('RUNS_TOOLS is not set: no tools of the worker');
  const { loadTools } = await import('../../worker/tools-file.ts');
  const { names } = await loadTools(config.toolsFile);
  return ok(`${config.toolsFile}: ${names.length === 0 ? 'no tools' : names.join(', ')}`);
};

/** A model's name, with what its entry says that it can and can't do. */
const describeModel = ({ name, capabilities: { images, jsonSchema, tools } }: ConfiguredModel): string => {
  const said = Object.entries({ images, json_schema: jsonSchema, tools }).flatMap(([what, can]) =>
    can === null ? [] : [can ? what : `no ${what}`],
  );
  return said.length === 0 ? name : `${name} (${said.join(', ')})`;
};

/** Reads the file of models as a server and a worker would; their addresses and keys are tried by the next check. */
const modelsCheck = async ({ modelsFile, model, budgets: given }: Config): Promise<Finding> => {
  if (modelsFile === null) return skipped('RUNS_MODELS is not set: one model server');
  const { loadModelsFile } = await import('../../worker/models/models-file.ts');
  const { providers, models, budgets } = await loadModelsFile(modelsFile, {
    replacement: model,
    budgets: given,
  });
  const names = [...models.values()].map(describeModel);
  return ok(
    `${modelsFile}: providers ${[...providers.keys()].join(', ')}; ${names.length === 0 ? 'no models by name' : `models ${names.join(', ')}`}${budgets.size === 0 ? '' : `; budgets of ${describeBudgets(budgets)}`}`,
  );
};

/** Reads the file of people as a server would. */
const peopleCheck = async ({ console: { on, peopleFile } }: Config): Promise<Finding> => {
  if (!on || peopleFile === null) return skipped('RUNS_PEOPLE is not set: no people and groups by name');
  const { loadPeopleFile } = await import('../../app/console/people-file.ts');
  const { people, groups } = await loadPeopleFile(peopleFile);
  return ok(
    `${peopleFile}: ${people.size} people; ${groups.size === 0 ? 'no groups' : `groups ${[...groups.keys()].join(', ')}`}`,
  );
};

/** Tries to connect to every server as a worker would, and ends the connections again. */
const mcpCheck = async ({ toolsFile, mcpFile }: Config): Promise<Finding> => {
  const { loadTools } = await import('../../worker/tools-file.ts');
  const { joinMcpServers } = await import('../../worker/mcp/mcp-file.ts');
  const { noTools } = await import('../../activities/index.ts');
  const own = toolsFile === null ? noTools() : await loadTools(toolsFile);
  const servers = await joinMcpServers(own, mcpFile);
  if (Object.keys(servers).length === 0) return skipped('no MCP servers: RUNS_MCP is not set');
  const { startMcpServers } = await import('../../worker/mcp/start-servers.ts');
  const started = await startMcpServers(own, servers, { log: silentLog, waitMs: PROBE_MS });
  const found = started.status();
  await started.close();
  const wrong = found.flatMap(({ name, problem: why, notes }) =>
    (why === null ? notes : [why]).map((text) => `${name}: ${text}`),
  );
  return wrong.length > 0
    ? problem(
        wrong.join('; '),
        'start that server, or correct its entry; until then a call of its tools ends in an error',
      )
    : ok(found.map(({ name, tools }) => `${name}: ${tools} tools`).join(', '));
};

const silentLog: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const PROBE_MS = 10_000;

/** In the order in which their absence matters. */
const MODEL_SECRETS: readonly string[] = ['OPENAI_BASE_URL', 'OPENAI_API_KEY', 'RUNS_MODEL_HEADERS'];

const notKnownHere = (name: string): Finding =>
  skipped(
    `the process of this folder has a ${name} that this shell lacks; set it here, too, to have it checked`,
  );

const isRefusedKey = (error: unknown): boolean =>
  (error instanceof ModelError && error.kind === 'unauthorized') ||
  (error instanceof BackendError && error.type === FAILURES.backendUnauthorized);

const backendCheck = async (ground: LocalGround): Promise<Finding> => {
  const made = await ground.backend();
  if (made === null) return skipped('the sandbox exists only inside "runs dev"');
  const { modelsFile } = ground.config;
  // A file of models names its own variables.
  const unknown =
    modelsFile === null ? MODEL_SECRETS.find((name) => ground.missing.includes(name)) : undefined;
  if (unknown === 'OPENAI_BASE_URL') return notKnownHere(unknown);
  try {
    const { detail } = await made.backend.probe(AbortSignal.timeout(PROBE_MS));
    return ok(`${ground.config.backend}: ${detail}`);
  } catch (error) {
    // The process has a key that this shell lacks, so a refusal of this shell says nothing about the process.
    if (unknown !== undefined && isRefusedKey(error)) return notKnownHere(unknown);
    if (error instanceof ModelError && error.code === BASE_URL_LACKS_VERSION)
      return problem(
        messageOf(error),
        'set OPENAI_BASE_URL to that address, for every process that asks the model',
      );
    if (modelsFile !== null)
      return problem(
        messageOf(error),
        `start that server, or correct its provider in ${modelsFile} and the variables that it names`,
      );
    return problem(
      messageOf(error),
      `start that server, or correct OPENAI_BASE_URL (${shownBase(ground.config)}) and OPENAI_API_KEY`,
    );
  } finally {
    await made.dispose();
  }
};

const learnedCheck = ({ config, process: running }: LocalGround): Finding =>
  config.backend === 'chat'
    ? learnedFinding(running, config.modelSettings, Date.now())
    : skipped('only RUNS_BACKEND=chat asks a model server');

const telemetryCheck = (config: Config): Finding =>
  config.telemetry === null
    ? skipped('OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces, and metrics for Prometheus alone')
    : ok(describeTelemetry(config));

const storeCheck = async ({ config, role, missing }: LocalGround): Promise<Finding> => {
  if (config.backend !== 'assistants' && missing.includes('DATABASE_URL'))
    return notKnownHere('DATABASE_URL');
  const where = storeFor(config, role);
  if (where.kind === 'none') return skipped('not used with RUNS_BACKEND=assistants');
  if (where.kind === 'refused') return problem(where.problem, 'set DATABASE_URL, or use "runs dev"');
  if (where.kind === 'pglite') return skipped(`embedded in ${where.dataDir}, used by "runs dev" alone`);
  return await postgresCheck(where.databaseUrl);
};

const postgresCheck = async (databaseUrl: string): Promise<Finding> => {
  const { openStore } = await import('../../store/index.ts');
  try {
    const store = await openStore({ databaseUrl, listens: false });
    try {
      await store.ping();
    } finally {
      await store.close();
    }
  } catch (error) {
    return problem(
      messageOf(error),
      `start that PostgreSQL, or correct DATABASE_URL (${redactUrl(databaseUrl)})`,
    );
  }
  return ok('PostgreSQL answers, its schema is this version’s');
};

const shownBase = ({ baseUrl }: Config): string => (baseUrl === null ? 'not set' : redactUrl(baseUrl));

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
