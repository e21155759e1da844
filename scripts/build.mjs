#!/usr/bin/env node
/**
 * `npm run build`: the compiled program in `dist/` (or in the directory given, for tests), and the two folders that are published in
 * `dist/packages/`.
 *
 * Rule: all or nothing. `dist/built.json` is written last; without it nothing takes `dist/` for a build.
 * The workflow bundle is built here, by the very SDK version that will load it, so a worker in production
 * starts without a bundler.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { buildConsole } from './build-console.mjs';
import { missingFiles, PLAIN_FILES, writePackages } from './packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const at = (...path) => join(dist, ...path);

rmSync(dist, { recursive: true, force: true });
compile();
await buildConsole(at('console'));
for (const path of PLAIN_FILES) cpSync(join(root, path), at(path), { recursive: true });
const bundleBytes = await bundle('workflow-bundle.js', {});
await bundle('workflow-bundle-encrypted.js', {
  failureConverterPath: at('workflows', 'encrypted-failures.cjs'),
});
// A program may bring another SDK of the peers' range; its workers then bundle for themselves.
const sdk = createRequire(import.meta.url)('@temporalio/worker/package.json').version;
writeFileSync(at('workflow-bundle.json'), `${JSON.stringify({ sdk })}\n`);
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const missing = promised(manifest).filter((file) => !existsSync(placeOf(file)));
if (missing.length > 0)
  fail(`package.json promises ${JSON.stringify(missing)}, and the build has no such file.`);
for (const [name, folder] of Object.entries(writePackages(root, dist, at('packages')))) {
  const absent = missingFiles(folder);
  if (absent.length > 0) fail(`The package ${name} promises ${JSON.stringify(absent)} and has no such file.`);
}
writeFileSync(at('built.json'), `${JSON.stringify({ version: manifest.version, node: process.version })}\n`);
console.error(`Built ${dist} (workflow bundle ${(bundleBytes / 1e6).toFixed(2)} MB).`);

function compile() {
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const args = [join(typescript, 'bin', 'tsc'), '-p', join(root, 'tsconfig.build.json'), '--outDir', dist];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail('The sources do not compile.');
}

async function bundle(name, converters) {
  const { bundleOptions } = await import(pathToFileURL(at('worker', 'bundle-options.js')).href);
  const { code } = await bundleWorkflowCode({
    ...bundleOptions(dist, 'js'),
    logger: new DefaultLogger('WARN'),
    ...converters,
  });
  writeFileSync(at(name), code);
  return statSync(at(name)).size;
}

/** Every file of this project that package.json names. */
function promised({ bin, exports }) {
  return [...Object.values(bin), ...Object.values(exports).flatMap((entry) => Object.values(entry))];
}

function placeOf(file) {
  return file.startsWith('./dist/') ? at(file.slice('./dist/'.length)) : join(root, file);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
