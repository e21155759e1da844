#!/usr/bin/env node
/**
 * `npm run api`: compares the public entries with `docs/reference/api/`; `npm run api:update` writes the files there. An entry has a
 * report (`worker.api.md`: its declarations, for reviews) and a page (`worker.md`: its names, explained).
 *
 * Rule: what programs may import changes only together with its report, so a change of it is seen in review. An entry has at most 25
 * names, each with a comment. Reads declarations that it compiles itself; no build is needed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { pageOf, undocumented } from './api-pages.mjs';

const MAX_NAMES = 25;
/** A line of a report that begins an export. */
const EXPORTED =
  /^(?:export (?:declare )?(?:abstract )?(?:class|interface|type|const|function|enum|namespace)) (\w+)/gm;
const root = fileURLToPath(new URL('..', import.meta.url));
const reports = join(root, 'docs', 'reference', 'api');
const update = process.argv.includes('--update');
const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

mkdirSync(join(root, '.cache'), { recursive: true });
// Below the checkout, so that declarations find the types of other packages.
const work = mkdtempSync(join(root, '.cache', 'api-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
compileDeclarations();
mkdirSync(reports, { recursive: true });
const rooms = new Map(
  Object.entries(entries).map(([entry, { types }]) => [
    /^\.\/dist\/(.+)\/public\.d\.ts$/.exec(types)[1],
    `durable-runs${entry.slice(1)}`,
  ]),
);
const configs = new Map([...rooms.keys()].map((room) => [room, extractorConfig(room)]));
// One program for all entries: most of the time goes into reading the declarations of packages.
const [first, ...others] = [...configs.values()];
const compilerState = CompilerState.create(first, {
  additionalEntryPoints: others.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath),
});
const problems = [...rooms].flatMap(([room, entry]) => check(room, entry));
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function compileDeclarations() {
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const args = ['-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', work];
  const { status } = spawnSync(process.execPath, [join(typescript, 'bin', 'tsc'), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(1);
  writeFileSync(join(work, 'package.json'), '{ "name": "durable-runs", "type": "module" }\n');
}

/** Name of an entry's files; a room may have a second entry in a folder of its own. */
function fileName(room) {
  return room.replaceAll('/', '-');
}

/** Problems of one entry; with `--update` its files are written first. */
function check(room, entry) {
  const { report, model } = extract(room);
  const files = { [`${fileName(room)}.api.md`]: report, [`${fileName(room)}.md`]: pageOf(entry, model) };
  const names = new Set([...report.matchAll(EXPORTED)].map(([, name]) => name)).size;
  return [
    ...Object.entries(files).flatMap(([name, text]) => compare(join(reports, name), text, room)),
    ...(names > MAX_NAMES
      ? [`${room}/public.ts exports ${names} names, and an entry may have ${MAX_NAMES}.`]
      : []),
    ...undocumented(model).map(
      (name) =>
        `${entry} exports ${name}, which has no comment. Write one above its declaration: what it is, units, default, errors.`,
    ),
  ];
}

function compare(path, text, room) {
  if (update) writeFileSync(path, text);
  return existsSync(path) && readFileSync(path, 'utf8') === text
    ? []
    : [`The entry of ${room}/public.ts differs from ${path}. If that is meant, run: npm run api:update`];
}

/** Runs the extractor on one entry. */
function extract(room) {
  const { errorCount } = Extractor.invoke(configs.get(room), {
    localBuild: true,
    compilerState,
    messageCallback: quiet,
  });
  if (errorCount > 0) process.exit(1);
  const report = readFileSync(join(work, 'made', `${fileName(room)}.api.md`), 'utf8');
  return {
    // The extractor leaves out the comments of declarations, and keeps those inside of a union.
    report: report.replaceAll(/^ *\/\*\*[^]*?\*\/\n/gm, ''),
    model: JSON.parse(readFileSync(join(work, `${fileName(room)}.api.json`), 'utf8')),
  };
}

function extractorConfig(room) {
  return ExtractorConfig.prepare({
    configObject: {
      projectFolder: work,
      mainEntryPointFilePath: join(work, room, 'public.d.ts'),
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2022',
            lib: ['es2023'],
            module: 'nodenext',
            moduleResolution: 'nodenext',
            types: ['node'],
            typeRoots: [join(root, 'node_modules', '@types')],
            strict: true,
            skipLibCheck: true,
            allowImportingTsExtensions: true,
            noEmit: true,
          },
          include: ['**/*.d.ts'],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: `${fileName(room)}.api.md`,
        reportFolder: work,
        reportTempFolder: join(work, 'made'),
      },
      docModel: { enabled: true, apiJsonFilePath: join(work, `${fileName(room)}.api.json`) },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        // Types that an exported one is made of are described by it; comments are checked by their readers.
        extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: join(work, 'api-extractor.json'),
    packageJsonFullPath: join(work, 'package.json'),
  });
}

/** Says errors only; the rest tells how the extractor works. */
function quiet(message) {
  if (message.logLevel !== ExtractorLogLevel.Error) message.handled = true;
}
