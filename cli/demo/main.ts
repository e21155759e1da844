/** Entry of `npm run demo`. Touches the process; everything else is in `demo.ts`. */
import { parseArgs } from 'node:util';
import { toCliFailure, usageError } from '../../app/exit.ts';
import type { CliIo } from '../command.ts';
import { errorText } from '../output/format.ts';
import { askOnTerminal, keysOfTerminal } from '../terminal.ts';

const USAGE = `npm run demo [-- --model-url URL [--model NAME]]

Plays one durable run to its end on this machine: no key, no Docker, no account.

  --model-url URL   use this chat-completions server, such as http://127.0.0.1:11434/v1, not the scripted model
  --model NAME      the model to ask that server for, or a model of the file that RUNS_MODELS names
`;

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(name));

const isTerminal = process.stdin.isTTY && process.stderr.isTTY && process.env['TERM'] !== 'dumb';
const io: CliIo = {
  env: process.env,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  stderrIsTty: process.stderr.isTTY && process.env['TERM'] !== 'dumb',
  columns: () => process.stderr.columns || 80,
  ...(isTerminal ? { ask: askOnTerminal(stop.signal), keys: keysOfTerminal } : {}),
  signal: stop.signal,
};

const options = (): { help: boolean; modelUrl: string | null; model: string | null } => {
  try {
    const { values } = parseArgs({
      options: {
        'model-url': { type: 'string' },
        model: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const modelUrl = values['model-url'] ?? null;
    if (modelUrl !== null && !URL.canParse(modelUrl))
      throw usageError(
        `--model-url must be a URL such as http://127.0.0.1:11434/v1, got ${JSON.stringify(modelUrl)}.`,
      );
    return { help: values.help ?? false, modelUrl, model: values.model ?? null };
  } catch (error) {
    throw error instanceof TypeError ? usageError(`${error.message}\n\n${USAGE}`) : error;
  }
};

try {
  const { help, ...chosen } = options();
  if (help) {
    io.stdout(USAGE);
  } else {
    const { runDemo } = await import('./demo.ts');
    process.exitCode = await runDemo(io, {
      ...chosen,
      interactive: isTerminal,
    });
  }
} catch (error) {
  const failure = toCliFailure(error);
  io.stderr(`${errorText(failure.text, io.stderrIsTty ? io.columns() : null)}\n`);
  process.exitCode = failure.exitCode;
}
setTimeout(() => process.exit(), 2_000).unref();
