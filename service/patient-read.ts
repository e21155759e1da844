/**
 * Reads for a stream: a database that can't be reached is awaited for a while, since the runs go on meanwhile.
 *
 * Rule: only `unavailable` is awaited; any other error ends the stream. The caller's slot (`admit`) is held during a read
 * and not during a pause. Imported by `tail-approvals.ts` and `tail-events.ts`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { AdmitRead } from '../protocol/ports/runs-service.ts';
import { StoreError } from '../protocol/ports/store-error.ts';

export interface PatientReadOptions {
  admit?: AdmitRead | undefined;
  signal: AbortSignal;
  /** Pause between two tries. */
  pollMs: number;
  /** How long the database is awaited before the error is thrown. */
  patienceMs: number;
}

export const patientRead = async <T>(read: () => Promise<T>, options: PatientReadOptions): Promise<T> => {
  const { admit, signal, pollMs, patienceMs } = options;
  const until = Date.now() + patienceMs;
  for (;;) {
    const leave = await admit?.();
    try {
      return await read();
    } catch (error) {
      const unavailable = error instanceof StoreError && error.code === 'unavailable';
      if (!unavailable || signal.aborted || Date.now() >= until) throw error;
    } finally {
      leave?.();
    }
    await pause(pollMs, undefined, { signal }).catch(() => undefined);
  }
};
