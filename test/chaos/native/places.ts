/** Where a native lane stands: PostgreSQL and Temporal of the campaign or of its own, or everything inside `runs dev`. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort } from '../../../dev-server/ports.ts';
import { openStore } from '../../../store/index.ts';
import type { DrillProcess } from '../processes.ts';
import type { Drill } from '../world.ts';
import type { NativeLane, NativePlaces } from './lane.ts';

const query = async (url: string, sql: string): Promise<void> => {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
};

/** A database of this drill's own on the campaign's PostgreSQL. */
export const freshDatabase = async (drill: Drill): Promise<string> => {
  const server = await drill.world.postgres();
  const name = `drill_${randomBytes(6).toString('hex')}`;
  await query(server.url, `create database ${name}`);
  drill.defer(() => query(server.url, `drop database if exists ${name} with (force)`));
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
};

export interface ServedPlaces extends NativePlaces {
  port: number;
}

/** `runs serve` on one port that stays the same when it comes back. */
export const servedPlaces = async (drill: Drill, databaseUrl: string): Promise<ServedPlaces> => {
  const port = await freePort();
  return {
    port,
    url: () => `http://127.0.0.1:${port}/v1`,
    temporal: () => drill.world.temporalAddress,
    openStore: () => openStore({ databaseUrl }),
    env: { DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: drill.world.temporalAddress, PORT: String(port) },
  };
};

export const serve = async (lane: NativeLane): Promise<DrillProcess> => {
  const process = await lane.command(['serve'], 'serve');
  await process.ready;
  return process;
};

export interface DevPlaces extends NativePlaces {
  /** Of the embedded Temporal server that was started last; null before the first. */
  temporalPid(): number | null;
}

/** `runs dev` with everything in it, in a directory of the drill. */
export const devPlaces = async (drill: Drill): Promise<DevPlaces> => {
  const port = await freePort();
  const dir = join(drill.dir, 'data');
  await mkdir(dir);
  const state = (): { temporalPid: number | null; temporalAddress: string } | null => {
    const file = join(dir, 'dev.json');
    return existsSync(file)
      ? (JSON.parse(readFileSync(file, 'utf8')) as { temporalPid: number | null; temporalAddress: string })
      : null;
  };
  return {
    url: () => `http://127.0.0.1:${port}/v1`,
    temporal: () => state()?.temporalAddress ?? '',
    temporalPid: () => state()?.temporalPid ?? null,
    openStore: () => openStore({ dataDir: join(dir, 'store') }),
    env: { RUNS_DATA_DIR: dir, PORT: String(port) },
  };
};
