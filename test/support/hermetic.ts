/**
 * Runs before every test file and removes the settings of the developer's environment.
 *
 * Rule: a test sees only its own settings, so it never uses a developer's profile, key or database.
 */
const OURS = /^(TEMPORAL_|RUNS_|OPENAI_|OTEL_|AZURE_|DATABASE_URL$|HOST$|PORT$|PG[A-Z]+$)/;

for (const name of Object.keys(process.env)) {
  if (OURS.test(name)) delete process.env[name];
}
