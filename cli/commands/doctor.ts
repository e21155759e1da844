/**
 * `runs doctor`: checks everything that runs need. One line per check: ok or not, and how to fix it.
 *
 * Read only, except for `--fix`, which creates missing search attributes, and for the store's own migrations.
 */
import { defineCommand, type CommandContext } from '../command.ts';
import { wrapped } from '../output/format.ts';
import { diagnose, type Check, type Diagnosis } from '../doctor/check.ts';
import { nonEmpty } from '../../app/dev-state.ts';
import { CliError, EXIT, usageError } from '../../app/exit.ts';
import type { Store } from '../../protocol/ports/run-store.ts';
import type { Role } from '../../worker/config.ts';

interface Options {
  fix?: boolean;
  only: string[];
  role?: string;
}

const ROLES = ['worker', 'serve', 'dev'] as const satisfies readonly Role[];

export const doctor = defineCommand<Options>({
  name: 'doctor',
  summary: 'check Node, the process of this folder, Temporal, workers, builds, backend, store, tools and API',
  configure: (command) =>
    command
      .option('--fix', 'create missing search attributes')
      .option('--only <check>', 'run only this check and those that it needs; may be repeated', collect, [])
      .option(
        '--role <role>',
        `the process whose configuration is checked: ${ROLES.join(', ')}; default: the one that runs in this folder, else dev`,
      ),
  run: async (context, _args, options) => {
    const role = ROLES.find((item) => item === options.role);
    if (role === undefined && options.role !== undefined)
      throw usageError(
        `--role must be ${ROLES.join(', ')}, got ${JSON.stringify(options.role)}. Choose one of them.`,
      );
    const { checks, close } = await allChecks(context, role, options.fix === true);
    try {
      const names = checks.map((check) => check.name);
      const unknown = options.only.find((name) => !names.includes(name));
      if (unknown !== undefined)
        throw usageError(
          `--only knows ${names.join(', ')}, got ${JSON.stringify(unknown)}. Choose one of them.`,
        );
      const columns = context.io.stdoutIsTty === true ? context.io.columns() : null;
      const found = await diagnose(checks, options.only, (diagnosis) => {
        if (!context.json)
          for (const line of diagnosisLines(diagnosis, columns)) context.io.stdout(`${line}\n`);
      });
      const bad = found.filter((item) => item.state === 'problem').length;
      return {
        json: { ok: bad === 0, checks: found },
        lines: [bad === 0 ? 'All in order.' : `${bad} problem${bad === 1 ? '' : 's'}.`],
        exitCode: bad === 0 ? EXIT.ok : EXIT.checkFailed,
      };
    } finally {
      await close();
    }
  },
});

const collect = (value: string, before: string[]): string[] => [...before, value];

/** On a narrower terminal, lines of text are this wide and the terminal breaks them. */
const MIN_TEXT_COLUMNS = 30;
const STATUS_COLUMN = { ok: 'ok      ', problem: 'PROBLEM ', skipped: '-       ' } as const;

/** `columns`: of the terminal, whose lines are broken between words; null = not a terminal. */
export const diagnosisLines = (
  { name, state, detail, fix }: Diagnosis,
  columns: number | null = null,
): string[] => {
  const head = `${STATUS_COLUMN[state]} ${name.padEnd(17)} `;
  const below = ' '.repeat(head.length);
  const text = (words: string): string[] =>
    columns === null ? [words] : wrapped(words, Math.max(MIN_TEXT_COLUMNS, columns - head.length));
  return [...text(detail), ...(fix === undefined ? [] : text(`fix: ${fix}`))].map(
    (line, index) => `${index === 0 ? head : below}${line}`,
  );
};

const allChecks = async (
  { io }: CommandContext,
  asked: Role | undefined,
  fix: boolean,
): Promise<{ checks: Check[]; close: () => Promise<void> }> => {
  const { localChecks, worldChecks } = await import('../doctor/local-checks.ts');
  const { temporalChecks } = await import('../doctor/temporal-checks.ts');
  const { apiChecks, processChecks } = await import('../doctor/process-checks.ts');
  const { doctorGround, doctorTemporal } = await import('../doctor/ground.ts');
  const { RunsClient, temporalTarget } = await import('../../client/index.ts');
  const { configFromEnv } = await import('../../worker/config.ts');
  const ground = { ...(await doctorGround(io, asked)), shell: io.env };
  // A folder whose "runs dev" is not running is a finding, and the other checks still run.
  const chosen = await doctorTemporal(io, ground).catch((error: unknown) => {
    if (error instanceof CliError) return error;
    throw error;
  });
  const target = temporalTarget(chosen instanceof CliError ? { env: { ...ground.env } } : chosen);
  const config = configFromEnv(ground.env);
  const local = {
    config,
    role: ground.role,
    process: ground.process,
    missing: ground.missing,
    backend: async () => {
      if (config.backend === 'sandbox') return null;
      const { makeAssistants, makeChat } = await import('../../worker/backends.ts');
      // Asking the model server needs no store, and the store has a check of its own.
      return config.backend === 'assistants'
        ? await makeAssistants(config)
        : await makeChat(config, {} as Store, { env: ground.env });
    },
  };
  let connecting: ReturnType<typeof RunsClient.connect> | undefined;
  const temporal = {
    ...target,
    fix,
    dataConverter:
      nonEmpty(io.env['RUNS_DATA_CONVERTER']) ??
      (nonEmpty(io.env['RUNS_ENCRYPTION_KEYS']) === undefined ? null : 'RUNS_ENCRYPTION_KEYS'),
    processConverter: ground.process?.settings['RUNS_DATA_CONVERTER'] ?? null,
    deployment: nonEmpty(ground.env['RUNS_DEPLOYMENT']) ?? null,
    runs: async () => {
      if (chosen instanceof CliError) throw chosen;
      return await (connecting ??= RunsClient.connect(chosen));
    },
  };
  return {
    checks: [
      ...localChecks(local),
      ...processChecks(ground),
      ...temporalChecks(temporal),
      ...worldChecks(local),
      ...apiChecks(ground),
    ],
    close: async () => {
      const client = await connecting?.catch(() => undefined);
      await client?.close();
    },
  };
};
