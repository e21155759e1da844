/**
 * `npm run test:clients`: the client programs of `test/clients/`, each with its real library, against one server.
 *
 *   npm run test:clients                          all clients whose toolchain is here
 *   npm run test:clients -- go-openai langchain   these
 *   npm run test:clients -- --write               keeps the results, and the table in docs/reference/clients.md
 *
 * Says which clients were left out and why. Exit code 1 when a step fails that has no known reason.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { LANES, versionOf, type Lane } from '../test/clients/harness/lanes.ts';
import { openServer, type ClientsServer } from '../test/clients/harness/server.ts';
import { problemsOf, readSteps, STEP_NAMES } from '../test/clients/harness/steps.ts';
import { badArgument, scriptArgs } from '../test/support/script-args.ts';
import { tableOf, withTable, type LaneResult } from '../test/clients/harness/table.ts';
import {
  missingToolchain,
  prepareCache,
  TOOLCHAINS,
  type Program,
} from '../test/clients/harness/toolchains.ts';

/** A program needs 37 s for the slow streams; the rest is for slow machines. */
const PROGRAM_TIMEOUT_MS = 180_000;
const CONCURRENCY = 4;
const RESULTS = new URL('../test/clients/results.json', import.meta.url);
const DOCUMENT = new URL('../docs/reference/clients.md', import.meta.url);

const { values, positionals } = scriptArgs(import.meta.url, {
  options: { write: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => LANES.every((lane) => lane.name !== name));
if (unknown.length > 0)
  badArgument(
    `No client is named ${JSON.stringify(unknown[0])}. Clients: ${LANES.map(({ name }) => name).join(', ')}.`,
  );
const lanes = LANES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

const counts = { passed: 0, failed: 0, skipped: 0 };
const results = new Map<string, LaneResult>();

/** Builds are heavy and come one after the other. */
const prepared: { lane: Lane; program: Program }[] = [];
await prepareCache();
for (const lane of lanes) {
  const missing = await missingToolchain(lane.language);
  if (missing !== null) {
    counts.skipped += 1;
    console.log(`skipped  ${lane.client}: ${missing}`);
    continue;
  }
  try {
    prepared.push({ lane, program: await TOOLCHAINS[lane.language].prepare(lane) });
  } catch (error) {
    counts.failed += 1;
    console.log(
      `failed   ${lane.client}: not built: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

const tried = (
  { command, args, cwd, env }: Program,
  given: Record<string, string>,
): Promise<[string, string]> =>
  new Promise((resolve) => {
    const inherited = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
    const options = { cwd, env: { ...inherited, ...env, ...given }, timeout: PROGRAM_TIMEOUT_MS };
    execFile(command, args, options, (error, stdout, stderr) => {
      const last = stderr.trim().split('\n').at(-1) ?? '';
      resolve([
        stdout,
        error === null ? 'the program ended before' : `${error.code ?? error.signal}: ${last}`,
      ]);
    });
  });

const attempt = async (
  { lane, program }: (typeof prepared)[number],
  { env, places }: ClientsServer,
): Promise<void> => {
  const began = Date.now();
  const own = Object.entries(lane.env ?? {}).map(([name, what]) => [name, places[what]]);
  const steps = readSteps(...(await tried(program, { ...env, ...Object.fromEntries(own) })));
  const { client, language, known = {} } = lane;
  results.set(lane.name, { client, language, version: versionOf(lane), steps, known });
  const problems = problemsOf(steps, known);
  const passed = STEP_NAMES.filter((step) => steps[step].ok === true);
  counts[problems.length === 0 ? 'passed' : 'failed'] += 1;
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  console.log(
    `${problems.length === 0 ? 'passed ' : 'failed '}  ${client} ${versionOf(lane)}: ${passed.join(', ')} (${seconds} s)`,
  );
  for (const problem of problems) console.log(`         ${problem}`);
};

const server = await openServer();
try {
  const queue = [...prepared];
  const take = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await attempt(next, server);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, take));
} finally {
  await server.close();
}

if (values.write) {
  const kept = JSON.parse(await readFile(RESULTS, 'utf8').catch(() => '{}')) as Record<string, LaneResult>;
  const all = Object.fromEntries(
    LANES.flatMap(({ name }) => {
      const result = results.get(name) ?? kept[name];
      return result === undefined ? [] : [[name, result]];
    }),
  );
  await writeFile(RESULTS, `${JSON.stringify(all, null, 2)}\n`);
  await writeFile(DOCUMENT, withTable(await readFile(DOCUMENT, 'utf8'), tableOf(Object.values(all))));
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
