#!/usr/bin/env node
/**
 * `npm run api`: compares the public entries with the reports in `docs/reference/api/`; `npm run api:update` writes the reports.
 *
 * Rule: what programs may import changes only together with its report, so a change of it is seen in review. An entry has at most 25
 * names. Reads declarations that it compiles itself; no build is needed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

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
const problems = Object.values(entries).flatMap(({ types }) =>
  check(/^\.\/dist\/(.+)\/public\.d\.ts$/.exec(types)[1]),
);
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

/** A room may have a second entry in a folder of its own. */
function reportName(room) {
  return `${room.replaceAll('/', '-')}.api.md`;
}

/** Problems of one entry; with `--update` its report is written first. */
function check(room) {
  const kept = join(reports, reportName(room));
  // The extractor leaves out the comments of declarations, and keeps those inside of a union.
  const text = readFileSync(report(room), 'utf8').replaceAll(/^ *\/\*\*[^]*?\*\/\n/gm, '');
  if (update) writeFileSync(kept, text);
  const names = new Set([...text.matchAll(EXPORTED)].map(([, name]) => name)).size;
  return [
    ...(existsSync(kept) && readFileSync(kept, 'utf8') === text
      ? []
      : [`The entry of ${room}/public.ts differs from ${kept}. If that is meant, run: npm run api:update`]),
    ...(names > MAX_NAMES
      ? [`${room}/public.ts exports ${names} names, and an entry may have ${MAX_NAMES}.`]
      : []),
  ];
}

/** Runs the extractor; gives the report's path. */
function report(room) {
  const config = ExtractorConfig.prepare({
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
        reportFileName: reportName(room),
        reportFolder: work,
        reportTempFolder: join(work, 'made'),
      },
      docModel: { enabled: false },
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
  const { errorCount } = Extractor.invoke(config, { localBuild: true, messageCallback: quiet });
  if (errorCount > 0) process.exit(1);
  return join(work, 'made', reportName(room));
}

/** Says errors only; the rest tells how the extractor works. */
function quiet(message) {
  if (message.logLevel !== ExtractorLogLevel.Error) message.handled = true;
}
