/**
 * Refuses a configuration that can't work, as a whole.
 *
 * Rule: loads nothing of Temporal, since `runs serve` uses it too and needs no native worker code.
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
