/**
 * Questions and single keys at a terminal.
 *
 * Rule: stdin is released between two questions, so the process may end. Keys put the terminal into raw mode, and
 * whatever ends them puts it back: `close`, a question in between, the end of the process, an exception.
 * Imported by the entries `main.ts` and `demo/main.ts` only.
 */
import { createInterface } from 'node:readline';
import type { Keyboard } from './command.ts';

export const askOnTerminal =
  (signal: AbortSignal) =>
  (question: string, given = ''): Promise<string | null> =>
    new Promise((resolve) => {
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      lines.once('close', () => resolve(null));
      // In raw mode, Ctrl-C reaches the interface, not the process.
      lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
      const give = (): void => lines.close();
      signal.addEventListener('abort', give, { once: true });
      lines.question(question, (answer) => {
        resolve(answer);
        signal.removeEventListener('abort', give);
        lines.close();
      });
      if (given !== '') lines.write(given);
    });

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_Z = '\u001A';

/** Keys of stdin, which must be a terminal. Ctrl-C and Ctrl-D interrupt as they do in a shell; Ctrl-Z suspends. */
export const keysOfTerminal = (onKey: (key: string) => void): Keyboard => {
  const { stdin } = process;
  let on = false;
  const press = (data: Buffer): void => {
    const text = data.toString('utf8');
    if (text === CTRL_C || text === CTRL_D) process.kill(process.pid, 'SIGINT');
    else if (text === CTRL_Z) suspend();
    // A sequence is an arrow or a function key; several letters at once were pasted, and decide nothing.
    else if (/^[ -~]$/.test(text)) onKey(text);
  };
  const resume = (): void => {
    if (on) return;
    on = true;
    stdin.setRawMode(true);
    stdin.on('data', press);
    stdin.resume();
  };
  const pause = (): void => {
    if (!on) return;
    on = false;
    stdin.off('data', press);
    stdin.setRawMode(false);
    stdin.pause();
  };
  const suspend = (): void => {
    pause();
    process.once('SIGCONT', resume);
    // The whole foreground group, as the terminal itself would do: npm and its shell wait with us.
    process.kill(0, 'SIGTSTP');
  };
  // Also after an exception that ends the process.
  process.on('exit', pause);
  resume();
  return {
    pause,
    resume,
    close() {
      pause();
      process.off('SIGCONT', resume);
      process.off('exit', pause);
    },
  };
};
