/**
 * The `runs` command: the list of commands, and their frame (`--json`, errors, exit codes).
 *
 * Rule: exactly one JSON document on stdout with `--json`, in every case; everything else on stderr. Only this file
 * prints results. Imported by `main.ts` and by tests.
 */
import { Command, CommanderError, type OutputConfiguration } from 'commander';
import type { CliIo, CommandContext, Outcome, RegisteredCommand } from './command.ts';
import { answerCommand } from './commands/answer.ts';
import { codecServer } from './commands/codec-server.ts';
import { createAssistantCommand, listAssistantsCommand } from './commands/assistants.ts';
import { cancelCommand } from './commands/cancel.ts';
import { decisionsCommand } from './commands/decisions.ts';
import { drainCommand, promoteCommand, rampCommand, showDeployment } from './commands/deployment.ts';
import { dev } from './commands/dev.ts';
import { doctor } from './commands/doctor.ts';
import { list } from './commands/list.ts';
import { migrateCommand } from './commands/migrate.ts';
import { replay } from './commands/replay.ts';
import { serve } from './commands/serve.ts';
import { show } from './commands/show.ts';
import { startCommand } from './commands/start.ts';
import { toolsCommand } from './commands/tools.ts';
import { usageCommand } from './commands/usage.ts';
import { watch } from './commands/watch.ts';
import {
  addWebhookCommand,
  deliveriesCommand,
  listWebhooksCommand,
  redeliverCommand,
  removeWebhookCommand,
  rotateWebhookCommand,
  testWebhookCommand,
} from './commands/webhooks.ts';
import { worker } from './commands/worker.ts';
import { errorText, terminalLines } from './output/format.ts';
import { visibleJson } from '../protocol/rules/visible.ts';
import { CliError, EXIT, toCliFailure, type ExitCode } from '../app/exit.ts';
import { version } from '../app/version.ts';

/** In the order of `--help`. */
export const COMMANDS: readonly RegisteredCommand[] = [
  dev,
  worker,
  serve,
  codecServer,
  toolsCommand,
  createAssistantCommand,
  listAssistantsCommand,
  usageCommand,
  startCommand,
  list,
  show,
  answerCommand,
  decisionsCommand,
  cancelCommand,
  watch,
  listWebhooksCommand,
  addWebhookCommand,
  removeWebhookCommand,
  rotateWebhookCommand,
  testWebhookCommand,
  deliveriesCommand,
  redeliverCommand,
  showDeployment,
  promoteCommand,
  rampCommand,
  drainCommand,
  replay,
  migrateCommand,
  doctor,
];

export const runCli = async (argv: readonly string[], io: CliIo): Promise<ExitCode> => {
  const json = argv.includes('--json');
  const frame = new Frame(io, json);
  const program = buildProgram(io, frame);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return frame.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      // A group of commands without its second word shows its help.
      const message = usageSentence(
        error.code === 'commander.help' ? 'a subcommand is missing' : error.message,
      );
      if (json) frame.print({ error: { code: 'usage', message, failure: null, details: null, exitCode: 2 } });
      return EXIT.usage;
    }
    const failure = toCliFailure(error, io.signal.aborted);
    io.stderr(`${errorText(failure.text, io.stderrIsTty ? io.columns() : null)}\n`);
    if (json) frame.print(failure.document);
    return failure.exitCode;
  }
};

/** `error: unknown command 'strat'\n(Did you mean start?)` → one sentence in our style, with the fix. */
const usageSentence = (text: string): string => {
  const [what = '', guess] = text
    .trim()
    .replace(/^error: /, '')
    .split('\n');
  const meant = guess === undefined ? '' : ` ${guess.replace(/^\((.*)\)$/, '$1')}`;
  return `${what.replace(/\.$/, '')}.${meant} Add --help to see what there is.`;
};

/** Exported for the documentation test, which parses every `runs …` line in the documents. */
export const buildProgram = (io: CliIo, frame: Frame = new Frame(io, false)): Command => {
  const output = {
    writeOut: (text: string) => io.stdout(text),
    writeErr: (text: string) => io.stderr(text),
    outputError: (text: string) =>
      io.stderr(`${errorText(`runs: ${usageSentence(text)}`, io.stderrIsTty ? io.columns() : null)}\n`),
  };
  const program = new Command('runs')
    .description('Runs that outlive crashes, deploys and days of waiting for a person.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureOutput(output)
    .exitOverride()
    .addHelpText('after', '\nExit codes and environment variables: docs/reference/cli.md');
  for (const command of COMMANDS) {
    const [first = '', second] = command.name.split(' ');
    const sub = (second === undefined ? program : groupOf(program, first, output))
      .command(second ?? first, { isDefault: command.isDefault })
      .description(command.summary)
      .configureOutput(output)
      .helpOption('-h, --help', 'show help')
      .exitOverride();
    command.configure(sub);
    sub.option('--json', JSON_OPTION);
    sub.action(async () => {
      const ended = command.run(frame.context, sub);
      frame.finish(await (command.stays ? ended : unlessInterrupted(ended, io.signal)));
    });
  }
  return program;
};

const JSON_OPTION = 'one JSON document on stdout, everything else on stderr';

/** Creates the command that groups subcommands, together with the first of them. */
const groupOf = (program: Command, name: string, output: OutputConfiguration): Command =>
  program.commands.find((command) => command.name() === name) ??
  program
    .command(name)
    .description(
      COMMANDS.filter((command) => command.name.startsWith(`${name} `))
        .map(({ summary }) => summary)
        .join('; '),
    )
    .configureOutput(output)
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .option('--json', JSON_OPTION)
    .showSuggestionAfterError()
    .exitOverride();

const unlessInterrupted = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const give = (): void => reject(new CliError(EXIT.interrupted, 'interrupted', 'interrupted'));
    if (signal.aborted) give();
    signal.addEventListener('abort', give, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
  });

/** Prints at most one document, and keeps how the command ended. */
export class Frame {
  readonly context: CommandContext;
  exitCode: ExitCode = EXIT.ok;
  readonly #io: CliIo;
  #printed = false;

  constructor(io: CliIo, json: boolean) {
    this.#io = io;
    this.#printed = io.announced === true;
    this.context = {
      io,
      json,
      say: (line) => io.stderr(`${line}\n`),
      announce: (document) => {
        io.onReady?.();
        if (json) this.print(document);
      },
    };
  }

  finish(outcome: Outcome | undefined): void {
    if (outcome === undefined) return;
    this.exitCode = outcome.exitCode ?? EXIT.ok;
    if (this.context.json) this.print(outcome.json);
    else if (outcome.lines.length > 0) this.#io.stdout(`${this.#fitted(outcome.lines).join('\n')}\n`);
  }

  #fitted(lines: string[]): string[] {
    return this.#io.stdoutIsTty === true ? terminalLines(lines, this.#io.columns()) : lines;
  }

  print(document: unknown): void {
    if (this.#printed) return;
    this.#printed = true;
    this.#io.stdout(`${visibleJson(JSON.stringify(document, null, 2))}\n`);
  }
}
