/**
 * A person's terminal: a shell in a real pseudo-terminal of 80 columns, in which a test types lines and keys.
 *
 * Rule: a test waits for text on the screen, never for time. Python's `pty` opens the terminal, since a module for Node
 * would need a compiler. Every terminal adds to the transcript of the walk.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { screenText } from './screen.ts';

const PTY = fileURLToPath(new URL('open_terminal.py', import.meta.url));
/** The shell's prompt, which begins with the exit code of the command before it. */
const PROMPT = '[$?] $ ';
const AT_PROMPT = /\[(\d+)\] \$ $/;

export interface Typed {
  code: number;
  /** As it stands on the screen, without the command line and the prompt. */
  text: string;
  /** As it was sent. */
  raw: string;
}

export class Terminal {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #looks = new Set<() => void>();
  readonly #ended: Promise<unknown>;
  #sent = '';
  /** What was sent before this was looked at already. */
  #from = 0;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#sent += text;
      for (const look of this.#looks) look();
    });
    this.#ended = once(child, 'exit');
  }

  static async open(name: string, dir: string, env: NodeJS.ProcessEnv): Promise<Terminal> {
    const child = spawn('python3', [PTY, '/bin/sh', '-i'], {
      cwd: dir,
      env: { ...env, TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const terminal = new Terminal(name, child);
    // Not by the environment: a shell of root has a prompt of its own.
    await terminal.type(`PS1='${PROMPT}'`);
    terminal.#sent = '';
    terminal.press('\r');
    await terminal.done();
    return terminal;
  }

  /** What was sent since the last line was typed. */
  get sent(): string {
    return this.#sent.slice(this.#from);
  }

  /** Resolves when this stands behind what was looked at already. */
  async shows(what: RegExp, within = 30_000): Promise<RegExpExecArray> {
    let over: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const fail = (why: string): void =>
          reject(new Error(`${this.name}: ${why} without ${what}. It shows:\n${screenText(this.sent)}`));
        const look = (): void => {
          const found = what.exec(this.sent);
          if (found !== null) resolve(found);
        };
        this.#looks.clear();
        this.#looks.add(look);
        over = setTimeout(() => fail(`${within} ms passed`), within);
        void this.#ended.then(() => fail('it ended'));
        look();
      });
    } finally {
      clearTimeout(over);
      this.#looks.clear();
    }
  }

  /** Types keys, and nothing is expected of what stood there before. */
  press(keys: string): void {
    this.#from = this.#sent.length;
    this.#child.stdin?.write(keys);
  }

  /** Types a line and leaves its command running. */
  begin(line: string): void {
    this.press(`${line}\r`);
  }

  /** Resolves when the shell waits for the next line. */
  async done(within?: number): Promise<Typed> {
    const [prompt, code = ''] = await this.shows(AT_PROMPT, within);
    const raw = this.sent.slice(0, -prompt.length);
    return { code: Number(code), text: screenText(raw).replace(/^.*\n?/, ''), raw };
  }

  /** Types a line and waits for the end of its command. */
  async type(line: string, within?: number): Promise<Typed> {
    this.begin(line);
    return this.done(within);
  }

  /** Ctrl-C, until the shell is back; what still runs in the terminal is ended with it. */
  async close(transcript: { ansi: string; plain: string }): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
    const head = `\n===== terminal ${this.name} =====\n`;
    await appendFile(transcript.ansi, `${head}${this.#sent}`);
    await appendFile(transcript.plain, `${head}${screenText(this.#sent)}\n`);
  }
}
