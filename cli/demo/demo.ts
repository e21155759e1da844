/**
 * The demo: one run from its start to its end, on servers that end with the demo. No key, no Docker, no account.
 *
 * Rule: it does nothing that a user could not do: the official client starts the run, and without a terminal for keys
 * the demo answers with the command that it has just printed. Its processes end with it.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { RunsClient } from '../../client/index.ts';
import { configFromEnv, type Config } from '../../worker/config.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import { makeLog } from '../../worker/log.ts';
import { guardProcess } from '../../worker/process-guard.ts';
import type { CliIo } from '../command.ts';
import { CliError, EXIT, type ExitCode } from '../../app/exit.ts';
import { dataDir, folderDev, nonEmpty } from '../../app/dev-state.ts';
import { TEMPORAL_CHOICE } from '../../app/temporal-env.ts';
import { pendingWork } from '../output/pending-activities.ts';
import { createBoard } from '../output/board.ts';
import type { Board } from '../output/progress.ts';
import { finishedRounds } from '../output/rounds.ts';
import { startStack, type Stack } from '../../app/stack.ts';
import { PersonAtKeys, type Person } from './person.ts';
import { answerCommandText, answerCurl, questionLines, type Question } from './texts.ts';
import { demoTools } from './tools.ts';

export interface DemoOptions {
  /** A chat-completions server; null = the sandbox's scripted model. */
  modelUrl: string | null;
  model: string | null;
  /** Does a person sit at the terminal? */
  interactive: boolean;
}

const DEMO_QUESTION = 'Please deploy checkout 1.4.2.';
const INSTRUCTIONS =
  'You release software. First call run_checks for the service and version. When they pass, call deploy. Then say in one sentence what happened. Never skip a step.';

const NEXT = [
  '',
  'The servers of this demo end here. "npm start" keeps them, with their state in',
  '.runs/. README.md, section "Use", adds a tool and a client of your own.',
];

const MAX_COMPLETION_TOKENS = 2_000;

export const runDemo = async (io: CliIo, options: DemoOptions): Promise<ExitCode> => {
  const say = (line: string): void => io.stderr(`${line}\n`);
  const config = configOf(io, options);
  const log = makeLog('error');
  // The demo runs tools in its own process: what one of them leaves behind must not end it without a word.
  const guard = guardProcess({ log });
  try {
    return await playOnStack(io, options, { config, log, say });
  } finally {
    guard.dispose();
  }
};

const playOnStack = async (
  io: CliIo,
  options: DemoOptions,
  { config, log, say }: { config: Config; log: Logger; say: (line: string) => void },
): Promise<ExitCode> => {
  say('Starting Temporal, a store, a worker and the API on this machine …');
  const stack = await startStack({
    config,
    // Nothing of the user's environment: the demo brings everything with it.
    env: {},
    temporal: { ports: { grpc: [7233], ui: [8233] } },
    storeDir: null,
    sample: false,
    tools: demoTools(),
    apiPort: { preferred: [8787] },
    log,
    say,
  });
  try {
    return await play(io, options, stack, say);
  } finally {
    await stack.close();
  }
};

/** The models of RUNS_MODELS, where the environment names a file. */
const modelsOfFile = ({ env }: CliIo, model: string | null): Record<string, string> => {
  const file = nonEmpty(env['RUNS_MODELS']);
  return file === undefined
    ? {}
    : { RUNS_BACKEND: 'chat', RUNS_MODELS: file, ...(model === null ? {} : { RUNS_MODEL: model }) };
};

const configOf = (io: CliIo, { modelUrl, model }: DemoOptions): Config => ({
  ...configFromEnv({
    RUNS_DATA_DIR: io.env['RUNS_DATA_DIR'],
    ...(modelUrl === null
      ? modelsOfFile(io, model)
      : {
          RUNS_BACKEND: 'chat',
          OPENAI_BASE_URL: modelUrl,
          OPENAI_API_KEY: io.env['OPENAI_API_KEY'],
          RUNS_MODEL: model ?? undefined,
        }),
  }),
});

const play = async (
  io: CliIo,
  options: DemoOptions,
  stack: Stack,
  say: (line: string) => void,
): Promise<ExitCode> => {
  const { apiUrl } = stack;
  const scripted = options.modelUrl === null && nonEmpty(io.env['RUNS_MODELS']) === undefined;
  if (apiUrl === null) throw new Error('The demo has no API to talk to.');
  const openai = new OpenAI({ baseURL: apiUrl, apiKey: 'none', logLevel: 'off' });
  const { threads } = openai.beta;
  const assistant = await openai.beta.assistants.create({
    model: scripted ? 'scripted:deploy' : (options.model ?? 'default'),
    instructions: INSTRUCTIONS,
    tools: demoTools().definitions(),
  });
  const thread = await threads.create({ messages: [{ role: 'user', content: DEMO_QUESTION }] });
  const run = await threads.runs.create(thread.id, {
    assistant_id: assistant.id,
    // A small model may not find the end of its answer.
    ...(scripted ? {} : { max_completion_tokens: MAX_COMPLETION_TOKENS }),
  });
  if (stack.consoleUrl !== null) say(`Console ${stack.consoleUrl}`);
  say(`API ${apiUrl}, Web UI ${stack.uiUrl ?? 'off'}`);
  say(`The official openai client sends "${DEMO_QUESTION}"`);
  say(`and starts ${run.id}.`);
  say('');

  const client = await RunsClient.connect(stack.connect);
  try {
    const found = await isFoundHere(io, stack.temporal.address);
    const ids = { runId: run.id, threadId: thread.id };
    const status = await follow(io, options, { stack, client, ...ids, apiUrl, found });
    const messages = await threads.messages.list(thread.id, { run_id: run.id, order: 'asc' });
    for (const message of messages.data)
      for (const part of message.content) if (part.type === 'text') io.stdout(`${part.text.value}\n`);
    if (options.interactive) for (const line of NEXT) say(line);
    return status === 'completed' ? EXIT.ok : EXIT.runNotCompleted;
  } finally {
    await client.close();
  }
};

