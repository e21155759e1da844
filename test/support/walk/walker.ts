/**
 * A newcomer's machine for the walk: a copy of this checkout without built or installed files, an environment without
 * the project's variables, and the transcript of all terminals.
 *
 * Rule: downloads come from the user's caches, as on a second day; nothing else is shared.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pythonClient } from '../python.ts';
import { ROOT } from '../sources.ts';
import { commandWords } from './documents.ts';
import { Terminal, type Typed } from './terminal.ts';

const LEFT_OUT: ReadonlySet<string> = new Set(['node_modules', '.git', '.cache', '.runs', 'dist']);

export class Walker {
  readonly dir: string;
  readonly transcript: { ansi: string; plain: string };
  readonly #env: NodeJS.ProcessEnv;
  readonly #terminals: Terminal[] = [];
  /** Words of the commands that were typed. */
  readonly typed = new Set<string>();

  private constructor(dir: string, env: NodeJS.ProcessEnv, transcript: { ansi: string; plain: string }) {
    this.dir = dir;
    this.#env = env;
    this.transcript = transcript;
  }

  static async arrive(): Promise<Walker> {
    const dir = join(await mkdtemp(join(tmpdir(), 'durable-runs-walk-')), 'durable-runs');
    await cp(ROOT, dir, { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
    const kept = join(ROOT, '.cache', 'walk');
    await mkdir(kept, { recursive: true });
    const transcript = { ansi: join(kept, 'transcript.ansi'), plain: join(kept, 'transcript.txt') };
    for (const file of Object.values(transcript)) await writeFile(file, '');
    const { PATH, HOME, XDG_CACHE_HOME } = process.env;
    const { env } = await pythonClient();
    const cache = XDG_CACHE_HOME === undefined ? {} : { XDG_CACHE_HOME };
    return new Walker(dir, { PATH, HOME, ...cache, LANG: 'C.UTF-8', NO_COLOR: '1', ...env }, transcript);
  }

  async terminal(name: string, more: NodeJS.ProcessEnv = {}): Promise<Terminal> {
    const terminal = await Terminal.open(name, this.dir, { ...this.#env, ...more });
    this.#terminals.push(terminal);
    return terminal;
  }

  /** Notes what is typed, for the list of commands that the documents name. */
  note(line: string): string {
    for (const part of line.split(/ && | & |\$\(/)) {
      const words = commandWords(part);
      if (words !== null) this.typed.add(words);
    }
    return line;
  }

  begin(terminal: Terminal, line: string): void {
    terminal.begin(this.note(line));
  }

  async type(terminal: Terminal, line: string, within?: number): Promise<Typed> {
    return terminal.type(this.note(line), within);
  }

  async leave(): Promise<void> {
    for (const terminal of this.#terminals) await terminal.close(this.transcript);
    await rm(join(this.dir, '..'), { recursive: true, force: true });
  }
}
