/**
 * The configuration of the commands that run something, from the environment: refused as a whole, with every reason.
 * Imported by `serve` and `dev`; the worker reads its own.
 */
import { fromEnv, notes, type Config, type Role } from '../worker/config.ts';
import { refuseProblems } from '../worker/refuse.ts';
import type { CommandContext } from './command.ts';

export const readConfig = async (context: CommandContext, role: Role): Promise<Config> => {
  const config = fromEnv(context.io.env);
  refuseProblems(config, role);
  for (const note of notes(config, role)) context.say(`note: ${note}.`);
  return config;
};
