/**
 * Runs before every test file: takes away the settings of whoever started the tests.
 *
 * Rule: a test sees only what it sets itself, so a developer's profile, key or database is never used.
 */
const OURS = /^(TEMPORAL_|RUNS_|OPENAI_|AZURE_|DATABASE_URL$|HOST$|PORT$|PG[A-Z]+$)/;

for (const name of Object.keys(process.env)) {
  if (OURS.test(name)) delete process.env[name];
}
