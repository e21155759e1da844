/**
 * Which ports the servers of `runs dev` take: those of the last time, else the usual ones, else any that is free.
 *
 * Rule: a port that the user named is taken or refused, never replaced; any other one that is busy is replaced, and told.
 * `choosePort` is the only decision. Imported by `runs dev` and the demo.
 */
import { connect } from 'node:net';
import { freePort } from '../dev-server/ports.ts';

export interface ChosenPort {
  port: number;
  /** A sentence to tell, when it is not the port that was to be expected. */
  note: string | null;
}

/** `wanted` in order of preference; the first is the one to be expected. */
export const choosePort = async (what: string, wanted: readonly number[]): Promise<ChosenPort> => {
  const [expected] = wanted;
  for (const port of wanted) {
    if (!(await isBusy(port)))
      return { port, note: port === expected ? null : `port ${expected} is in use; ${what} is on ${port}` };
  }
  const port = await freePort();
  return { port, note: `port ${expected} is in use; ${what} is on ${port}` };
};

/** Does somebody answer there? Binding tells less: a server on all interfaces leaves 127.0.0.1 bindable on some systems. */
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
