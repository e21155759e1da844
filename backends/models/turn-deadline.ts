/**
 * The caller's signal joined with the deadline of a turn.
 *
 * Rule: the deadline is an error of the port, the abort is the caller's own reason; timer and listener are gone after `stop`.
 * Imported within `backends/models/`.
 */
import { ModelError, type TurnControls } from '../../protocol/ports/model.ts';

export const withDeadline = ({
  signal,
  deadline,
}: TurnControls): { signal: AbortSignal; stop: () => void } => {
  if (deadline === null) return { signal, stop: () => undefined };
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  // Longer timers would fire at once.
  const ms = Math.min(Math.max(0, deadline - Date.now()), 2_147_483_647);
  const timer = setTimeout(
    () =>
      controller.abort(
        new ModelError('broken_off', 'The answer did not come before its deadline.', {
          code: 'deadline',
          retryable: false,
        }),
      ),
    ms,
  );
  return {
    signal: controller.signal,
    stop: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
};
