/**
 * Follows a run through the API alone: reads its event log, and resumes it after a broken connection, until the run has
 * ended.
 *
 * Rule: a broken connection is not the run's end. Reading resumes by `Last-Event-ID`, and the run's status decides when
 * it is over. `eventLines` is pure. Imported by `start --wait` and `watch`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { endsRun, type StreamEvent } from '../../protocol/wire/events.ts';
import { isTerminal, type Run } from '../../protocol/wire/objects.ts';
import { textOf, type ApiClient } from '../api-client.ts';
import type { CommandContext } from '../command.ts';
import { CliError, EXIT } from '../../app/exit.ts';
import { commandName, oneLine } from './format.ts';
import { answerCommands, argumentLines } from './call-arguments.ts';

const RECONNECT_MS = 1_000;

/** The run at its end. `messages: false` leaves the assistant's messages to the caller. */
export const followRun = async (
  api: ApiClient,
  started: Pick<Run, 'id' | 'thread_id'>,
  { io, say }: Pick<CommandContext, 'io' | 'say'>,
): Promise<Run> => {
  const command = commandName(io.env);
  let after = 0;
  let broken = false;
  for (;;) {
    try {
      for await (const event of api.events(started.thread_id, started.id, after)) {
        broken = false;
        after = event.seq;
        for (const line of eventLines(event, command)) say(line);
        if (endsRun(event.event)) break;
      }
      const run = await api.getRun(started.thread_id, started.id);
      if (isTerminal(run.status)) return run;
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (!broken)
        say(`connection lost (${error instanceof Error ? error.message : String(error)}); trying again`);
      broken = true;
    }
    await pause(RECONNECT_MS, undefined, { signal: io.signal }).catch(() => undefined);
    if (io.signal.aborted)
      throw new CliError(EXIT.interrupted, 'interrupted', 'interrupted; the run goes on');
  }
};

/** A cut stream throws whatever `fetch` throws; only a final error of the API ends the loop. */
const isPassing = (error: unknown): boolean =>
  error instanceof CliError ? error.exitCode === EXIT.unavailable : error instanceof TypeError;

/** The line for an event; most events have none. */
export const eventLines = (event: StreamEvent, command = 'runs'): string[] => {
  switch (event.event) {
    case 'thread.run.requires_action': {
      const run = event.data;
      const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
      return [
        `${run.id}  requires_action`,
        ...calls.flatMap((call) => [
          `  ? ${oneLine(call.function.name, 64)}  ${call.id}  waits for an answer`,
          ...[
            ...argumentLines(run.id, { callId: call.id, arguments: call.function.arguments }, { command }),
            ...answerCommands(run.id, { callId: call.id, kind: 'external' }, command),
          ].map((line) => `      ${line}`),
        ]),
      ];
    }
    case 'thread.run.step.completed': {
      const details = event.data.step_details;
      return details.type === 'tool_calls'
        ? details.tool_calls.map((call) => `  ✓ ${oneLine(call.function.name, 64)}  ${call.id}  done`)
        : [];
    }
    case 'thread.message.completed':
      return event.data.role === 'assistant' ? [`  assistant: ${oneLine(textOf(event.data), 500)}`] : [];
    case 'thread.run.queued':
    case 'thread.run.in_progress':
    case 'thread.run.cancelling':
    case 'thread.run.cancelled':
    case 'thread.run.failed':
    case 'thread.run.completed':
    case 'thread.run.incomplete':
    case 'thread.run.expired':
      return [`${event.data.id}  ${event.data.status}`];
    default:
      return [];
  }
};
