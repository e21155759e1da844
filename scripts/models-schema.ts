/**
 * Writes `docs/reference/models.schema.json`, the JSON Schema of the file that RUNS_MODELS names, for editors and other checkers.
 * `npm run docs:models` writes it; a test compares it with the schema that the server itself uses.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import { modelsFileSchema } from '../worker/models/models-schema.ts';

export const MODELS_SCHEMA_FILE = 'docs/reference/models.schema.json';

export const currentModelsSchema = (): string => {
  const { $schema, ...schema } = z.toJSONSchema(modelsFileSchema, { io: 'input' });
  return `${JSON.stringify({ $schema, title: 'Providers and models of durable-runs (RUNS_MODELS)', ...schema }, null, 2)}\n`;
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(fileURLToPath(new URL(`../${MODELS_SCHEMA_FILE}`, import.meta.url)), currentModelsSchema());
  console.error(`Wrote ${MODELS_SCHEMA_FILE}.`);
}
