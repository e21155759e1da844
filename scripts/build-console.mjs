#!/usr/bin/env node
/**
 * `npm run build:console`: the console's static files in `dist/console/`. `npm ci` runs it in a checkout (`prepare`), and
 * `npm run build` calls `buildConsole`.
 *
 * Rule: an install without development packages, or of package.json alone, has nothing to build and succeeds. Standard output stays
 * empty: `npm pack --json` runs this script and prints there.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';

const root = fileURLToPath(new URL('..', import.meta.url));
const config = join(root, 'console', 'vite.config.ts');

/** Texts, which become a fraction of their size. */
const COMPRESSED = /\.(?:html|js|css|svg|json|webmanifest|txt)$/;
/** A smaller answer is one packet anyway. */
const LEAST_BYTES = 1_024;

/** Writes the files into `outDir`, which it empties first, larger texts compressed beside them. Throws when Vite or the sources are missing. */
export async function buildConsole(outDir) {
  const vite = await import('vite');
  await vite.build({ configFile: config, logLevel: 'error', build: { outDir, emptyOutDir: true } });
  const entries = await readdir(outDir, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  await Promise.all(paths.filter((path) => COMPRESSED.test(path)).map(compress));
}

async function compress(path) {
  const content = await readFile(path);
  if (content.length < LEAST_BYTES) return;
  await writeFile(`${path}.br`, await promisify(brotliCompress)(content));
  await writeFile(`${path}.gz`, await promisify(gzip)(content, { level: 9 }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!existsSync(config) || !existsSync(join(root, 'node_modules', 'vite')))
    console.error('The console is not built: its sources or Vite are not installed.');
  else {
    const began = performance.now();
    await buildConsole(join(root, 'dist', 'console'));
    console.error(`Built the console in ${((performance.now() - began) / 1_000).toFixed(1)} s.`);
  }
}
