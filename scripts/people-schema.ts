/**
 * Writes `docs/reference/people.schema.json`, the JSON Schema of the file that RUNS_PEOPLE names, for editors and other checkers.
 * `npm run docs:people` writes it; a test compares it with the schema that the server itself uses.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import { peopleFileSchema } from '../app/console/people-schema.ts';

export const PEOPLE_SCHEMA_FILE = 'docs/reference/people.schema.json';

export const currentPeopleSchema = (): string => {
  const { $schema, ...schema } = z.toJSONSchema(peopleFileSchema, { io: 'input' });
  return `${JSON.stringify({ $schema, title: 'People and groups of durable-runs (RUNS_PEOPLE)', ...schema }, null, 2)}\n`;
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(fileURLToPath(new URL(`../${PEOPLE_SCHEMA_FILE}`, import.meta.url)), currentPeopleSchema());
  console.error(`Wrote ${PEOPLE_SCHEMA_FILE}.`);
}
