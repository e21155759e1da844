/**
 * Arguments of the programs that npm scripts start: `--help` prints the header of the program's file, and a mistake is one line on
 * stderr with exit code 2. Imported by `scripts/` and `bench/`.
 */
import { readFileSync } from 'node:fs';
import { parseArgs, type ParseArgsConfig } from 'node:util';

/** `script`: the program's `import.meta.url`. Ends the process on `--help` and on a mistake. */
export const scriptArgs = <Config extends ParseArgsConfig>(
  script: string,
  config: Config,
): ReturnType<typeof parseArgs<Config>> => {
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
    process.stdout.write(`${headerOf(readFileSync(new URL(script), 'utf8'))}\n`);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    return badArgument(error instanceof Error ? error.message : String(error));
  }
};

export const badArgument = (problem: string): never => {
  process.stderr.write(`${problem} See --help.\n`);
  process.exit(2);
};

/** The first comment of a source, without its frame. */
export const headerOf = (source: string): string =>
  (/^\/\*\*\n([^]*?)\n \*\//.exec(source)?.[1] ?? '').replaceAll(/^ \* ?/gm, '');
