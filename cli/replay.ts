/**
 * Replays history files on the workflow code of this version, in-process, without a server.
 *
 * Rule: a file that is no history is a problem, never a pass; each file gets its own verdict. Imported by `runs
 * replay`.
 */
import { readFile } from 'node:fs/promises';
import type { DataConverter } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { quote } from '../protocol/rules/validation.ts';
import { workflowCode, type WorkflowCode } from '../worker/bundle.ts';
import { makeLog } from '../worker/log.ts';
import { noTraceSinks } from '../worker/telemetry/no-trace-sinks.ts';
import { installRuntime } from '../worker/worker.ts';

export interface ReplayVerdict {
  file: string;
  /** `diverged`: the code would issue other commands than the history has. `unusable`: not a history. */
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
  dataConverter?: DataConverter,
): Promise<ReplayVerdict[]> => {
  // The verdict says what differs; the SDK's own log would repeat it.
  installRuntime(makeLog('silent'));
  const converter = dataConverter === undefined ? {} : { dataConverter };
  const code = await workflowCode({ ...(cacheDir === undefined ? {} : { cacheDir }), ...converter });
  const replayer = makeReplayer(code, converter);
  const verdicts: ReplayVerdict[] = [];
  try {
    for (const file of files) {
      onFile(file);
      verdicts.push(await replayFile(file, replayer));
    }
  } finally {
    await replayer.close();
  }
  return verdicts;
};

const replayFile = async (file: string, replayer: Replayer): Promise<ReplayVerdict> => {
  const read = await readHistory(file);
  if ('reason' in read) return { file, verdict: 'unusable', reason: read.reason };
  const { history, workflowType, events } = read;
  try {
    await replayer.replay(history);
    return { file, verdict: 'ok', workflowType, events };
  } catch (error) {
    const reason = readable(error instanceof Error ? error.message : String(error));
    // Any other error means that the file could not be replayed, not that the code differs.
    const diverged = error instanceof Error && error.name === 'DeterminismViolationError';
    return { file, verdict: diverged ? 'diverged' : 'unusable', workflowType, events, reason };
  }
};

interface History {
  events: unknown[];
}

interface Replayer {
  /** Throws what differs, or why the history could not be replayed. */
  replay(history: History): Promise<void>;
  close(): Promise<void>;
}

/** One worker for all files, since starting one costs more than most replays. */
const makeReplayer = (code: WorkflowCode, converter: { dataConverter?: DataConverter }): Replayer => {
  let next: History | undefined;
  const histories = async function* () {
    for (;;) {
      if (next === undefined) return;
      yield { workflowId: 'replayed', history: next };
    }
  };
  const start = () =>
    Worker.runReplayHistories({ workflowBundle: code, sinks: noTraceSinks, ...converter }, histories());
  let results: ReturnType<typeof start> | undefined;
  return {
    async replay(history) {
      next = history;
      results ??= start();
      const running = results ?? start();
      // Left empty when the worker throws, ends or hangs: the next history gets another one.
      results = undefined;
      const result = await inTime(running.next());
      if (result.done === true) throw new Error('the replay gave no result: the history is damaged');
      results = running;
      if (result.value.error !== undefined) throw result.value.error;
    },
    async close() {
      next = undefined;
      await results?.next();
    },
  };
};

/** Ten thousand events take seconds. A longer replay is a history on which the SDK's core gave up silently. */
const REPLAY_MS = 60_000;

const inTime = async <T>(replay: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the replay did not end within ${REPLAY_MS / 1_000} s: the history is damaged`)),
      REPLAY_MS,
    );
  });
  try {
    return await Promise.race([replay, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** The SDK prints its core's whole failure record; the sentence in it says what differs. */
const readable = (text: string): string => {
  const sentence = /message: "((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  return sentence === undefined ? text : sentence.replaceAll(/\\(.)/g, '$1');
};

type ReadHistory = { history: History; workflowType: string; events: number } | { reason: string };

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
    return { reason: `the file is not JSON: it starts with ${quote(text.slice(0, 40))}` };
  }
  const events = eventsOf(read);
  if (events === undefined || events.length === 0)
    return {
      reason:
        'the file has no list "events". Export it with `temporal workflow show --workflow-id RUN --output json`, or from the Web UI with payloads left encoded',
    };
  const problem = eventsProblem(events);
  if (problem !== undefined) return { reason: problem };
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

/** The SDK's core ends its thread on a damaged history and never answers, so damage is checked first. */
const eventsProblem = (events: readonly unknown[]): string | undefined => {
  for (const [index, event] of events.entries()) {
    const at = `event ${index + 1}`;
    if (typeof event !== 'object' || event === null || !('eventType' in event))
      return `${at} has no "eventType"`;
    const { eventType } = event;
    const attributes = typeof eventType === 'string' ? attributesOf(eventType) : undefined;
    if (attributes === undefined || !(attributes in event))
      return `${at} of type ${quote(eventType)} has no attributes of that type: the file is damaged, or not an export of Temporal's`;
    if (!('eventId' in event) || Number(event.eventId) !== index + 1)
      return `${at} has the id ${quote('eventId' in event ? event.eventId : null)}: events are missing. Export all of them`;
  }
  return undefined;
};

/** `EVENT_TYPE_TIMER_FIRED` → `timerFiredEventAttributes`. */
const attributesOf = (eventType: string): string | undefined => {
  const name = /^EVENT_TYPE_([A-Z_]+)$/.exec(eventType)?.[1];
  if (name === undefined) return undefined;
  const camel = name.toLowerCase().replaceAll(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
  return `${camel}EventAttributes`;
};

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
