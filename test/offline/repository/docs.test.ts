/** The documents against the program: every command, option, link, script and variable they name exists, and none is missing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../../app/exit.ts';
import { buildProgram } from '../../../cli/program.ts';
import { ROOT } from '../../support/sources.ts';

const files = [
  'README.md',
  'AGENTS.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'REVIEW.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
].filter((file) => file.endsWith('.md'));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const all = files.map(read).join('\n');

const ignore = (): void => undefined;
const program = buildProgram({
  env: {},
  stdout: ignore,
  stderr: ignore,
  stderrIsTty: false,
  columns: () => 80,
  signal: new AbortController().signal,
});
/** By their full names; a command with subcommands stands for them alone. */
const commands = new Map(
  program.commands.flatMap((command) =>
    (command.commands.length === 0 ? [command] : command.commands).map((one) => [
      one === command ? one.name() : `${command.name()} ${one.name()}`,
      new Set(one.options.map(({ long }) => long)),
    ]),
  ),
);
const commandIn = (call: string): string => {
  const [, first = '', second = ''] = call.split(/\s+/);
  return commands.has(`${first} ${second}`) ? `${first} ${second}` : first;
};

/** Code in documents that calls us: in backticks, or a line of a code block. Prose like "runs go on" is no call. */
const calls = (text: string): string[] => [
  ...[...text.matchAll(/`(?:npx )?(runs [a-z][^`\n]*)`/g)].map((match) => match[1] ?? ''),
  ...[...text.matchAll(/^(?:[A-Z_]+=\S+ )*(?:npx )?(runs .+)$/gm)]
    .map((match) => match[1] ?? '')
    .filter((line) => commands.has(commandIn(line))),
];

/** The anchor of a heading on a forge. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');

describe('the documents', () => {
  test.each(files)('%s links to what exists', (file) => {
    const targets = [...read(file).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) => match[1] ?? '');
    expect(targets.filter((target) => !existsSync(join(ROOT, dirname(file), target)))).toEqual([]);
  });

  test.each(files)('%s links to headings that exist', (file) => {
    const targets = [...read(file).matchAll(/\]\((?!https?:)([^)#\s]*\.md|)#([^)\s]+)\)/g)];
    const missing = targets.filter(([, path = '', anchor = '']) => {
      const headings = read(path === '' ? file : join(dirname(file), path)).matchAll(/^#{1,6} (.+)$/gm);
      return ![...headings].some(([, heading = '']) => anchorOf(heading) === anchor);
    });
    expect(missing.map(([target]) => target)).toEqual([]);
  });

  test('walk through files that exist', () => {
    const page = read('docs/explanation/input-and-answer.md');
    const named = [...page.matchAll(/`([\w-]+(?:\/[\w.-]+)+)`/g)].map((match) => match[1] ?? '');
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  });

  test('call commands that exist, with options that they take', () => {
    const wrong = calls(all).flatMap((call) => {
      const options = commands.get(commandIn(call));
      if (options === undefined) return [`no such command: ${call}`];
      const used = [...call.matchAll(/(?<![\w-])--[a-z-]+/g)].map(([option]) => option);
      return used
        .filter((option) => !options.has(option) && option !== '--help')
        .map((option) => `${option}: ${call}`);
    });
    expect(wrong).toEqual([]);
  });

  test('describe every command and every option of it', () => {
    const text = read('docs/reference/cli.md');
    const missing = [...commands].flatMap(([name, options]) => [
      ...(text.includes(`\`runs ${name}`) ? [] : [name]),
      ...[...options].filter((option) => option !== undefined && option !== null && !text.includes(option)),
    ]);
    expect(missing).toEqual([]);
  });

  test('name every exit code', () => {
    const rows = [...read('docs/reference/cli.md').matchAll(/^\| (\d+) \|/gm)].map((match) =>
      Number(match[1]),
    );
    expect(rows).toEqual(Object.values(EXIT));
  });

  test('use npm scripts that exist', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'));
    const used = [...all.matchAll(/npm run ([a-z][a-z:-]*)/g)].map((match) => match[1] ?? '');
    expect(used.length).toBeGreaterThan(3);
    expect(used.filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe('the environment', () => {
  const OURS = /\b(?:RUNS|OPENAI)_[A-Z][A-Z_]*[A-Z]\b/g;
  const inConfig = new Set([read('worker/config.ts'), read('worker/variables.ts')].join('\n').match(OURS));

  test('in the documents is what the program reads', () => {
    // The compose file's own: a password of the database role, and the folder with tools.
    const compose = new Set(['RUNS_DB_PASSWORD', 'RUNS_TOOLS_DIR']);
    const named = new Set(all.match(OURS));
    expect([...named].filter((name) => !inConfig.has(name) && !compose.has(name))).toEqual([]);
  });

  test('of the program is in docs/reference/cli.md', () => {
    const text = read('docs/reference/cli.md');
    expect([...inConfig].filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
