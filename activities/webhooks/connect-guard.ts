/**
 * Connections of webhooks: the address is checked when the connection is made, after the name was resolved.
 *
 * Rule: the address that was checked is the one that is connected to, so a name that resolves differently a moment later
 * gains nothing. One forbidden address among those of a name refuses the name.
 * Imported by `send.ts` and tests.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { addressProblem, type AllowedNetworks } from './address-guard.ts';

/** No connection was made: the address may not be reached. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError';
  readonly code = 'forbidden_address';
}

/** All addresses of a name. */
export type Resolve = (
  hostname: string,
  options: LookupOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const systemResolve: Resolve = (hostname, options, done) => {
  dnsLookup(hostname, { ...options, all: true }, done);
};

type LookupDone = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

const CONNECT_MS = 5_000;
/** Silent connections close before most load balancers forget them. */
const KEEP_ALIVE_MS = 4_000;
const CONNECTIONS = 16;

const guardedLookup =
  (resolve: Resolve, allowed: AllowedNetworks, plain: boolean) =>
  (hostname: string, options: LookupOptions, done: LookupDone): void => {
    resolve(hostname, options, (error, addresses) => {
      if (error !== null) return done(error, []);
      for (const { address } of addresses) {
        const problem = addressProblem(address, allowed, { plain });
        if (problem !== null) return done(new ForbiddenAddressError(`${hostname}: ${problem}`), []);
      }
      const [first] = addresses;
      if (first === undefined) return done(new Error(`${hostname} has no address`), []);
      return options.all === true ? done(null, addresses) : done(null, first.address, first.family);
    });
  };

/** An agent that connects to allowed addresses only. `resolve`: for tests; default is the system's. */
export const guardedAgent = (allowed: AllowedNetworks, resolve: Resolve = systemResolve): Agent => {
  const connector = (plain: boolean) =>
    buildConnector({ timeout: CONNECT_MS, lookup: guardedLookup(resolve, allowed, plain) });
  const [encrypted, plaintext] = [connector(false), connector(true)];
  return new Agent({
    connections: CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    pipelining: 1,
    connect: (options, done) => {
      const plain = options.protocol === 'http:';
      const host = options.hostname.replace(/^\[|\]$/g, '');
      // A literal address is never looked up.
      const problem = isIP(host) === 0 ? null : addressProblem(host, allowed, { plain });
      if (problem !== null) return done(new ForbiddenAddressError(problem), null);
      return (plain ? plaintext : encrypted)(options, done);
    },
  });
};
