/** The program of README.md as it is printed: tools file, server, client in Node and in Python, and a person's answer. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { pythonClient } from '../../support/python.ts';
import { ROOT } from '../../support/sources.ts';

interface Block {
  language: string;
  code: string;
}

const blocksOf = (text: string): Block[] =>
  [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language = '', code = '']) => ({ language, code }));

/** Files are named by their first line: `// tools.ts`, `# client.py`. */
const fileName = ({ code }: Block): string | null => /^(?:\/\/|#) ([\w.-]+)\n/.exec(code)?.[1] ?? null;

let dir: string;
let env: NodeJS.ProcessEnv;
/** Command lines of the section, in order. */
let lines: string[];
let server: Running;

interface Running {
  child: ChildProcess;
  output: () => string;
  /** Resolves when it has written this. */
  said: (what: RegExp) => Promise<void>;
  ended: Promise<number | null>;
}

const run = (command: string, args: readonly string[]): Running => {
  const child = spawn(command, args, { cwd: dir, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let output = '';
  const looks = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const look of looks) look();
    });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const said = (what: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => void (what.test(output) && resolve());
      looks.add(look);
      look();
      void ended.then((code) => reject(new Error(`It ended (${code}) without ${what}:\n${output}`)));
    });
  return { child, output: () => output, said, ended };
};

/** A line of the README as its reader types it. */
const type = (line: string): Running => run('/bin/sh', ['-c', line]);

/** The same in a terminal of its own. */
const typeInTerminal = (line: string): Running =>
  run('python3', ['-c', 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)', '/bin/sh', '-c', line]);

const lineWith = (text: string): string => {
  const found = lines.find((line) => line.includes(text));
  if (found === undefined)
    throw new Error(`README.md has no command with ${JSON.stringify(text)}: ${lines.join(' | ')}`);
  return found;
};

beforeAll(async () => {
  const [, section = ''] = (await readFile(join(ROOT, 'README.md'), 'utf8')).split(/^## Use$/m);
  const blocks = blocksOf(section.split(/^## /m)[0] ?? '');
  // Below the checkout, where `npx runs` and the imports are found as in a project that has installed the package.
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  dir = await mkdtemp(join(ROOT, '.cache', 'readme-'));
  for (const block of blocks) {
    const name = fileName(block);
    if (name !== null) await writeFile(join(dir, name), block.code);
  }
  lines = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ code }) => code.split('\n').filter((line) => line !== ''));
  const port = await freePort();
  const python = await pythonClient();
  const { PATH, HOME } = process.env;
  // Another port than the printed one, which another program of this machine may have.
  const printed = /OPENAI_BASE_URL=(\S+) OPENAI_API_KEY=(\S+)/.exec(lineWith('export'));
  env = {
    PATH,
    HOME,
    ...python.env,
    PORT: String(port),
    OPENAI_BASE_URL: printed?.[1]?.replace(':8787', `:${port}`),
    OPENAI_API_KEY: printed?.[2],
  };
  server = type(lineWith('npx runs dev'));
  await server.said(/^ready: runs dev/m);
}, 600_000);

afterAll(async () => {
  if (server.child.pid !== undefined) process.kill(-server.child.pid, 'SIGINT');
  await server.ended;
  await rm(dir, { recursive: true, force: true });
}, 60_000);

describe('the program of README.md', { timeout: 120_000 }, () => {
  test('in Node waits for a person, who is asked at a terminal, and completes', async () => {
    const client = type(lineWith('client.mjs'));
    const waiting = async (): Promise<string> => {
      const listed = type('npx runs list --waiting');
      await listed.ended;
      return listed.output();
    };
    await expect
      .poll(waiting, { timeout: 60_000 })
      .toMatch(/^[2-9b-z]{5} +refund +\{"order":"example","amount":1\}/m);
    const person = typeInTerminal(lineWith('runs answer'));
    await person.said(/a = approve/);
    person.child.stdin?.write('a\n');
    await client.ended;
    expect(client.output()).toMatch(
      /^completed Done\. refund said: Paid 1 back for order example \(run_\w+:call_\w+\)\.$/m,
    );
    expect(await person.ended).toBe(0);
    expect(person.output()).toContain('accepted');
  });

  test('in Python does the same, answered without questions', async () => {
    const client = type(lineWith('client.py'));
    const answer = async (): Promise<number | null> => {
      const listed = type('npx runs list --waiting --json');
      await listed.ended;
      const { runs = [] } = JSON.parse(listed.output()) as { runs?: { runId: string }[] };
      const [first] = runs;
      return first === undefined ? null : await type(`npx runs answer ${first.runId} --approve`).ended;
    };
    await expect.poll(answer, { timeout: 60_000 }).toBe(0);
    expect(await client.ended).toBe(0);
    expect(client.output()).toMatch(/^completed Done\. refund said: Paid 1 back for order example /m);
  });
});
