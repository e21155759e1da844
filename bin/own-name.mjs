/**
 * A resolve hook for a checkout: `durable-runs/worker` means the sources there, as it means `dist/` in an installed package. So
 * a tools file is the same text in both.
 *
 * Rule: only names that package.json exports. Registered by `runs.mjs` when it runs the sources.
 */
import { readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const { name, exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));

export function resolve(specifier, context, nextResolve) {
  const entry =
    specifier === name || specifier.startsWith(`${name}/`)
      ? exports[`.${specifier.slice(name.length)}`]
      : undefined;
  const source = entry === undefined ? null : /^\.\/dist\/(.+)\.js$/.exec(entry.default);
  return source === null
    ? nextResolve(specifier, context)
    : { url: new URL(`${source[1]}.ts`, root).href, shortCircuit: true };
}
