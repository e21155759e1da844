/**
 * The programs of `examples/`, each run as its README says, and the tutorial, typed line by line as it is printed.
 *
 * Rule: one file, so that no two tests start servers on the usual ports at once.
 */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import {
  makeProgramFolder,
  RUNS_COMMAND,
  startProgram,
  startServerIn,
  type ProgramShell,
  type RunningProgram,
} from '../../support/program-folder.ts';
import { pythonClient } from '../../support/python.ts';
import { ROOT } from '../../support/sources.ts';
import { documentBlocks, documentFileName, readDocument } from '../../support/walk/documents.ts';

const copyOf = async (name: string): Promise<string> => {
  const dir = await makeProgramFolder(`example-${name}`);
  await cp(join(ROOT, 'examples', name), dir, { recursive: true });
  return dir;
};

const withServer = async (name: string, env: NodeJS.ProcessEnv): Promise<ProgramShell> =>
  startServerIn(await copyOf(name), env);

const waitingRun = async (shell: ProgramShell): Promise<string> => {
  let runId: string | undefined;
  await expect
    .poll(
      async () => {
        const listed = shell.run('runs list --waiting --json');
        await listed.ended;
        const json = /\{[^]*\}/.exec(listed.output())?.[0] ?? '{}';
        runId = (JSON.parse(json) as { runs?: { runId: string }[] }).runs?.[0]?.runId;
        return runId;
      },
      { timeout: 60_000 },
    )
    .toMatch(/^run_/);
  return runId ?? '';
};

describe('the example', { timeout: 180_000 }, () => {
  test('hello-tools runs its tool on the worker', async () => {
    const shell = await withServer('hello-tools', { RUNS_TOOLS: './tools.ts' });
    const client = shell.run('node client.mjs');
    expect(await client.ended, client.output()).toBe(0);
    expect(client.output()).toMatch(/^completed .*get_temperature said: No temperature is known for /m);
  });

  test('approval-web-ui waits for a person, and runs the tool after the approval', async () => {
    const shell = await withServer('approval-web-ui', { RUNS_TOOLS: './tools.ts' });
    const client = shell.run('node client.mjs');
    const runId = await waitingRun(shell);
    const page = shell.run(`runs show ${runId}`);
    await page.ended;
    expect(page.output()).toContain('deploy');
    expect(await shell.run(`runs answer ${runId} --approve`).ended).toBe(0);
    expect(await client.ended).toBe(0);
    expect(client.output()).toMatch(/^completed .*Deployed /m);
  });

  test('follow-up goes on without the answer, which a new run then carries', async () => {
    const shell = await withServer('follow-up', { RUNS_TOOLS: './tools.ts', ANSWER_WITHIN: '3s' });
    const client = shell.run('node client.mjs');
    expect(await client.ended, client.output()).toBe(0);
    const [, command = '', runId = ''] =
      /^waiting: npx (runs answer (run_\w+) .*)$/m.exec(client.output()) ?? [];
    expect(client.output()).toMatch(new RegExp(`^completed ${runId}$`, 'm'));
    const answer = shell.run(`${command} --json`);
    expect(await answer.ended, answer.output()).toBe(0);
    const [, next = ''] = /"follow_up_run_id": "(\w+)"/.exec(answer.output()) ?? [];
    expect(next).toMatch(/^run_/);
    const watched = shell.run(`runs watch ${next}`);
    expect(await watched.ended, watched.output()).toBe(0);
  });

  test('encryption reads payloads of the old key after a rotation', async () => {
    const [first, second] = ['1'.repeat(64), '2'.repeat(64)];
    const env = { RUNS_TOOLS: './tools.ts', RUNS_ENCRYPTION_KEYS: `old:${first}` };
    const shell = await withServer('encryption', env);
    const client = shell.run('node client.mjs');
    const runId = await waitingRun(shell);
    await shell.restart({ RUNS_ENCRYPTION_KEYS: `new:${second},old:${first}` });
    expect(await shell.run(`runs answer ${runId} --approve`).ended).toBe(0);
    // The official client polls again after the restart, or gives up: the run's own end counts.
    const watched = shell.run(`runs watch ${runId}`);
    expect(await watched.ended, watched.output()).toBe(0);
    await client.ended;
    const withoutOld = shell.run(`RUNS_ENCRYPTION_KEYS=new:${second} ${RUNS_COMMAND} show ${runId}`);
    expect(await withoutOld.ended).not.toBe(0);
    expect(withoutOld.output()).toMatch(/"old"/);
  });

  test('python-client answers with its own function and streams', async () => {
    const shell = await withServer('python-client', {});
    const { command, env } = await pythonClient('newest');
    const variables = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
    const client = shell.run(`${variables.join(' ')} ${command} client.py`);
    expect(await client.ended, client.output()).toBe(0);
    expect(client.output()).toMatch(/pieces of /);
    expect(client.output()).toMatch(/^completed$/m);
  });

  test('own-worker serves its workflow and a run on one worker', async () => {
    const dir = await copyOf('own-worker');
    const env = {
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TASK_QUEUE: `own-worker-${process.pid}`,
    };
    const program = startProgram(dir, env, `${join(ROOT, 'node_modules', '.bin', 'tsx')} main.ts`);
    expect(await program.ended, program.output()).toBe(0);
    expect(program.output()).toMatch(/^Hello, Ada completed add ok$/m);
  });
});

