/**
 * The two packages that one tree becomes: `durable-runs`, what a program needs to drive runs, and `durable-runs-server`, what a
 * worker, the API, the store and the `runs` command need on top.
 *
 * Rule: a module is in one package only. An import that crosses over names the other package, so a process that loads both has one
 * class `RunsError`. A manifest lists the packages that its files import, at the version that the root's package.json pins; zod and
 * Temporal's packages belong to the program, so they are peers with a range.
 * Imported by the build and by tests of the packages.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, relative } from 'node:path';

export const CLIENT = 'durable-runs';
export const SERVER = 'durable-runs-server';

/** The rooms of the client; the server has all others. */
export const CLIENT_ROOMS = ['client', 'protocol', 'workflows'];

/** What the workflows and the worker need: they share a history's format, and a bundle, with the SDK. */
const SDK_RANGE = '>=1.24.0 <2';
/** What the client needs, which only calls Temporal: a program that drives runs may be older than their worker. */
const CLIENT_SDK_RANGE = '>=1.18.1 <2';
/** Ranges of the peers; `test/live/packages/peer-ranges.test.ts` runs both ends. */
export const PEER_RANGES = {
  [CLIENT]: {
    '@temporalio/client': CLIENT_SDK_RANGE,
    '@temporalio/common': CLIENT_SDK_RANGE,
    '@temporalio/envconfig': CLIENT_SDK_RANGE,
    '@temporalio/workflow': SDK_RANGE,
    zod: '>=4.0.0 <5',
  },
  [SERVER]: {
    '@temporalio/activity': SDK_RANGE,
    '@temporalio/client': SDK_RANGE,
    '@temporalio/common': SDK_RANGE,
    '@temporalio/envconfig': SDK_RANGE,
    '@temporalio/plugin': SDK_RANGE,
    '@temporalio/testing': SDK_RANGE,
    '@temporalio/worker': SDK_RANGE,
    '@temporalio/workflow': SDK_RANGE,
    zod: '>=4.0.0 <5',
  },
};
/** Peers that npm does not install by itself. Only `durable-runs/workflows` imports the workflow SDK. */
const OPTIONAL_PEERS = { [CLIENT]: [SERVER, '@temporalio/workflow'], [SERVER]: [] };

/** Files that are copied beside the compiled ones; the compiler takes only TypeScript. */
export const PLAIN_FILES = ['store/migrations', 'workflows/beside.cjs', 'workflows/encrypted-failures.cjs'];

/** `npm run demo` is of the checkout alone. */
const UNPUBLISHED = ['cli/demo/', 'built.json'];

const ENTRIES = {
  [CLIENT]: {
    '.': 'client/public',
    './http': 'client/http/public',
    './protocol': 'protocol/public',
    './workflows': 'workflows/public',
  },
  [SERVER]: { './worker': 'worker/public', './testing': 'testing/public', './cli': 'cli/main' },
};

/** Entries of the server under the client's name: a tools file imports `durable-runs/worker`. */
const DOORS = ['worker', 'testing'];

/**
 * Writes both package folders from a finished build. `dist` holds the compiled rooms, `root` is the checkout. Returns the folders by
 * name.
 */
export function writePackages(root, dist, into) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const folders = { [CLIENT]: join(into, CLIENT), [SERVER]: join(into, SERVER) };
  const imported = { [CLIENT]: new Set(), [SERVER]: new Set() };
  for (const file of filesOf(dist, into)) {
    const owner = ownerOf(file);
    const to = join(folders[owner], 'dist', file);
    mkdirSync(dirname(to), { recursive: true });
    // The console is bundled: its imports name no package.
    if (
      !/\.(?:js|d\.ts)$/.test(file) ||
      file.startsWith('console/') ||
      /^workflow-bundle(?:-\w+)?\.js$/.test(file)
    )
      copyFileSync(join(dist, file), to);
    else writeFileSync(to, crossOver(readFileSync(join(dist, file), 'utf8'), file, imported[owner]));
  }
  writeDoors(folders[CLIENT]);
  for (const [name, folder] of Object.entries(folders)) {
    const text = JSON.stringify(manifestOf(name, manifest, imported[name]), null, 2);
    writeFileSync(join(folder, 'package.json'), `${text}\n`);
    for (const file of ['LICENSE', 'SECURITY.md']) copyFileSync(join(root, file), join(folder, file));
    copyFileSync(join(root, 'scripts', 'packages', `${name}.md`), join(folder, 'README.md'));
  }
  mkdirSync(join(folders[CLIENT], 'bin'));
  copyFileSync(join(root, 'bin', 'installed.mjs'), join(folders[CLIENT], 'bin', 'runs.mjs'));
  return folders;
}

/** Every file of the build, by its path with slashes. */
function filesOf(dist, except) {
  return readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(except))
    .map((file) => relative(dist, file).replaceAll('\\', '/'))
    .filter((file) => !UNPUBLISHED.some((start) => file.startsWith(start)));
}

function ownerOf(file) {
  return CLIENT_ROOMS.includes(file.split('/')[0]) ? CLIENT : SERVER;
}

