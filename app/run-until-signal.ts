/**
 * Waits until a long-running process is asked to stop, or until a part of it ends by itself.
 *
 * Rule: light, since `runs dev` imports it first. Imported by the commands that stay.
 */
import { CliError, EXIT } from './exit.ts';

/** Resolves when the process is asked to stop. */
export const stopRequested = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** The same; throws `part_ended` with `advice` when `broken` resolves first. */
export const runUntilSignal = async (
  signal: AbortSignal,
  broken: Promise<string>,
  advice: string,
): Promise<void> => {
  const reason = await Promise.race([stopRequested(signal).then(() => null), broken]);
  if (reason !== null) throw new CliError(EXIT.unavailable, 'part_ended', `${reason}. ${advice}`);
};
