/**
 * Arguments of a call, edited by a person: in $VISUAL or $EDITOR, else on a line of the terminal.
 *
 * Rule: what the model wrote reaches terminal and editor with every misleading character escaped, as JSON of the same
 * value. What a person enters is tried until it is taken or given up; nothing is sent meanwhile. Imported by `answer` and
 * the demo.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nonEmpty } from '../app/dev-state.ts';
import { CliError, EXIT } from '../app/exit.ts';
import { showArguments } from '../protocol/rules/show-arguments.ts';
import type { CliIo } from './command.ts';
import { parseArguments } from '../protocol/rules/tool-arguments.ts';
import { isArgumentsProblem } from './send-answer.ts';

type Ask = NonNullable<CliIo['ask']>;

export interface TextEditor {
  /** Gives the text as the person left it; null = given up. */
  edit(text: string): Promise<string | null>;
  /** Does it cover the screen, and with it what is wrong with the text? */
  covers: boolean;
}

/** What stands there when the editing begins. */
export const editableArguments = (json: string): string => {
  const { text, problem } = showArguments(json, Infinity);
  return problem === undefined ? text : '{}';
};

/** Line breaks of JSON stand between its tokens only. */
const onOneLine = (json: string): string => json.replaceAll(/\s*\n\s*/g, ' ');

const onLine = (ask: Ask): TextEditor => ({
  covers: false,
  async edit(text) {
    const edited = (
      await ask('Arguments (Enter sends them, an empty line cancels): ', onOneLine(text))
    )?.trim();
    return edited === undefined || edited === '' ? null : edited;
  },
});

const inEditor = (command: string): TextEditor => ({
  covers: true,
  async edit(text) {
    const dir = await mkdtemp(join(tmpdir(), 'runs-arguments-'));
    const file = join(dir, 'arguments.json');
    try {
      await writeFile(file, `${text}\n`, { mode: 0o600 });
      // By a shell, since the variable may hold options: `code --wait`.
      const editor = spawn('/bin/sh', ['-c', `${command} "$1"`, 'sh', file], { stdio: 'inherit' });
      const [code] = (await once(editor, 'exit')) as [number | null];
      if (code !== 0)
        throw new CliError(
          EXIT.usage,
          'editor_failed',
          `the editor ${JSON.stringify(command)} ended with ${code ?? 'a signal'}. Set EDITOR to another one, or to nothing to edit on a line.`,
        );
      const edited = (await readFile(file, 'utf8')).trim();
      return edited === '' ? null : edited;
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
});

/** npm sets EDITOR to vi for its scripts when the person has set none, so vi under npm is not the person's choice. */
const editorOf = (env: CliIo['env']): string | undefined => {
  const named = nonEmpty(env['VISUAL']) ?? nonEmpty(env['EDITOR']);
  return named === 'vi' && env['npm_lifecycle_event'] !== undefined ? undefined : named;
};

export const textEditor = (env: CliIo['env'], ask: Ask): TextEditor => {
  const command = editorOf(env);
  return command === undefined ? onLine(ask) : inEditor(command);
};

export interface Editing<Reply> {
  /** JSON to begin with. */
  text: string;
  editor: TextEditor;
  send: (text: string) => Promise<Reply>;
  ask: Ask;
  say: (line: string) => void;
}

/** Edits and sends until the arguments are taken; null = given up. Other errors than of the arguments are thrown. */
export const editUntilTaken = async <Reply>(editing: Editing<Reply>): Promise<Reply | null> => {
  const { text, editor, send, ask, say } = editing;
  for (let current = text; ;) {
    const edited = await editor.edit(current);
    if (edited === null) return null;
    const parsed = parseArguments(edited);
    if (parsed.ok) {
      try {
        return await send(edited);
      } catch (error) {
        if (!isArgumentsProblem(error)) throw error;
        say(error.message);
      }
    } else say(`The arguments were not sent: ${parsed.problem}.`);
    current = edited;
    if (editor.covers && (await ask('Enter opens the editor again, "n" cancels: '))?.trim() !== '')
      return null;
  }
};
