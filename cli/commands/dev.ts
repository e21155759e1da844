/**
 * `runs dev`, which is `npm start`: everything on this machine, until it is stopped. Temporal with its Web UI, a
 * worker, and on `chat` the store and the API, in one process tree. State is kept in the data directory and survives
 * restarts.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { defineCommand, NO_RESTART, type CommandContext } from '../command.ts';
import { readConfig } from '../config.ts';
import { lastDevState, nonEmpty, writeDevState, type DevState } from '../../app/dev-state.ts';
import { runUntilSignal } from '../../app/run-until-signal.ts';
import type { Stack } from '../../app/stack.ts';
import type { StackOptions } from '../../app/types.ts';

const FAILED_TEXT = 'Its state is kept; start "runs dev" again. Its log is in the data directory.';

const DEFAULT_PORTS = { grpc: 7233, ui: 8233, api: 8787 } as const;

export const dev = defineCommand<object>({
  name: 'dev',
  summary: 'everything on this machine: Temporal, worker, store and API; stays until stopped',
  stays: true,
  configure: (command) => command.option(...NO_RESTART),
  run: async (context) => {
    const config = await readConfig(context, 'dev');
    const dir = resolve(config.dataDir);
    // State, logs and databases contain conversations: only their owner may read them.
    process.umask(0o077);
    await mkdir(dir, { recursive: true });
    await chmod(dir, 0o700);
    const { lockDirectory } = await import('../../store/lock-file.ts');
    const lock = await lockDirectory(dir);
    const { makeLog } = await import('../../worker/log.ts');
    const { guardProcess } = await import('../../worker/process-guard.ts');
    const log = makeLog(config.logLevel === 'info' ? 'warn' : config.logLevel);
    const guard = guardProcess({ log });
    try {
      const { startStack } = await import('../../app/stack.ts');
      const dbFilename = join(dir, 'temporal.db');
      const last = await lastDevState(dir);
      await endStale(context, last, dbFilename);
      const crashed = last?.stopped === true ? undefined : last;
      const stack = await startStack({
        config,
        env: context.io.env,
        temporal: { ports: await ports(crashed), dbFilename, logFile: join(dir, 'temporal.log') },
        storeDir: join(dir, 'store'),
        sample: true,
        apiPort: await apiPort(context, config.port, crashed),
        log,
        say: context.say,
      });
      const state = stateOf(stack, config.backend);
      const { writeProcessRecord } = await import('../../app/process-file.ts');
      const { address, namespace, taskQueue } = stack.temporal;
      const temporal = { address, namespace, taskQueue };
      const own = { role: 'dev', temporal, apiUrl: stack.apiUrl } as const;
      const record = await writeProcessRecord(dir, context.io.env, own, () => stack.worker.learned());
      try {
        await writeDevState(dir, state);
        const { pid: _pid, temporalPid: _temporalPid, ...shown } = state;
        const { assistantId, consoleUrl } = stack;
        const { tools } = stack.worker;
        context.announce({ ready: true, ...shown, tools, assistantId, consoleUrl, dataDir: dir });
        const { welcome } = await import('../output/welcome.ts');
        for (const line of welcome({
          ...state,
          dataDir: config.dataDir,
          tools,
          assistantId,
          consoleUrl,
          model: config.model,
        }))
          context.say(line);
        await runUntilSignal(context.io.signal, stack.broken, FAILED_TEXT);
      } finally {
        context.say('stopping');
        await record.remove();
        await stack.close();
      }
      await writeDevState(dir, { ...state, stopped: true });
      return undefined;
    } finally {
      await lock.release();
      guard.dispose();
    }
  },
});

const stateOf = ({ temporal, temporalPid, uiUrl, apiUrl }: Stack, backend: string): DevState => ({
  pid: process.pid,
  temporalPid,
  temporalAddress: temporal.address,
  namespace: temporal.namespace,
  uiUrl,
  apiUrl,
  backend,
  taskQueue: temporal.taskQueue,
});

const endStale = async (
  context: CommandContext,
  last: DevState | undefined,
  dbFilename: string,
): Promise<void> => {
  if (last === undefined || last.temporalPid === null) return;
  const { endStaleServer } = await import('../../app/stale-server.ts');
  if (await endStaleServer(last.temporalPid, dbFilename))
    context.say(`ended the Temporal server ${last.temporalPid} that an earlier "runs dev" left behind`);
};

/** The ports of a killed process come first, so that addresses in notes and scripts stay right. */
const ports = async (last: DevState | undefined): Promise<{ grpc: number[]; ui: number[] }> => {
  const { portOf } = await import('../../app/ports.ts');
  const before = (url: string | null | undefined): number[] => {
    const port = url === null || url === undefined ? undefined : portOf(url);
    return port === undefined ? [] : [port];
  };
  return {
    grpc: [...new Set([...before(last?.temporalAddress), DEFAULT_PORTS.grpc])],
    ui: [...new Set([...before(last?.uiUrl), DEFAULT_PORTS.ui])],
  };
};

const apiPort = async (
  { io }: CommandContext,
  configured: number,
  last: DevState | undefined,
): Promise<StackOptions['apiPort']> => {
  if (nonEmpty(io.env['PORT']) !== undefined) return { named: configured };
  const { portOf } = await import('../../app/ports.ts');
  const before = last?.apiUrl == null ? undefined : portOf(new URL(last.apiUrl).origin);
  return { preferred: [...new Set([...(before === undefined ? [] : [before]), DEFAULT_PORTS.api])] };
};
