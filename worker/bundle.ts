/**
 * The workflow code of a worker: the bundle of the build, or one made now from this checkout.
 *
 * Rule: a bundle made here is cached under a digest of all its inputs, so a second start is quick and a stale bundle is
 * never used. A build's bundle is used unchanged, so that all workers of a release run the same, unless the program brings
 * another version of the SDK.
 * Imported by the composition root.
 */
import type { DataConverter } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WORKFLOWS_MODULE } from '../workflows/location.ts';
import { bundleOptions } from './bundle-options.ts';
import { ENCRYPTED_FAILURES } from './data-converter.ts';

export type WorkflowCode = { codePath: string } | { code: string };
type ConverterPaths = Pick<DataConverter, 'payloadConverterPath' | 'failureConverterPath'>;

const root = fileURLToPath(new URL('..', import.meta.url));
/** Folder of `workflows` and `protocol`, which a published server finds in another package. */
const workflowsRoot = fileURLToPath(new URL('..', WORKFLOWS_MODULE)).replace(/[\\/]$/, '');
const builtBundle = join(root, 'workflow-bundle.js');
const builtEncryptedBundle = join(root, 'workflow-bundle-encrypted.js');
/** Names the SDK that made the built bundles. */
const builtBundleFacts = join(root, 'workflow-bundle.json');
const requireHere = createRequire(import.meta.url);
/** Cached bundles that are kept beside the one in use. */
const CACHE_SIZE = 3;

export interface BundleOptions {
  /** Where bundles made here are cached; absent = nowhere. */
  cacheDir?: string;
  /** Its converter modules become part of the bundle. */
  dataConverter?: DataConverter;
}

/** The bundle to run. Takes some seconds when it has to be made. */
export const workflowCode = async (options: BundleOptions = {}): Promise<WorkflowCode> => {
  const paths = converterPaths(options.dataConverter);
  // A converter that runs in the sandbox must be inside of the bundle.
  const built = builtFor(paths);
  if (built !== null && fitsInstalledSdk()) return { codePath: built };
  if (options.cacheDir === undefined) return { code: await make(paths) };

  const file = join(options.cacheDir, `workflows-${await fingerprint(paths)}.js`);
  if (!existsSync(file)) {
    const code = await make(paths);
    await mkdir(options.cacheDir, { recursive: true });
    // Written to another name and renamed: two processes that start at once never read half a bundle.
    const draft = `${file}.${process.pid}`;
    await writeFile(draft, code);
    await rename(draft, file);
    await removeOld(options.cacheDir, file);
  }
  return { codePath: file };
};

/** The built bundle with these converters; null = the build made none. */
const builtFor = ({ payloadConverterPath, failureConverterPath }: ConverterPaths): string | null => {
  if (payloadConverterPath !== undefined) return null;
  if (failureConverterPath === undefined) return builtBundle;
  return failureConverterPath === ENCRYPTED_FAILURES ? builtEncryptedBundle : null;
};

const installedSdk = (): string =>
  (requireHere('@temporalio/worker/package.json') as { version: string }).version;

/** A bundle contains the SDK's workflow half, which must be of the version that loads it. */
const fitsInstalledSdk = (): boolean => {
  if (!existsSync(builtBundle) || !existsSync(builtBundleFacts)) return false;
  const { sdk } = requireHere(builtBundleFacts) as { sdk: string };
  return sdk === installedSdk();
};

const converterPaths = (converter: DataConverter | undefined): ConverterPaths => ({
  ...(converter?.payloadConverterPath === undefined
    ? {}
    : { payloadConverterPath: converter.payloadConverterPath }),
  ...(converter?.failureConverterPath === undefined
    ? {}
    : { failureConverterPath: converter.failureConverterPath }),
});

const extension = WORKFLOWS_MODULE.endsWith('.ts') ? 'ts' : 'js';

/** What a bundle that holds other workflows, too, may load once for all of them. */
export const sharedModules = (): string[] =>
  // `traces` shortens every stack of the thread, which is the program's to decide.
  bundleOptions(workflowsRoot, extension).preloadModules.filter((path) => !path.includes('traces'));

const make = async (paths: ConverterPaths): Promise<string> => {
  const { code } = await bundleWorkflowCode({
    ...bundleOptions(workflowsRoot, extension),
    logger: new DefaultLogger('WARN'),
    ...paths,
  });
  return code;
};

/** Digest of all sources that may enter the bundle, of how it is made, of the SDK's version, and of the converters. */
const fingerprint = async (paths: ConverterPaths): Promise<string> => {
  const hash = createHash('sha256');
  hash.update(`${installedSdk()}\n${process.versions.modules}\n`);
  const folders = await Promise.all(
    ['workflows', 'protocol'].map((folder) => sources(join(workflowsRoot, folder))),
  );
  const how = join(root, 'worker', `bundle-options.${extension}`);
  const files = [...folders.flat(), how, ...Object.values(paths)];
  for (const file of files) {
    hash.update(`${relative(root, file)}\n`);
    hash.update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 24);
};

const sources = async (folder: string): Promise<string[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.[jt]s$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
};

const removeOld = async (dir: string, current: string): Promise<void> => {
  const names = (await readdir(dir)).filter((name) => /^workflows-[0-9a-f]{24}\.js$/.test(name));
  const others = names.map((name) => join(dir, name)).filter((file) => file !== current);
  for (const file of others.toSorted().slice(0, Math.max(0, others.length - CACHE_SIZE)))
    await rm(file, { force: true });
};
