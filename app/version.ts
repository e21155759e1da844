/**
 * The package's version, read from its own package.json: beside `cli/` in a checkout, beside `dist/` in a package. The client and the
 * server that are published have one version.
 */
import { readFileSync } from 'node:fs';

const NAMES = new Set<unknown>(['durable-runs', 'durable-runs-server']);

export const version = (): string => {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const read: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (typeof read === 'object' && read !== null && 'name' in read && NAMES.has(read.name))
        return 'version' in read ? String(read.version) : 'unknown';
    } catch {
      continue;
    }
  }
  return 'unknown';
};