/** Of statements as the compiler writes them, at the start of a line, and of dynamic imports: texts for people hold others. */
const SPECIFIER = /(^(?:import|export)\b[^'"`;]*\bfrom\s*|^import\s+|\bimport\(\s*)(['"])([^'"\n]+)\2/gm;

/** The text with imports of the other package by its name; notes the packages that it imports in `imported`. */
function crossOver(text, file, imported) {
  return text.replace(SPECIFIER, (all, lead, quoted, specifier) => {
    if (!specifier.startsWith('.')) {
      imported.add(packageOf(specifier));
      return all;
    }
    // Declarations keep the sources' extension, and a package has no such file.
    const compiled = specifier.replace(/(?<!\.d)\.ts$/, '.js');
    const target = posix.join(posix.dirname(file), compiled);
    if (ownerOf(target) === ownerOf(file)) return `${lead}${quoted}${compiled}${quoted}`;
    if (ownerOf(file) === CLIENT)
      throw new Error(`${file} is of ${CLIENT} and imports ${target} of ${SERVER}.`);
    imported.add(CLIENT);
    return `${lead}${quoted}${CLIENT}/internal/${target}${quoted}`;
  });
}

function packageOf(specifier) {
  const [first = '', second = ''] = specifier.split('/');
  return first.startsWith('@') ? `${first}/${second}` : first;
}

function writeDoors(folder) {
  mkdirSync(join(folder, 'dist', 'server'));
  for (const name of DOORS) {
    const text = `export * from '${SERVER}/${name}';\n`;
    for (const extension of ['js', 'd.ts'])
      writeFileSync(join(folder, 'dist', 'server', `${name}.${extension}`), text);
  }
}

/** The package.json of one package. `imported`: the packages that its files import. */
function manifestOf(name, root, imported) {
  const { version, license, author, homepage, bugs, repository, keywords, engines } = root;
  const names = [...imported]
    .filter((one) => !one.startsWith('node:') && !builtinModules.includes(one))
    .toSorted((a, b) => a.localeCompare(b));
  const peers = peersOf(name, root, names);
  const dependencies = names
    .filter((one) => peers[one] === undefined)
    .map((one) => [one, one === CLIENT ? version : pinned(root, one)]);
  return {
    name,
    version,
    description: name === CLIENT ? root.description : `Worker, API, store and command of ${CLIENT}.`,
    keywords,
    homepage,
    bugs,
    license,
    author,
    repository,
    ...(name === CLIENT ? { bin: { runs: 'bin/runs.mjs' } } : {}),
    files: ['bin', 'dist', 'SECURITY.md'],
    type: 'module',
    sideEffects: name === CLIENT ? ['./dist/workflows/traces.js'] : ['./dist/cli/main.js'],
    exports: exportsOf(name),
    ...(dependencies.length === 0 ? {} : { dependencies: Object.fromEntries(dependencies) }),
    peerDependencies: { ...peers, ...(name === CLIENT ? { [SERVER]: version } : {}) },
    peerDependenciesMeta: {
      ...Object.fromEntries(OPTIONAL_PEERS[name].map((one) => [one, { optional: true }])),
      ...Object.fromEntries(
        Object.entries(root.peerDependenciesMeta ?? {}).filter(([one]) => peers[one] !== undefined),
      ),
    },
    engines,
    publishConfig: { access: 'public' },
  };
}

/** The package's own peers, and those of the root that its files import. */
function peersOf(name, root, imported) {
  const optional = Object.entries(root.peerDependencies ?? {}).filter(([one]) => imported.includes(one));
  const unranged = imported.filter(
    (one) => (one === 'zod' || one.startsWith('@temporalio/')) && PEER_RANGES[name][one] === undefined,
  );
  if (unranged.length > 0) throw new Error(`PEER_RANGES of ${name} lacks ${unranged.join(', ')}.`);
  return { ...PEER_RANGES[name], ...Object.fromEntries(optional) };
}

function pinned(root, name) {
  const version = root.dependencies[name];
  if (version === undefined)
    throw new Error(`package.json has no dependency ${name}, and a published file imports it.`);
  return version;
}

function exportsOf(name) {
  const doors = name === CLIENT ? DOORS.map((door) => [`./${door}`, conditions(`server/${door}`)]) : [];
  const own = Object.entries(ENTRIES[name]).map(([path, file]) => [path, conditions(file)]);
  const internal = name === CLIENT ? [['./internal/*', './dist/*']] : [];
  return Object.fromEntries([...own, ...doors, ...internal, ['./package.json', './package.json']]);
}

function conditions(file) {
  return { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` };
}

/** Files that a package's manifest names and its folder lacks. */
export function missingFiles(folder) {
  const { bin = {}, exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const entries = Object.values(exports).flatMap((one) =>
    typeof one === 'string' ? [one] : Object.values(one),
  );
  return [...Object.values(bin), ...entries].filter(
    (file) => !file.includes('*') && !existsSync(join(folder, file)),
  );
}
