/**
 * Writes what the simulated server records into the ledger.
 *
 * Rule: only recorded workflow tasks count: what a lost task decided did not happen. Only `test/simulation` imports it.
 */
import { ACTIVITIES, TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import { bump } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import type { Activation } from './temporal/instance.ts';
import type { Command, Job } from './temporal/types.ts';

const STARTS: readonly string[] = [
  ACTIVITIES.createThread,
  ACTIVITIES.createRun,
  ACTIVITIES.submitToolOutputs,
  ACTIVITIES.followRun,
];

/** Once a run is being ended, nothing is started but its end. */
const startsNothing = (ledger: Ledger, commands: readonly Command[]): void => {
  const { last } = ledger;
  if (last === null || (last.closing === null && last.ending === null)) return;
  const stopped = new Set(
    commands.flatMap((command) => (command.kind === 'cancelActivity' ? [command.seq] : [])),
  );
  for (const command of commands) {
    if (command.kind !== 'activity' || stopped.has(command.seq)) continue;
    const { type } = command;
    if (type.startsWith(TOOL_ACTIVITY_PREFIX) || STARTS.includes(type))
      ledger.violate(
        'I3',
        `${type} was started in a run that is ${last.closing?.kind ?? last.ending?.result.status}`,
      );
  }
};

const jobText = (job: Job): string =>
  `workflow task: ${job.kind}${'seq' in job ? ` ${job.seq}` : ''}${
    job.kind === 'rejected' ? ` ${JSON.stringify(job.failure.failure)}` : ''
  }`;

export const createRecorder = (
  ledger: Ledger,
  rowExpiry: () => number | null,
): ((activation: Activation, commands: readonly Command[]) => void) => {
  /** Activity types of the current execution, by number. */
  const types = new Map<number, string>();

  const activity = (command: Extract<Command, { kind: 'activity' }>, activation: Activation): void => {
    types.set(command.seq, command.type);
    bump(ledger.scheduled, command.type);
    if (command.type !== ACTIVITIES.submitToolOutputs) return;
    const { round, outputs } = command.input as { round: number; outputs: ToolOutput[] };
    // A submit that a new execution begins with was decided, in time, by the one before.
    const decidedHere = activation.jobs[0]?.kind !== 'init';
    ledger.submits.push({
      round,
      outputs,
      at: activation.at,
      expiresAt: decidedHere ? rowExpiry() : null,
    });
  };

  return (activation, commands) => {
    const { jobs } = activation;
    ledger.progressAt = ledger.now();
    if (jobs[0]?.kind === 'init') types.clear();
    for (const job of jobs) {
      if (ledger.trace !== null) ledger.note(jobText(job));
      if (job.kind === 'rejected' && types.get(job.seq) === ACTIVITIES.closeRun) ledger.closeFailed = true;
      if (job.kind === 'signal' || job.kind === 'update' || job.kind === 'cancel') ledger.messages += 1;
    }
    // What comes in the very task that ends the run is not always counted: nobody was told that it was taken.
    if (commands.some(({ kind }) => kind === 'complete'))
      ledger.uselessSignals -= jobs.filter(({ kind }) => kind === 'signal').length;
    for (const command of commands) {
      ledger.note(`command: ${command.kind}${command.kind === 'activity' ? ` ${command.type}` : ''}`);
      bump(ledger.commands, command.kind);
      if (command.kind === 'cancelActivity' || command.kind === 'cancelTimer') ledger.stops += 1;
      if (command.kind === 'activity') activity(command, activation);
    }
    startsNothing(ledger, commands);
  };
};
