#!/usr/bin/env node
/**
 * `npm run build:console`: the console's static files in `dist/console/`. `npm ci` runs it in a checkout (`prepare`), and
 * `npm run build` calls `buildConsole`.
 *
 * Rule: an install without development packages, or of package.json alone, has nothing to build and succeeds. Standard output stays
 * empty: `npm pack --json` runs this script and prints there.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const config = join(root, 'console', 'vite.config.ts');

/** Writes the files into `outDir`, which it empties first. Throws when Vite or the sources are missing. */
export async function buildConsole(outDir) {
  const vite = await import('vite');
  await vite.build({ configFile: config, logLevel: 'error', build: { outDir, emptyOutDir: true } });
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
