/**
 * The official Python clients, unchanged, against `runs serve` and `runs worker`. The checks are Python
 * (`test/support/official/checks.py`), one test each here for each version.
 *
 * Rule: the versions run at the same time, each with the key of its own tenant: a list of assistants shows those of the tenant.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { SCRIPTS, TOOLS } from '../../support/official/scripts.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { PYTHON_RELEASES, pythonClient, pythonTitle, type PythonRelease } from '../../support/python.ts';

guardAgainstLeaks();

const program = fileURLToPath(new URL('../../support/official/checks.py', import.meta.url));
const names = [...readFileSync(program, 'utf8').matchAll(/^def (check_\w+)/gm)].map(([, name]) => name ?? '');

let server: OfficialServer;
const keyOf = (release: PythonRelease): string => `key-of-the-${release}-client-0123456789`;
const apiKeys = PYTHON_RELEASES.map((release) => `${release}:${keyOf(release)}:*`).join(',');

const results = new Map<PythonRelease, Map<string, string | null>>();

const check = async (release: PythonRelease): Promise<void> => {
  const python = await pythonClient(release);
  const { stdout } = await promisify(execFile)(python.command, [program], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ...python.env,
      OPENAI_BASE_URL: server.url,
      OPENAI_API_KEY: keyOf(release),
    },
    timeout: 180_000,
  });
  const found = new Map<string, string | null>();
  for (const line of stdout.trim().split('\n')) {
    const { name, error } = JSON.parse(line) as { name: string; error: string | null };
    found.set(name, error);
  }
  results.set(release, found);
};

// Installing the clients may take minutes, once.
beforeAll(async () => {
  server = await openOfficial({
    sandbox: { scripts: SCRIPTS },
    tools: TOOLS,
    env: { RUNS_API_KEYS: apiKeys },
  });
  await Promise.all(PYTHON_RELEASES.map(check));
}, 600_000);
afterAll(() => server.close());

describe.each(PYTHON_RELEASES.map((release) => ({ release, title: pythonTitle(release) })))(
  '$title',
  ({ release }) => {
    test('every check has run', () => {
      expect([...(results.get(release)?.keys() ?? [])]).toEqual(names);
    });

    test.each(names)('%s', (name) => {
      expect(results.get(release)?.get(name)).toBeNull();
    });
  },
);
