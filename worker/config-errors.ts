/**
 * A configuration that can't work, refused as a whole.
 *
 * Rule: loads nothing of Temporal: `runs serve` is refused here too, and has no use for a worker's native code.
 * Imported by the composition roots and the CLI.
 */
import { RunsError } from '../protocol/index.ts';
import { configErrors, type Config, type Role } from './config.ts';

/** Throws `RunsError('config')` that lists every problem. */
export const throwConfigErrors = (config: Config, role: Role): void => {
  const list = configErrors(config, role);
  if (list.length > 0) {
    throw new RunsError(
      'config',
      `"runs ${role}" can't start:\n${list.map((problem) => `- ${problem}.`).join('\n')}`,
      { details: list },
    );
  }
};
