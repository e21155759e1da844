/**
 * Which tools a run has called, as drizzle describes it; see `schema.ts`.
 *
 * Rule: a trigger (`0011`) writes the rows with each round, so processes of an older version write them, too.
 * Imported as values by drizzle-kit and the schema test only.
 */
import { bigint, index, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { runs } from './schema.ts';

export const runTools = pgTable(
  'run_tools',
  {
    run_id: text()
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    tool: text().notNull(),
    /** The run's `position`. */
    run_position: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.run_id, table.tool] }),
    index('run_tools_page').on(table.tool, table.run_position),
  ],
);
