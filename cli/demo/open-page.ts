/**
 * Opens a page in the browser of this machine, if there is one.
 *
 * Rule: a browser in the terminal does not count, and the opener's output is hidden. Imported by the demo.
 */
import { spawn } from 'node:child_process';
import { onPath } from '../../dev-server/find-temporal.ts';
import { nonEmpty } from '../../app/dev-state.ts';
import type { CliIo } from '../command.ts';

const openerOf = async (env: CliIo['env'], platform: NodeJS.Platform): Promise<string | undefined> => {
  if (platform === 'darwin') return onPath('open', env['PATH']);
  const display = nonEmpty(env['DISPLAY']) ?? nonEmpty(env['WAYLAND_DISPLAY']);
  // Without a display xdg-open takes a text browser, which would write over this terminal.
  return display === undefined ? undefined : onPath('xdg-open', env['PATH']);
};

/** False = there is no browser, or it did not start. */
export const openPage = async (
  url: string,
  env: CliIo['env'],
  platform: NodeJS.Platform = process.platform,
): Promise<boolean> => {
  const opener = await openerOf(env, platform);
  if (opener === undefined) return false;
  return new Promise((resolve) => {
    const child = spawn(opener, [url], { stdio: 'ignore', detached: true, env: { ...env } });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
    child.unref();
  });
};
