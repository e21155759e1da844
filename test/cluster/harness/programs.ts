/**
 * The programs of a real Temporal server: `temporal-server` and `temporal-sql-tool`.
 *
 * Rule: what is on PATH is taken. Otherwise they are built once from Temporal's Go module, with the version that stands here, below
 * `~/.cache/durable-runs/temporal-server/`. Imported by the cluster's tests.
 */
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { onPath } from '../../../dev-server/find-temporal.ts';
import { cacheOf, fillOnce, missingCommand, runBuild } from '../../support/prepared.ts';

/** The minor version of the images in docker-compose.yml. */
export const TEMPORAL_VERSION = 'v1.31.2';
const MODULE = 'go.temporal.io/server';
/** The module asks for it. */
const GO = '1.26';
const BUILD_MINUTES = 30;

const PROGRAMS = [
  { command: 'cmd/server', built: 'server', name: 'temporal-server' },
  { command: 'cmd/tools/sql', built: 'sql', name: 'temporal-sql-tool' },
];

const build = async (place: string): Promise<void> => {
  const packages = PROGRAMS.map(({ command }) => `${MODULE}/${command}@${TEMPORAL_VERSION}`);
  await runBuild('go', ['install', ...packages], place, { env: { GOBIN: place }, minutes: BUILD_MINUTES });
  for (const { built, name } of PROGRAMS) await rename(join(place, built), join(place, name));
};

/** The directory that holds both. Throws with what to do when neither they nor Go are here. */
export const temporalPrograms = async (): Promise<string> => {
  const installed = await Promise.all(PROGRAMS.map(({ name }) => onPath(name)));
  const [server, tool] = installed;
  if (server !== undefined && tool !== undefined && dirname(server) === dirname(tool)) return dirname(server);
  const place = join(cacheOf('temporal-server'), TEMPORAL_VERSION);
  await fillOnce(place, async (work) => {
    const missing = await missingCommand('go', 'version');
    if (missing !== null)
      throw new Error(
        `A real Temporal server can't be built: ${missing}. Install Go ${GO} or newer, or put ${PROGRAMS.map(({ name }) => name).join(' and ')} into one directory of PATH.`,
      );
    await build(work);
  });
  return place;
};