interface Played {
  stack: Stack;
  client: RunsClient;
  runId: string;
  threadId: string;
  apiUrl: string;
  found: boolean;
}

/** Where commands look that find nothing in environment and folder. */
const DEFAULT_TEMPORAL_ADDRESS = '127.0.0.1:7233';

const isFoundHere = async ({ env }: CliIo, address: string): Promise<boolean> =>
  address === DEFAULT_TEMPORAL_ADDRESS &&
  TEMPORAL_CHOICE.every((name) => nonEmpty(env[name]) === undefined) &&
  (await folderDev(dataDir(env))).kind === 'none';

const POLL_INTERVAL_MS = 300;

/** Draws the run until it has ended, and asks for what it waits for. */
const follow = async (io: CliIo, options: DemoOptions, played: Played): Promise<string> => {
  const { client, runId, stack } = played;
  const { stderrIsTty: tty, columns } = io;
  const board = createBoard({ write: io.stderr, tty, columns, command: null });
  const finished = tty ? finishedRounds((id) => client.history(id), columns) : async () => [];
  const stop = new AbortController();
  const answerer = options.interactive
    ? personAtKeys(io, played, board, () => stop.abort())
    : answersInPlace(io, played, board);
  const broken = stack.broken.then((reason) => {
    throw new CliError(EXIT.unavailable, 'part_ended', `${reason}. Run the demo again.`);
  });
  const signal = AbortSignal.any([io.signal, stop.signal]);
  const watch = async (): Promise<string> => {
    for (;;) {
      const run = await client.get(runId);
      board.note(...(await finished(run)));
      board.update({ run, pending: await pendingWork(client, run) });
      await answerer.see(run);
      if (run.result !== null) return run.result.status;
      await pause(POLL_INTERVAL_MS, signal);
    }
  };
  try {
    return await Promise.race([watch(), broken]);
  } finally {
    answerer.leave();
    board.end();
  }
};

const personAtKeys = (io: CliIo, played: Played, board: Board, quit: () => void): Person => {
  const { ask, keys } = io;
  if (ask === undefined || keys === undefined) throw new Error('The demo has no terminal to take keys from.');
  return new PersonAtKeys({
    io: { ...io, ask, keys },
    client: played.client,
    board,
    questionOf: (call) => questionOf(played, call),
    quit,
  });
};

/** Where no person sits at the terminal: the demo answers each call by the command that it has just printed. */
const answersInPlace = (io: CliIo, played: Played, board: Board): Person => {
  const asked = new Set<string>();
  const answers: Promise<void>[] = [];
  let failure: { error: unknown } | null = null;
  return {
    async see(run) {
      if (failure !== null) throw failure.error;
      for (const call of run.calls) {
        if (call.state !== 'waiting' || asked.has(call.callId)) continue;
        asked.add(call.callId);
        const question = await questionOf(played, call);
        board.note(...questionLines(question));
        const answer = answerInPlace(question, board, io);
        answer.catch((error: unknown) => (failure = { error }));
        answers.push(answer);
      }
      if (run.result !== null) await Promise.all(answers);
    },
    leave: () => undefined,
  };
};

const questionOf = async (
  { client, stack, runId, threadId, apiUrl, found }: Played,
  call: Question['call'],
): Promise<Question> => {
  const { runId: execution } = await client.temporal.workflow.getHandle(runId).describe();
  return {
    runId,
    threadId,
    call,
    apiUrl,
    temporalAddress: stack.temporal.address,
    found,
    consoleUrl: stack.consoleUrl,
    uiUrl:
      stack.uiUrl === null
        ? null
        : `${stack.uiUrl}/namespaces/${stack.temporal.namespace}/workflows/${runId}/${execution}/user-metadata`,
  };
};

/** By the very command that was printed: curl, or the CLI where there is no curl. */
const answerInPlace = async (question: Question, board: Board, io: CliIo): Promise<void> => {
  const curl = await succeeds('curl --version', io);
  const command = curl.ok ? answerCurl(question) : answerCommandText(question);
  board.note(
    `This terminal takes no keys, so the demo answers for you, with ${curl.ok ? 'that curl command' : 'that command'}.`,
  );
  const answer = await succeeds(command, io);
  board.note(`  ${answer.output.trim()}`);
  board.note('');
  if (!answer.ok)
    throw new CliError(
      EXIT.unexpected,
      'answer_failed',
      `the answer was not accepted: ${answer.output.trim()}`,
    );
};

const succeeds = (command: string, io: CliIo): Promise<{ ok: boolean; output: string }> =>
  new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...io.env },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });

const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  if (signal.aborted) throw new CliError(EXIT.interrupted, 'interrupted', 'the demo was interrupted');
};
