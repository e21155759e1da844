/**
 * A reader of a run's events that resumes after a broken connection, by `Last-Event-ID`.
 *
 * Rule: it records events unchanged; the auditor checks that none is missing or wrong.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { endsRun } from '../../../protocol/wire/events.ts';
import { openEvents, type EventReader } from '../../support/official/events.ts';

const AGAIN_MS = 100;

export interface SeenEvent {
  seq: number;
  event: string;
}

export interface RunReader {
  readonly seen: readonly SeenEvent[];
  /** How often a stream broke or ended before the run did. */
  readonly broken: number;
  /** Resolves with the run's last event, or after `stop`. */
  done: Promise<void>;
  stop(): Promise<void>;
}

/** `path`: of the events, after the base URL. */
export const readRun = (url: () => string, path: string): RunReader => {
  const seen: SeenEvent[] = [];
  let broken = 0;
  const hangUp = new AbortController();
  let current: EventReader | null = null;
  const once = async (): Promise<boolean> => {
    current = await openEvents(`${url()}${path}`, {
      headers: { 'last-event-id': String(seen.at(-1)?.seq ?? 0) },
    });
    for (let sent = await current.next(); sent !== null; sent = await current.next()) {
      if (sent.id === null || !sent.event.startsWith('thread.')) continue;
      seen.push({ seq: sent.id, event: sent.event });
      if (endsRun(sent.event)) return true;
    }
    return false;
  };
  const read = async (): Promise<void> => {
    while (!hangUp.signal.aborted) {
      if (await once().catch(() => false)) break;
      broken += 1;
      await pause(AGAIN_MS);
    }
    current?.abort();
  };
  const done = read();
  return {
    seen,
    get broken() {
      return broken;
    },
    done,
    async stop() {
      hangUp.abort();
      current?.abort();
      await done;
    },
  };
};
