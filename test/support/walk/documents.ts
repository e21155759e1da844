/**
 * The commands that the documents name, by their words: `runs assistants create`, `npm run demo`, `temporal workflow show`.
 *
 * Rule: read from the documents when a test runs, so a command that is written tomorrow is looked for tomorrow. Pure, but for
 * reading.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../../../cli/program.ts';
import { ROOT } from '../sources.ts';

export interface DocumentBlock {
  language: string;
  code: string;
}

export const documentBlocks = (text: string): DocumentBlock[] =>
  [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language = '', code = '']) => ({ language, code }));

/** Files are named by their first line: `// tools.ts`, `# client.py`. */
export const documentFileName = ({ code }: DocumentBlock): string | null =>
  /^(?:\/\/|#) ([\w.-]+)\n/.exec(code)?.[1] ?? null;

export const readDocument = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const documents = (): string[] => [
  'README.md',
  ...(readdirSync(join(ROOT, 'docs'), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

const OURS = COMMANDS.map(({ name }) => `runs ${name}`);

/** How many words name a command of somebody else's. */
const OTHERS: readonly RegExp[] = [
  /^npm (?:run|exec) [\w:-]+/,
  /^npm [a-z]+/,
  /^temporal [a-z]+ [a-z-]+/,
  /^docker compose [a-z]+/,
  /^npx tsx \S+/,
];

/** The words of a command line without its arguments; null = it is no command that is looked for. */
export const commandWords = (line: string): string | null => {
  const bare = line
    .trim()
    .replace(/^(?:[A-Z_]+=(?:\$\()?(?:\S* )?)*(?=npx |npm |runs )/, '')
    .replace(/^npx (?=runs )/, '');
  const ours = OURS.filter((name) => bare === name || bare.startsWith(`${name} `));
  return ours[0] ?? OTHERS.map((words) => words.exec(bare)?.[0]).find((words) => words !== undefined) ?? null;
};

const linesOf = (text: string): string[] => [
  ...[...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code),
  ...documentBlocks(text)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ code }) => code.split('\n')),
  ...[...text.matchAll(/^((?:npx )?runs .+|npm .+)$/gm)].map(([, line = '']) => line),
];

/** Every command of README.md and docs/, with the documents that name it. */
export const documentedCommands = (): Map<string, string[]> => {
  const found = new Map<string, string[]>();
  for (const file of documents())
    for (const line of linesOf(readDocument(file)).flatMap((text) => text.split(/ && | & /))) {
      const words = commandWords(line);
      if (words !== null) found.set(words, [...new Set([...(found.get(words) ?? []), file])]);
    }
  return found;
};
