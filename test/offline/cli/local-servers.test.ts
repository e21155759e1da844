import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { startServer } from '../../../dev-server/child.ts';
import { freePorts } from '../../../dev-server/ports.ts';
import { temporalServerArgs, type TemporalServerSettings } from '../../../dev-server/temporal-args.ts';
import { startTemporal } from '../../../dev-server/temporal-server.ts';

const SETTINGS: TemporalServerSettings = {
  port: 7001,
  httpPort: 7002,
  metricsPort: 7003,
  uiPort: undefined,
  uiHost: '127.0.0.1',
  codecEndpoint: undefined,
  dbFilename: undefined,
  namespace: 'default',
  searchAttributes: {},
  dynamicConfig: {},
};

/** Values of every occurrence of an option. */
const valuesOf = (args: readonly string[], option: string): string[] =>
  args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []));

describe('the command line of the dev server', () => {
  test('listens on the loopback interface, on the ports asked for, without a Web UI unless asked', () => {
    const args = temporalServerArgs(SETTINGS);
    expect(args.slice(0, 2)).toEqual(['server', 'start-dev']);
    expect(valuesOf(args, '--ip')).toEqual(['127.0.0.1']);
    expect(['--port', '--http-port', '--metrics-port'].map((name) => valuesOf(args, name))).toEqual([
      ['7001'],
      ['7002'],
      ['7003'],
    ]);
    expect(args).toContain('--headless');
    const withUi = temporalServerArgs({ ...SETTINGS, uiPort: 7004 });
    expect(valuesOf(withUi, '--ui-port')).toEqual(['7004']);
    expect(valuesOf(withUi, '--ui-ip')).toEqual(['127.0.0.1']);
    expect(withUi).not.toContain('--headless');
  });

  test('lifts the limit that quadruples the latency of a run', () => {
    const values = valuesOf(temporalServerArgs(SETTINGS), '--dynamic-config-value');
    expect(values).toContain('history.transferProcessorMaxPollRPS=1000');
  });

  test("lets the caller's dynamic configuration win over ours, as JSON", () => {
    const dynamicConfig = { 'history.transferProcessorMaxPollRPS': 5, 'some.key': { a: 'b' } };
    const values = valuesOf(temporalServerArgs({ ...SETTINGS, dynamicConfig }), '--dynamic-config-value');
    expect(values.filter((value) => value.startsWith('history.transfer'))).toEqual([
      'history.transferProcessorMaxPollRPS=5',
    ]);
    expect(values).toContain('some.key={"a":"b"}');
  });

  test('is fast and durable on disk, and has no pragma in memory', () => {
    expect(temporalServerArgs(SETTINGS)).not.toContain('--sqlite-pragma');
    const disk = temporalServerArgs({ ...SETTINGS, dbFilename: '/data/t.db' });
    expect(valuesOf(disk, '--db-filename')).toEqual(['/data/t.db']);
    expect(valuesOf(disk, '--sqlite-pragma')).toEqual(['journal_mode=WAL', 'synchronous=FULL']);
  });

  test('registers search attributes and a namespace of its own', () => {
    const searchAttributes = { One: 'Keyword', Two: 'Datetime' } as const;
    const args = temporalServerArgs({ ...SETTINGS, searchAttributes, namespace: 'team' });
    expect(valuesOf(args, '--search-attribute')).toEqual(['One=Keyword', 'Two=Datetime']);
    expect(valuesOf(args, '--namespace')).toEqual(['team']);
  });
});

test('ports that are asked for together differ and can be listened on', async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: ports[0] ?? 0 }, resolve);
  });
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

describe('a child server', () => {
  test('is asked to end, and made to when it does not listen', async () => {
    const deaf = await startServer({
      file: process.execPath,
      args: ['-e', `process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6); console.log('ready');`],
    });
    await said(() => deaf.tail(), 'ready');
    await deaf.stop({ graceMs: 50 });
    expect(await deaf.exited).toEqual({ code: null, signal: 'SIGKILL' });
    const polite = await startServer({
      file: process.execPath,
      args: [
        '-e',
        `process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1e6); console.log('ready');`,
      ],
    });
    await said(() => polite.tail(), 'ready');
    await polite.stop();
    expect(polite.exit()).toEqual({ code: 7, signal: null });
    await polite.stop();
  });

  test('ends when its parent is killed with -9', async () => {
    const module = fileURLToPath(new URL('../../../dev-server/child.ts', import.meta.url));
    const script = `
      import { startServer } from ${JSON.stringify(module)};
      const server = await startServer({ file: process.execPath, args: ['-e', 'setInterval(() => {}, 1e6)'] });
      console.log(server.pid);
      setInterval(() => {}, 1e6);
    `;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
    });
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 10_000, interval: 20 }).toBe(false);
  });

  test('that cannot be run is an error with its path', async () => {
    await expect(startServer({ file: '/no/such/binary', args: [] })).rejects.toThrow(
      'Cannot run "/no/such/binary": spawn /no/such/binary ENOENT.',
    );
  });
});

test('a Temporal binary that ends at once is an error with its path, its end and its words', async () => {
  const starting = startTemporal({ executable: { path: '/bin/ls', source: 'PATH' } });
  await expect(starting).rejects.toThrow(
    /^The Temporal dev server "\/bin\/ls" did not start: it ended \(code 2, signal null\)\. It wrote:\n.*ls:/,
  );
});

async function said(tail: () => string, word: string): Promise<void> {
  await expect.poll(tail, { timeout: 10_000, interval: 10 }).toContain(word);
}

/** A zombie has ended: nobody has fetched its exit code yet, which is not up to us when our parent was killed. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return process.platform !== 'linux' || !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, ''));
  } catch {
    return true;
  }
}
