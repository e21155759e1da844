/**
 * `runs decisions RUN`: who approved or denied which call, when, through which channel, and with which arguments.
 *
 * From the run's workflow; with `--thread` from the API, which needs no Temporal and keeps decisions for longer.
 */
import { ApiClient } from '../api-client.ts';
import { defineCommand } from '../command.ts';
import { decisionLines, fromWire } from '../decisions-view.ts';
import { connections, withClient } from '../connections.ts';
import { findRunByText } from '../meant-run.ts';

interface Options {
  thread?: string;
}

export const decisionsCommand = defineCommand<Options>({
  name: 'decisions',
  summary: 'list who approved or denied calls of a run',
  configure: (command) =>
    command
      .argument('<run>', 'id of the run, the first characters of the id, or the code of a waiting call')
      .option('--thread <id>', 'thread of the run: asks the API, not Temporal'),
  run: async ({ io }, [runId = ''], { thread }) => {
    if (thread === undefined) {
      const found = await withClient(io, async (client) =>
        client.decisions(await findRunByText(client, runId)),
      );
      return { json: { decisions: found }, lines: listed(found.map(decisionLines)) };
    }
    const api = new ApiClient((await connections(io)).api(), io.signal);
    const found = await api.decisions(thread, runId);
    return { json: { decisions: found }, lines: listed(found.map(fromWire).map(decisionLines)) };
  },
});

const listed = (lines: string[][]): string[] =>
  lines.length === 0 ? ['No call of this run has a decision.'] : lines.flat();
