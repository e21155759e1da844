/**
 * Reads one call with all that a person needs, again at each change of it.
 *
 * Rule: the details on the screen are of the newest change; an older response never replaces them. `at` tells when the call came
 * to the screen, so that a click meant for the call before is not taken for this one.
 */
import { useEffect, useState } from 'preact/hooks';
import { requestJson } from '../../http/api.ts';
import { applyCalls, onChange } from './feed.ts';
import type { InboxDetails } from './inbox-types.ts';
import { onAnswered } from './outbox.ts';

export interface DetailsState {
  details: InboxDetails | null;
  problem: unknown;
  /** When this call came to the screen, in unix milliseconds. */
  at: number;
}

const EMPTY: DetailsState = { details: null, problem: null, at: 0 };

export const readDetailsOf = (id: string, signal?: AbortSignal): Promise<InboxDetails> =>
  requestJson<InboxDetails>(
    `/v1/approvals/${encodeURIComponent(id)}`,
    signal === undefined ? {} : { signal },
  );

export const useDetails = (id: string | null): DetailsState & { reload: () => void } => {
  const [state, setState] = useState<DetailsState & { id: string | null }>({ ...EMPTY, id: null });
  const [version, setVersion] = useState(0);
  const reload = (): void => setVersion((count) => count + 1);
  useEffect(() => {
    if (id === null) return undefined;
    const isOurs = (changed: string): void => {
      if (changed === id) reload();
    };
    const stops = [onChange((call) => isOurs(call.id)), onAnswered(isOurs)];
    return () => {
      for (const stop of stops) stop();
    };
  }, [id]);
  useEffect(() => {
    if (id === null) return undefined;
    const abort = new AbortController();
    readDetailsOf(id, abort.signal).then(
      (details) =>
        setState((before) => ({
          id,
          details,
          problem: null,
          at: before.id === id && before.details !== null ? before.at : Date.now(),
        })),
      (problem: unknown) => {
        if (!abort.signal.aborted)
          setState((before) => (before.id === id ? { ...before, problem } : { ...EMPTY, id, problem }));
      },
    );
    return () => abort.abort();
  }, [id, version]);
  return { ...(state.id === id ? state : EMPTY), reload };
};

/** After the server's answer: the list gets the call as it is now, before the stream tells. */
export const refreshAfterAnswer = (): (() => void) =>
  onAnswered((id) => {
    readDetailsOf(id).then(
      (details) => applyCalls([details]),
      // The stream tells it soon.
      () => undefined,
    );
  });
