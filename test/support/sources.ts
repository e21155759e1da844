/**
 * The project's source files and their imports, read as text, because the compiler in use has no API for it.
 *
 * Rule: in doubt it reports an import. An import is type-only when the whole statement is.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Target } from './layers.ts';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export interface Import {
  target: Target;
  typeOnly: boolean;
}

/** TypeScript files below `folder`, as paths from the root with `/`. Empty when there is no such folder. */
export function filesIn(folder: string, root: string = ROOT): string[] {
  let names: string[];
  try {
    names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return names
    .filter((name) => /\.(ts|tsx|mts|mjs)$/.test(name))
    .map((name) =>
      relative(root, join(root, folder, name))
        .split(sep)
        .join('/'),
    )
    .toSorted();
}

export const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const STATEMENT =
  /^[ \t]*(?:import|export)\b(\s+type\b(?!\s+from\b))?(?:[^'"`;()=]*?\bfrom)?\s*(['"])([^'"\n]+)\2/gm;
const DYNAMIC = /\bimport\s*\(\s*(['"`])([^'"`\n]+)\1/g;

export function importsOf(file: string, text: string): Import[] {
  const code = withoutComments(text);
  const found = [...code.matchAll(STATEMENT)].map(([, type, , specifier = '']) => ({
    target: resolve(file, specifier),
    typeOnly: type !== undefined,
  }));
  const dynamic = [...code.matchAll(DYNAMIC)].map(([, , specifier = '']) => ({
    target: resolve(file, specifier),
    typeOnly: false,
  }));
  return [...found, ...dynamic];
}

/** Blocks, and lines that are nothing but a comment; the end of a line may be the inside of a string. */
const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^[ \t]*\/\/.*$/gm, '');

function resolve(file: string, specifier: string): Target {
  if (specifier.startsWith('.')) return { file: posix.join(posix.dirname(file), specifier) };
  if (specifier.startsWith('node:')) return { package: 'node' };
  const parts = specifier.split('/');
  return { package: parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/') };
}
