/**
 * What all drills of a campaign share: a Temporal server (or one of a drill's own), the workflow bundle, a directory.
 *
 * Rule: a drill takes its own task queue, run ids and directory; whatever it opens it hands to `defer`, and the end of the
 * drill closes it in the reverse order, also when the drill itself broke.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { startTemporal, type TemporalServer } from '../../dev-server/temporal-server.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/temporal/names.ts';
import { startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import type { Random } from '../support/random.ts';

export interface OwnTemporal {
  address: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

export interface World {
  dir: string;
  /** Where processes keep their workflow bundle: made once. */
  dataDir: string;
  temporalAddress: string;
  /** A Temporal server for one drill, to be killed and restarted with its data and address. */
  ownTemporal(drill: Drill): Promise<OwnTemporal>;
  /** File with the bundle of `workflows/index.ts`, for replays. */
  bundle: string;
  /** The campaign's PostgreSQL; started when the first drill asks for it. */
  postgres(): Promise<PostgresServer>;
  /** One piece of work after the other: two replays at once would end the SDK's runtime under each other. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

export interface Drill {
  world: World;
  random: Random;
  /** Of this drill alone. */
  dir: string;
  defer(end: () => Promise<void>): void;
  note(text: string): void;
}

export const openDrill = async (
  world: World,
  name: string,
  random: Random,
): Promise<Drill & { end(): Promise<void>; notes: string[] }> => {
  const dir = await mkdtemp(join(world.dir, `${name}-`));
  const ends: (() => Promise<void>)[] = [];
  const notes: string[] = [];
  const began = Date.now();
  return {
    world,
    random,
    dir,
    notes,
    defer: (end) => void ends.push(end),
    note: (text) => void notes.push(`${String(Date.now() - began).padStart(6)} ms  ${text}`),
    async end() {
      const problems: unknown[] = [];
      for (const end of ends.toReversed()) await end().catch((error: unknown) => problems.push(error));
      if (problems.length > 0) throw new AggregateError(problems, problems.map(String).join('; '));
    },
  };
};

/** A dev server on disk, for `World.ownTemporal`. */
export const ownDevServer = async (drill: Drill): Promise<OwnTemporal> => {
  const dbFilename = join(drill.dir, 'temporal.db');
  const begin = (ports: { port?: number; httpPort?: number } = {}): Promise<TemporalServer> =>
    startTemporal({ dbFilename, searchAttributes: SEARCH_ATTRIBUTES, ...ports });
  let server = await begin();
  const ports = {
    port: Number(server.address.split(':')[1]),
    httpPort: Number(new URL(server.httpUrl).port),
  };
  drill.defer(() => server.stop());
  return {
    address: server.address,
    async kill() {
      server.kill();
      await server.exited;
    },
    async restart() {
      server = await begin(ports);
    },
  };
};

/** A PostgreSQL for one drill, to be killed and restarted on the same files and port. */
export const ownPostgres = async (drill: Drill): Promise<PostgresServer> => {
  const server = await startPostgres();
  drill.defer(() => server.remove());
  return server;
};
