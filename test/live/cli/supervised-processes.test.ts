/** Real processes below the supervisor of commands that stay: which one is started again, and what ends together. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

const SCRIPT = fileURLToPath(new URL('../../support/supervised-process.ts', import.meta.url));
const TSX = import.meta.resolve('tsx');

const children: ReturnType<typeof spawn>[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

const start = (what: string) => {
  const child = spawn(process.execPath, ['--import', TSX, SCRIPT, 'supervise', what], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let text = '';
  const looks = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    for (const look of looks) look();
  });
  const said = (line: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = line.exec(text);
        if (found !== null) resolve(found);
      };
      looks.add(look);
      look();
    });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return { child, said, ended, text: () => text };
};

/** Waits until there is no process of this id. */
const gone = async (pid: number): Promise<void> => {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
};

describe('a process below the supervisor', () => {
  test.each(['crash-once', 'killed-once'])(
    'that dies is started again, as another process: %s',
    async (what) => {
      const { child, said, ended } = start(what);
      const [, first] = await said(/first (\d+)/);
      const [, again] = await said(/again (\d+)/);
      expect(again).not.toBe(first);
      child.kill('SIGTERM');
      await said(/asked to stop/);
      expect(await ended).toEqual({ code: 0, signal: null });
    },
    30_000,
  );

  test('that says why it ends is not, and its exit code is the command’s', async () => {
    const { ended, text } = start('refuse');
    expect(await ended).toEqual({ code: 2, signal: null });
    expect(text()).not.toContain('again');
  }, 30_000);

  test('is gone with its supervisor, also when that one is killed with -9', async () => {
    const { child, said, ended } = start('stay');
    const [, pid = ''] = await said(/first (\d+)/);
    child.kill('SIGKILL');
    expect(await ended).toEqual({ code: null, signal: 'SIGKILL' });
    await gone(Number(pid));
  }, 30_000);
});
