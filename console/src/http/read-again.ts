/**
 * Reads something again and again while somebody looks at it.
 *
 * Rule: what does not change is read less and less often; a change, a person's hand at the page, and a window that is seen again bring
 * the short pause back. A hidden window reads nothing. One read at a time. Pages that have no stream to follow import it.
 */

export interface Pauses {
  /** After a change, and while a person moves at the page, in milliseconds. */
  shortMs: number;
  /** The longest, in milliseconds. */
  longMs: number;
}

/** The pause after a read: doubled when it brought nothing new. */
export const nextPause = (pauseMs: number, changed: boolean, { shortMs, longMs }: Pauses): number =>
  changed ? shortMs : Math.min(longMs, pauseMs * 2);

const isSeen = (): boolean => document.visibilityState === 'visible';

const SIGNS = ['pointermove', 'pointerdown', 'keydown', 'visibilitychange'] as const;

/** Reads at once, then after each pause. `read` says whether what it read was new; it does not throw. Returns how to stop. */
export const readAgain = (read: () => Promise<boolean>, pauses: Pauses): (() => void) => {
  let pause = pauses.shortMs;
  let readAt = 0;
  let state: 'waiting' | 'reading' | 'stopped' = 'waiting';
  let timer: ReturnType<typeof setTimeout> | undefined;
  const turn = async (): Promise<void> => {
    if (state !== 'waiting') return;
    state = 'reading';
    readAt = Date.now();
    const changed = await read();
    if (isStopped()) return;
    state = 'waiting';
    pause = nextPause(pause, changed, pauses);
    plan(pause);
  };
  const isStopped = (): boolean => state === 'stopped';
  const plan = (ms: number): void => {
    clearTimeout(timer);
    if (isSeen()) timer = setTimeout(() => void turn(), ms);
  };
  const attend = (): void => {
    pause = pauses.shortMs;
    if (state === 'waiting') plan(Math.max(0, readAt + pause - Date.now()));
  };
  for (const sign of SIGNS) document.addEventListener(sign, attend, { passive: true });
  void turn();
  return () => {
    state = 'stopped';
    clearTimeout(timer);
    for (const sign of SIGNS) document.removeEventListener(sign, attend);
  };
};
