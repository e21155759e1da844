/** `runs show RUN`: one run as it is now: calls, who is waited for and what to paste, or how it ended. */
import { defineCommand } from '../command.ts';
import { commandName } from '../output/format.ts';
import { withClient } from '../connections.ts';
import { pendingWork } from '../output/pending-activities.ts';
import { runLines } from '../output/view.ts';

export const show = defineCommand<object>({
  name: 'show',
  summary: 'show one run: its calls, who is waited for, how it ended',
  configure: (command) => command.argument('<run>', 'id of the run'),
  run: async ({ io }, [runId = '']) =>
    withClient(io, async (client) => {
      const snapshot = await client.get(runId);
      const pending = await pendingWork(client, snapshot);
      return {
        json: { run: snapshot, pending },
        lines: runLines(snapshot, { now: Date.now(), pending, command: commandName(io.env) }),
      };
    }),
});
