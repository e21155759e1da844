/**
 * Follows a run: by its event stream while there is one, else by polling.
 *
 * Rule: a stream only triggers a read; the read is the state of the run. So duplicated, reordered, cut or invented
 * events change only the time of a read. Every wait has a minimum: no status of a server makes this loop hot. Imports
 * the API and assess. The rest of this folder imports it.
 */
import type { RunRef } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import { endsStream } from '../../protocol/wire/events.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import { HttpFailure, SseLimitError } from '../http/index.ts';
import { backoffMs } from '../retry-after.ts';
import type { RunEvent, RunReading, StartedStream } from './api.ts';
import { assessRun, pollDelay } from './assess.ts';
import { tokenOf, type UpstreamRun } from './parse.ts';
import { fallback, unsupported, type BackendSession } from './session.ts';

const note = (s: BackendSession, reading: RunReading): void => {
  if (tokenOf(reading.run) !== null) s.env.learned.echoesMetadata = true;
  s.deadline = reading.run.expiresAt === null ? null : reading.run.expiresAt - reading.offsetMs;
};

/**
 * Reads the run until a settled reading is accepted by `done`. `first` is a reading that was just taken: it saves a
 * request and carries the server's hint. Throws `BackendUnsupported` for what can't be waited out.
 */
export const pollRun = async (
  s: BackendSession,
  ref: RunRef,
  done: (reading: RunReading) => boolean,
  first: RunReading | null = null,
): Promise<RunReading> => {
  const { api, settings } = s.env;
  const began = s.ctx.now();
  let puzzledSince: number | null = null;
  let reading = first ?? (await api.getRun(ref, s.caller));
  for (;;) {
    note(s, reading);
    const meaning = assessRun(reading.run);
    if (meaning.kind === 'unsupported')
      throw unsupported(meaning.what, api.origin, { runId: ref.backendRunId });
    if (meaning.kind === 'settled' && done(reading)) return reading;
    if (meaning.kind === 'puzzling') {
      if (puzzledSince === null) {
        puzzledSince = s.ctx.now();
        s.ctx.log.warn(
          { backendRunId: ref.backendRunId, what: meaning.what },
          'unknown state of the run: polling again',
        );
        s.ctx.observe?.({ kind: 'unknown_status', status: reading.run.status });
      } else if (s.ctx.now() - puzzledSince >= settings.poll.unknownLimitMs)
        throw unsupported(meaning.what, api.origin, { runId: ref.backendRunId });
    } else puzzledSince = null;
    await s.ctx.sleep(
      pollDelay(settings.poll, {
        hintMs: reading.hintMs,
        ageMs: s.ctx.now() - began,
        unrecognised: meaning.kind === 'puzzling',
      }),
    );
    reading = await api.getRun(ref, s.caller);
  }
};

/** Waits until another client's run has ended or is gone. `withinMs` null = as long as the attempt lives. */
export const awaitEnd = async (s: BackendSession, ref: RunRef, withinMs: number | null): Promise<boolean> => {
  const { api, settings } = s.env;
  const began = s.ctx.now();
  for (;;) {
    let reading: RunReading;
    try {
      reading = await api.getRun(ref, s.caller);
    } catch (error) {
      if (error instanceof HttpFailure && error.status === 404) return true;
      throw error;
    }
    if (isTerminal(reading.run.status)) return true;
    const ageMs = s.ctx.now() - began;
    if (withinMs !== null && ageMs >= withinMs) return false;
    const puzzling = assessRun(reading.run).kind === 'puzzling';
    await s.ctx.sleep(pollDelay(settings.poll, { hintMs: reading.hintMs, ageMs, unrecognised: puzzling }));
  }
};

/** Lets a finished stream run out, so that its connection can be used again; not for long. */
const drain = async (events: AsyncGenerator<RunEvent, void, undefined>, close: () => void): Promise<void> => {
  const timer = setTimeout(close, 1000);
  try {
    for (let next = await events.next(); next.done !== true; next = await events.next());
  } catch {
    // The state is known from a reading; how the stream ends no longer matters.
  } finally {
    clearTimeout(timer);
  }
};

export interface StreamEnd {
  /** The last event of the run in the stream; a hint, not a state. */
  last: UpstreamRun | null;
  /** A final event arrived: the run needs us or has ended. */
  final: boolean;
}

/** Reads events until the stream ends or breaks. `onRun` is called with every event of the run. */
export const readStream = async (
  s: BackendSession,
  started: Extract<StartedStream, { kind: 'events' }>,
  runId: string | null,
  onRun: (run: UpstreamRun) => void,
): Promise<StreamEnd> => {
  const { events } = started;
  let last: UpstreamRun | null = null;
  let id = runId;
  let unreadable = 0;
  let tooLong = false;
  const timer = setTimeout(() => {
    tooLong = true;
    started.close();
  }, s.env.settings.streamMaxMs);
  try {
    for (let next = await events.next(); next.done !== true; next = await events.next()) {
      const event = next.value;
      if (event.kind === 'run' && (id === null || event.run.id === id)) {
        id = event.run.id;
        last = event.run;
        onRun(event.run);
        if (endsStream(event.name)) {
          void drain(events, () => started.close());
          return { last, final: true };
        }
      } else if (event.kind === 'done' || event.kind === 'error') {
        void drain(events, () => started.close());
        fallback(s, event.kind === 'done' ? 'stream ended without a final event' : 'error event');
        return { last, final: false };
      } else if (event.kind === 'other' && event.unreadable) unreadable++;
    }
    fallback(
      s,
      unreadable > 0 ? `stream ended, ${unreadable} events unreadable` : 'stream ended without a final event',
    );
  } catch (error) {
    s.ctx.signal.throwIfAborted();
    if (error instanceof SseLimitError) fallback(s, error.message);
    else if (error instanceof HttpFailure)
      fallback(s, tooLong ? 'stream too long' : `stream broke (${error.kind})`);
    else throw error;
  } finally {
    clearTimeout(timer);
  }
  return { last, final: false };
};

/** For a response that is neither certain nor worth another read by this attempt. */
export const retryLater = (message: string, s: BackendSession): BackendError =>
  new BackendError(FAILURES.backendUnavailable, message, {
    retryable: true,
    retryAfterMs: backoffMs(s.ctx.attempt, s.env.settings.random()),
    mayHaveHappened: true,
  });
