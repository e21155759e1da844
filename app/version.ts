/** The package's version, read from its own package.json: beside `cli/` in a checkout, beside `dist/` in a package. */
import { readFileSync } from 'node:fs';

export const version = (): string => {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const read: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (typeof read === 'object' && read !== null && 'name' in read && read.name === 'durable-runs')
        return 'version' in read ? String(read.version) : 'unknown';
    } catch {
      continue;
    }
  }
  return 'unknown';
};
