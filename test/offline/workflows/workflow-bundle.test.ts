import { expect, test } from 'vitest';
import { workflowCode } from '../../../worker/bundle.ts';

/** Kept in memory by every worker; the SDK alone, with the names for its stack traces, is most of it. */
const MOST_BYTES = 1_800_000;

test('the workflow bundle builds, stays small, and holds neither zod nor anything of Node', async () => {
  const made = await workflowCode();
  const code = 'code' in made ? made.code : '';
  expect(Buffer.byteLength(code)).toBeLessThan(MOST_BYTES);
  // Modules appear under their paths.
  expect(code).toContain('./workflows/run/machine.ts');
  expect(code).not.toMatch(/node_modules\/(zod|undici|pg|hono|pino)\//);
  expect(code).not.toContain('./protocol/wire/schemas.ts');
});
