/**
 * `runs show RUN`: the whole run: rounds with attempts and outputs, messages, waiting calls and what to paste. With
 * `--call`, one call alone with its whole arguments.
 */
import { CliError, EXIT, usageError } from '../../app/exit.ts';
import type { RunsClient } from '../../client/index.ts';
import type { CallSnapshot } from '../../protocol/temporal/messages.ts';
import { callCode } from '../short-codes.ts';
import { API_OPTION, approvalMeant, approvalsApi, type WaitingApproval } from '../approvals-api.ts';
import { defineCommand, type Outcome } from '../command.ts';
import { answerCommands, argumentLines } from '../output/call-arguments.ts';
import { commandName, oneLine } from '../output/format.ts';
import { withClient } from '../connections.ts';
import { findRunByText } from '../meant-run.ts';
import { pendingWork } from '../output/pending-activities.ts';
import { runMessages } from '../run-messages.ts';
import { runLines } from '../output/view.ts';

interface Options {
  api?: boolean;
  call?: string;
}

export const show = defineCommand<Options>({
  name: 'show',
  summary: 'show one run: its rounds, messages, waiting calls and result',
  configure: (command) =>
    command
      .argument('<run>', 'id of the run, the first characters of the id, or the code of a waiting call')
      .option('--call <call>', 'id or code of a call of the current round: shows its arguments in full')
      .option('--api', `with --call, for one that waits for an approval: ${API_OPTION}`),
  run: async ({ io, say }, [run = ''], { call: named, api: wanted }) => {
    const command = commandName(io.env);
    const api = named === undefined ? null : await approvalsApi(io, wanted);
    if (api !== null) return approvalShown(await approvalMeant(api, run, named), command);
    if (wanted === true) throw usageError('--api goes with --call only. Add --call.');
    return withClient(io, async (client) => {
      const runId = await findRunByText(client, run);
      if (named !== undefined) {
        const call = await callOf(client, runId, named);
        return { json: { call }, lines: wholeCall(runId, call, command) };
      }
      const snapshot = await client.get(runId);
      const [pending, rounds, followUps, origin, { messages, turns, models, note }] = await Promise.all([
        pendingWork(client, snapshot),
        client.history(runId),
        snapshot.result?.followUp === undefined ? [] : client.followUpRuns(runId),
        client.origin(runId),
        runMessages(io, snapshot),
      ]);
      if (note !== null) say(note);
      return {
        json: { run: snapshot, pending, rounds, messages, turns, models, followUps, followUpOf: origin },
        lines: runLines(snapshot, {
          now: Date.now(),
          pending,
          command,
          models,
          story: { rounds, messages, turns, followUps, origin },
        }),
      };
    });
  },
});

const approvalShown = (approval: WaitingApproval, command: string): Outcome => {
  const { runId, callId, tool, arguments: args, argumentsDigest: digest } = approval;
  const call = {
    callId: callId ?? '',
    name: tool,
    arguments: args ?? '',
    kind: 'approval' as const,
    state: 'waiting' as const,
    ...(digest === null ? {} : { argumentsDigest: digest }),
  };
  return { json: { call }, lines: wholeCall(runId, call, command) };
};

const callOf = async (client: RunsClient, runId: string, named: string): Promise<CallSnapshot> => {
  const { calls } = await client.get(runId);
  const found = calls.find(({ callId }) => callId === named || callCode(runId, callId) === named);
  if (found !== undefined) return found;
  const there = calls.map(({ callId }) => JSON.stringify(callId)).join(', ');
  throw new CliError(
    EXIT.notFound,
    'no_such_call',
    `Run ${JSON.stringify(runId)} has no call ${JSON.stringify(named)} in its current round; it has ${there === '' ? 'none' : there}.`,
  );
};

const wholeCall = (runId: string, call: CallSnapshot, command: string): string[] => [
  `${oneLine(call.name, 64)}  ${call.callId}  ${call.state}`,
  ...argumentLines(runId, call, { command, whole: true }),
  ...(call.state === 'waiting' ? answerCommands(runId, call, command) : []),
];
