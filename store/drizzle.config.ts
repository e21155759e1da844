/** For `npx drizzle-kit generate` only: where the tables are described, and where migrations go. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: [
    './store/schema.ts',
    './store/schema-service.ts',
    './store/approvals-schema.ts',
    './store/usage-schema.ts',
    './store/webhooks-schema.ts',
    './store/run-tools-schema.ts',
  ],
  out: './store/migrations',
});
