/**
 * Whose configuration `runs doctor` checks: that of the process which runs in this folder; without one, the shell's.
 *
 * Rule: what the environment of the shell names about Temporal wins, as for every command. Imported by `runs doctor`.
 */
import { dataDir, nonEmpty } from '../../app/dev-state.ts';
import { environmentOf, missingSecrets, processesOf, type ProcessRecord } from '../../app/process-file.ts';
import { TEMPORAL_CHOICE } from '../../app/temporal-env.ts';
import type { ConnectOptions } from '../../client/index.ts';
import type { Role } from '../../worker/config.ts';
import type { CliIo } from '../command.ts';
import { temporalChoice } from '../connections.ts';

export interface DoctorGround {
  role: Role;
  /** The process whose settings are checked; null = the shell's are. */
  process: ProcessRecord | null;
  /** All processes of the folder. */
  processes: ProcessRecord[];
  env: CliIo['env'];
  /** Secrets that the process has and this shell lacks. */
  missing: string[];
}

/** The most complete first: a worker has tools and a backend, `serve` has neither. */
const ORDER: readonly Role[] = ['dev', 'worker', 'serve'];

export const doctorGround = async (io: CliIo, asked: Role | undefined): Promise<DoctorGround> => {
  const processes = await processesOf(dataDir(io.env));
  const wanted = asked === undefined ? ORDER : [asked];
  const process =
    wanted.map((role) => processes.find((one) => one.role === role)).find((one) => one !== undefined) ?? null;
  const role = asked ?? process?.role ?? 'dev';
  if (process === null) return { role, process, processes, env: io.env, missing: [] };
  const chosen = TEMPORAL_CHOICE.flatMap((name) => {
    const value = nonEmpty(io.env[name]);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    role,
    process,
    processes,
    env: { ...environmentOf(process, io.env), ...Object.fromEntries(chosen) },
    missing: missingSecrets(process, io.env),
  };
};

/** Where the processes' Temporal is, read with the data converter of this shell. Throws as `temporalChoice` does. */
export const doctorTemporal = async (io: CliIo, { process, env }: DoctorGround): Promise<ConnectOptions> => {
  const named = TEMPORAL_CHOICE.some((name) => nonEmpty(io.env[name]) !== undefined);
  if (process === null || process.role === 'dev' || named)
    return temporalChoice({
      ...io,
      env: {
        ...env,
        RUNS_DATA_CONVERTER: io.env['RUNS_DATA_CONVERTER'],
        RUNS_ENCRYPTION_KEYS: io.env['RUNS_ENCRYPTION_KEYS'],
        RUNS_DATA_DIR: io.env['RUNS_DATA_DIR'],
      },
    });
  const { dataConverterOf } = await import('../../worker/data-converter.ts');
  return { ...(await dataConverterOf(io.env)), env: { ...env }, ...process.temporal };
};
