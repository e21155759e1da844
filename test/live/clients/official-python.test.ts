/**
 * The official Python client, unchanged, against `runs serve` and `runs worker`. The checks are Python
 * (`test/support/official/checks.py`), one test each here.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { SCRIPTS, TOOLS } from '../../support/official/scripts.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { pythonClient } from '../../support/python.ts';

guardAgainstLeaks();

const program = fileURLToPath(new URL('../../support/official/checks.py', import.meta.url));
const names = [...readFileSync(program, 'utf8').matchAll(/^def (check_\w+)/gm)].map(([, name]) => name ?? '');

let server: OfficialServer;
const results = new Map<string, string | null>();

// Installing the client may take minutes, once.
beforeAll(async () => {
  const [python, opened] = await Promise.all([
    pythonClient(),
    openOfficial({ sandbox: { scripts: SCRIPTS }, tools: TOOLS }),
  ]);
  server = opened;
  const { stdout } = await promisify(execFile)(python.command, [program], {
    env: { PATH: process.env['PATH'] ?? '', ...python.env, OPENAI_BASE_URL: server.url },
    timeout: 180_000,
  });
  for (const line of stdout.trim().split('\n')) {
    const { name, error } = JSON.parse(line) as { name: string; error: string | null };
    results.set(name, error);
  }
}, 600_000);
afterAll(() => server.close());

test('all checks were run', () => {
  expect([...results.keys()]).toEqual(names);
});

test.each(names)('openai-python: %s', (name) => {
  expect(results.get(name)).toBeNull();
});
