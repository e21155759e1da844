/** What tools leave behind, in processes of their own: a rejection is survived, an exception is told before the end. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { CRASH_EXIT_CODE, thrownAt } from '../../../worker/process-guard.ts';

const SCRIPT = fileURLToPath(new URL('../../support/guarded-process.ts', import.meta.url));
const TSX = import.meta.resolve('tsx');

interface Ended {
  code: number;
  said: string[];
  lines: Record<string, unknown>[];
}

const runsWith = (what: string): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, ['--import', TSX, SCRIPT, what], (error, stdout, stderr) => {
      const parsed = stderr
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      resolve({
        code: typeof error?.code === 'number' ? error.code : 0,
        said: stdout.trim().split('\n'),
        lines: parsed,
      });
    });
  });

const WHO = { tool: 'refund', runId: 'run_1', callId: 'call_1', attempt: 1, errorName: 'Error' };

describe('in a process that runs tools', () => {
  test('a rejected promise without a handler is logged with its call, and the process lives', async () => {
    const { code, said, lines } = await runsWith('rejection');
    expect(lines).toEqual([
      expect.objectContaining({ ...WHO, level: 50, at: expect.stringContaining('guarded-process.ts') }),
    ]);
    expect(said).toEqual(['lives']);
    expect(code).toBe(0);
  }, 30_000);

  test('an exception in a timer is logged once with its call, the others are spared, and the process exits', async () => {
    const { code, said, lines } = await runsWith('exception');
    expect(lines).toEqual([
      expect.objectContaining({
        ...WHO,
        level: 50,
        calls: 'refund run_1 call_innocent, refund run_1 call_1',
      }),
    ]);
    expect(said).toEqual(['call_innocent spared', 'call_1 blamed']);
    expect(code).toBe(CRASH_EXIT_CODE);
    expect(JSON.stringify(lines)).not.toContain('secret words');
  }, 30_000);
});

test('where something was thrown is a line of user code, not of Node or a package', () => {
  const error = new Error('x');
  error.stack = [
    'Error: x',
    '    at fail (/app/node_modules/lib/index.js:1:1)',
    '    at node:internal/timers:1:1',
    '    at Timeout._onTimeout (/app/tools.ts:8:47)',
  ].join('\n');
  expect(thrownAt(error)).toBe('Timeout._onTimeout (/app/tools.ts:8:47)');
  expect(thrownAt('a string')).toBeUndefined();
});
