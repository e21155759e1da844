/**
 * `runs cancel RUN`: asks the run to stop and waits for its end. When the run ended otherwise first, the exit code says
 * so.
 */
import { defineCommand } from '../command.ts';
import { CliError, EXIT } from '../../app/exit.ts';
import { withClient } from '../connections.ts';
import { findRunByText } from '../meant-run.ts';
import { resultLines } from '../output/view.ts';

interface Options {
  wait: boolean;
}

export const cancelCommand = defineCommand<Options>({
  name: 'cancel',
  summary: 'cancel a run and wait until it has ended',
  configure: (command) =>
    command
      .argument('<run>', 'id of the run, the first characters of the id, or the code of a waiting call')
      .option('--no-wait', 'request the cancellation, and do not wait for the run to end'),
  run: async ({ io }, [run = ''], options) =>
    withClient(io, async (client) => {
      const runId = await findRunByText(client, run);
      const before = await client.get(runId);
      if (before.result !== null)
        throw new CliError(
          EXIT.refused,
          'already_ended',
          `run ${runId} can't be cancelled: it has ended as "${before.result.status}". Nothing was changed.`,
          { details: before.result },
        );
      await client.cancel(runId);
      if (!options.wait) return { json: { runId, requested: true }, lines: [`${runId}  cancel requested`] };
      const result = await client.result(runId);
      return {
        json: { runId, requested: true, result },
        lines: [`${runId}  ${resultLines(result).join('\n  ')}`],
        exitCode: result.status === 'cancelled' ? EXIT.ok : EXIT.refused,
      };
    }),
});
