/**
 * The configuration of the commands that run servers, from the environment: refused as a whole, with every reason.
 * Imported by `serve` and `dev`; the worker parses its own.
 */
import { configFromEnv, type Config, type Role } from '../worker/config.ts';
import { configWarnings } from '../worker/config-warnings.ts';
import { throwConfigErrors } from '../worker/config-errors.ts';
import type { CommandContext } from './command.ts';

/** For a process in all of these roles. */
export const readConfig = async (context: CommandContext, ...roles: Role[]): Promise<Config> => {
  const config = configFromEnv(context.io.env);
  for (const role of roles) throwConfigErrors(config, role);
  const odd = new Set(roles.flatMap((role) => configWarnings(config, role)));
  for (const note of odd) context.say(`note: ${note}.`);
  return config;
};