const SERVERS = 'RUNS_TOOLS=./tools.ts npx runs dev';

/** `NAME=$(npx runs …)` sets a variable for the lines after it; `$NAME` in a line is replaced by it. */
const typed = async (shell: ProgramShell, line: string, names: Map<string, string>): Promise<string> => {
  const [, name, inner] = /^(\w+)=\$\((.*)\)$/.exec(line) ?? [];
  const command = (inner ?? line)
    .replace(/^npx runs /, 'runs ')
    .replaceAll(/\$(\w+)/g, (whole, variable: string) => names.get(variable) ?? whole);
  const program: RunningProgram = shell.run(command);
  expect(await program.ended, `${line}\n${program.output()}`).toBe(0);
  if (name !== undefined) names.set(name, program.output().trim());
  return program.output();
};

/** A line of a printed output as a pattern: `…` is anything, and runs of spaces are columns. */
const pattern = (line: string): RegExp =>
  new RegExp(
    line
      .trim()
      .split(/(…| +)/)
      .map((part) =>
        part === '…'
          ? '.+'
          : part.startsWith(' ')
            ? ' +'
            : part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`),
      )
      .join(''),
    'm',
  );

test('the tutorial does what it prints', { timeout: 240_000 }, async () => {
  const blocks = documentBlocks(readDocument('docs/tutorial/first-approval.md'));
  const tools = blocks.find((block) => documentFileName(block) === 'tools.ts');
  const dir = await makeProgramFolder('tutorial');
  await writeFile(join(dir, 'tools.ts'), tools?.code ?? '');
  const shell = await startServerIn(dir, { RUNS_TOOLS: './tools.ts' });

  const names = new Map<string, string>();
  let line = '';
  let output = '';
  let started = 0;
  for (const block of blocks) {
    const lines = block.code.trimEnd().split('\n');
    if (block.language === 'text') {
      // What waits is listed a moment after it waits: the last line is typed again until it prints what the page prints.
      await expect
        .poll(
          async () => {
            const missing = lines.filter((one) => !pattern(one).test(output));
            if (missing.length > 0) output = await typed(shell, line, names);
            return missing;
          },
          { timeout: 60_000, interval: 500 },
        )
        .toEqual([]);
      continue;
    }
    if (block.language !== 'sh' || lines.includes('npm ci')) continue;
    for (line of lines) {
      if (line !== SERVERS) output = await typed(shell, line, names);
      else if (++started === 2) await shell.restart({});
    }
  }
  expect([started, names.get('RUN')]).toEqual([2, expect.stringMatching(/^run_/)]);
});
