/**
 * Replays history files on the workflow code of this version, in-process, without a server.
 *
 * Rule: a file that is no history is a problem, never a pass; each file gets its own verdict. Imported by `runs replay`.
 */
import { readFile } from 'node:fs/promises';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { shown } from '../protocol/problems.ts';
import { workflowCode, type WorkflowCode } from '../worker/bundle.ts';

export interface ReplayVerdict {
  file: string;
  /** `diverged`: the code would do something else than the history says. `unusable`: not a history. */
  verdict: 'ok' | 'diverged' | 'unusable';
  workflowType?: string;
  events?: number;
  /** What differs, and where. */
  reason?: string;
}

export const replayFiles = async (
  files: readonly string[],
  onFile: (file: string) => void,
  cacheDir?: string,
): Promise<ReplayVerdict[]> => {
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
  const code = await workflowCode(cacheDir === undefined ? {} : { cacheDir });
  const verdicts: ReplayVerdict[] = [];
  for (const file of files) {
    onFile(file);
    verdicts.push(await replayFile(file, code));
  }
  return verdicts;
};

const replayFile = async (file: string, code: WorkflowCode): Promise<ReplayVerdict> => {
  const read = await readHistory(file);
  if ('reason' in read) return { file, verdict: 'unusable', reason: read.reason };
  const { history, workflowType, events } = read;
  try {
    await Worker.runReplayHistory({ workflowBundle: code }, history);
    return { file, verdict: 'ok', workflowType, events };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { file, verdict: 'diverged', workflowType, events, reason };
  }
};

type ReadHistory =
  | { history: { events: unknown[] }; workflowType: string; events: number }
  | { reason: string };

const readHistory = async (file: string): Promise<ReadHistory> => {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    return { reason: `the file can't be read: ${error instanceof Error ? error.message : String(error)}` };
  }
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return { reason: `the file is not JSON: it starts with ${shown(text.slice(0, 40))}` };
  }
  const events = eventsOf(read);
  if (events === undefined || events.length === 0)
    return {
      reason:
        'the file has no list "events". Export it with `temporal workflow show --workflow-id RUN --output json`, or from the Web UI with payloads left encoded',
    };
  const workflowType = startedType(events[0]);
  if (workflowType === undefined)
    return {
      reason:
        'the first event is not the start of a workflow, so this is a part of a history. Export all of it',
    };
  return { history: { events }, workflowType, events: events.length };
};

const eventsOf = (value: unknown): unknown[] | undefined =>
  typeof value === 'object' && value !== null && 'events' in value && Array.isArray(value.events)
    ? value.events
    : undefined;

const startedType = (event: unknown): string | undefined => {
  if (typeof event !== 'object' || event === null) return undefined;
  if (!('workflowExecutionStartedEventAttributes' in event)) return undefined;
  const started = event.workflowExecutionStartedEventAttributes;
  if (typeof started !== 'object' || started === null || !('workflowType' in started)) return undefined;
  const { workflowType } = started;
  return typeof workflowType === 'object' && workflowType !== null && 'name' in workflowType
    ? String(workflowType.name)
    : undefined;
};
