/** One clock for all times that a page shows. Rule: one timer a window, and none while nobody sees the window. */
import { signal } from '@preact/signals';

/** Unix milliseconds, moved once a second. */
export const now = signal(Date.now());

const tick = (): void => {
  if (document.visibilityState === 'visible') now.value = Date.now();
};
setInterval(tick, 1_000);
document.addEventListener('visibilitychange', tick);
