/** Many waiting calls from one, by SQL: what a list shows does not need a run behind each of its rows. Tests and benchmarks only. */
import { Client } from 'pg';

/** Copies of one waiting call until there are `count`, each with a deadline, and one of seven tools, of its own. */
export const copyCalls = async (databaseUrl: string, id: string, count: number): Promise<void> => {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ column_name: string }>(
      `select column_name from information_schema.columns where table_name = 'approvals'
       and column_name not in ('id', 'call_id', 'due_at', 'tool', 'position', 'changed', 'changed_in')`,
    );
    const kept = rows.map(({ column_name: name }) => `"${name}"`).join(', ');
    await client.query(
      `insert into approvals (id, call_id, due_at, tool, ${kept})
       select id || '_' || n, call_id || '_' || n, due_at + n * 1000, 'tool_' || n % 7, ${kept}
       from approvals, generate_series(1, ${count - 1}) n where id = $1`,
      [id],
    );
  } finally {
    await client.end();
  }
};
