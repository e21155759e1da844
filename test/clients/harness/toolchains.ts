/**
 * How the programs of each language are made and run.
 *
 * Rule: nothing is built or installed below the checkout: libraries go into the user's own caches, programs into
 * `~/.cache/durable-runs/clients/`, keyed by what pins them. A second run finds everything there. The harness imports it.
 */
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheOf, fillOnce, missingCommand, runBuild } from '../../support/prepared.ts';
import { CLIENTS_DIR, mainClassOf, type Lane, type Language } from './lanes.ts';

const CACHE = cacheOf('clients');

/** A program, ready to run. */
export interface Program {
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
}

export interface Toolchain {
  /** Commands that must answer, with the arguments that make them name their version. */
  needs: [command: string, ...args: string[]][];
  prepare(lane: Lane): Promise<Program>;
}

const digestOf = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
    .slice(0, 12);

const python: Toolchain = {
  needs: [['python3', '-m', 'pip', '--version']],
  async prepare({ name }) {
    const folder = join(CLIENTS_DIR, 'python', name);
    const requirements = join(folder, 'requirements.txt');
    const version = (
      await runBuild('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], folder)
    ).trim();
    const place = join(CACHE, `python${version}-${name}-${await digestOf(requirements)}`);
    await fillOnce(place, async (work) => {
      const flags = ['--quiet', '--disable-pip-version-check', '--no-input', '--no-compile'];
      await runBuild(
        'python3',
        ['-m', 'pip', 'install', ...flags, '--target', work, '-r', requirements],
        folder,
      );
    });
    return {
      command: 'python3',
      args: [join(folder, 'main.py')],
      cwd: place,
      env: {
        PYTHONPATH: `${place}:${join(CLIENTS_DIR, 'python')}`,
        PYTHONDONTWRITEBYTECODE: '1',
        PYTHONUNBUFFERED: '1',
        PYTHONWARNINGS: 'ignore',
      },
    };
  },
};

const node: Toolchain = {
  needs: [['npm', '--version']],
  async prepare({ name }) {
    const folder = join(CLIENTS_DIR, 'node', name);
    const place = join(CACHE, `node-${name}-${await digestOf(join(folder, 'package-lock.json'))}`, name);
    await fillOnce(place, async (work) => {
      await cp(folder, work, { recursive: true });
      await runBuild('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], work);
    });
    await cp(folder, place, { recursive: true });
    await cp(join(CLIENTS_DIR, 'node', 'report.mjs'), join(place, '..', 'report.mjs'));
    return { command: process.execPath, args: ['main.mjs'], cwd: place, env: {} };
  },
};

const go: Toolchain = {
  needs: [['go', 'version']],
  async prepare({ name }) {
    const program = join(CACHE, `go-${name}`);
    await runBuild('go', ['build', '-mod=readonly', '-o', program, `./${name}`], join(CLIENTS_DIR, 'go'));
    return { command: program, args: [], cwd: CACHE, env: {} };
  },
};

const rust: Toolchain = {
  needs: [['cargo', '--version']],
  async prepare({ name }) {
    const target = join(CACHE, 'rust-target');
    await runBuild('cargo', ['build', '--locked', '--quiet', '--bin', name], join(CLIENTS_DIR, 'rust'), {
      env: { CARGO_TARGET_DIR: target },
    });
    return { command: join(target, 'debug', name), args: [], cwd: CACHE, env: {} };
  },
};

const java: Toolchain = {
  needs: [
    ['java', '-version'],
    ['mvn', '-version'],
  ],
  async prepare(lane) {
    const target = join(CACHE, 'java');
    const goals = ['compile', 'dependency:copy-dependencies'];
    const places = [`-Dclients.target=${target}`, `-DoutputDirectory=${target}/libraries`];
    await runBuild('mvn', ['-B', '-q', ...places, ...goals], join(CLIENTS_DIR, 'java'));
    return {
      command: 'java',
      args: ['-cp', `${target}/classes:${target}/libraries/*`, mainClassOf(lane)],
      cwd: target,
      env: {},
    };
  },
};

export const TOOLCHAINS: Record<Language, Toolchain> = { python, node, go, rust, java };

/** Why the language can't be tried here; null when it can. */
export const missingToolchain = async (language: Language): Promise<string | null> => {
  for (const [command, ...args] of TOOLCHAINS[language].needs) {
    const missing = await missingCommand(command, ...args);
    if (missing !== null) return `${missing}; install it to try this client`;
  }
  return null;
};

export const prepareCache = (): Promise<unknown> => mkdir(CACHE, { recursive: true });
