/**
 * Chooses the ports of `runs dev`: those of the last start, else the usual ones, else any free port.
 *
 * Rule: a port that the user named is used or refused, never replaced; another busy port is replaced, and reported.
 * Only `choosePort` decides. Imported by `runs dev` and the demo.
 */
import { connect } from 'node:net';
import { freePort } from '../dev-server/ports.ts';

export interface ChosenPort {
  port: number;
  /** A sentence for the user when it is not the expected port. */
  note: string | null;
}

/** `wanted` in order of preference; the first is the expected one. */
export const choosePort = async (what: string, wanted: readonly number[]): Promise<ChosenPort> => {
  const [expected] = wanted;
  for (const port of wanted) {
    if (!(await isBusy(port)))
      return { port, note: port === expected ? null : `port ${expected} is in use; ${what} is on ${port}` };
  }
  const port = await freePort();
  return { port, note: `port ${expected} is in use; ${what} is on ${port}` };
};

/**
 * Does a server answer there? Binding says less: with a server on all interfaces, some systems still let 127.0.0.1 be
 * bound.
 */
export const isBusy = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const settle = (busy: boolean): void => {
      socket.destroy();
      resolve(busy);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
    socket.setTimeout(1_000, () => settle(false));
  });

export const portOf = (address: string): number | undefined => {
  const port = Number(/:(\d+)\/?$/.exec(address)?.[1]);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
};
