/**
 * Questions at a terminal: written to stderr, answered on stdin.
 *
 * Rule: stdin is released between two questions, so the process may end. Imported by `main.ts` only.
 */
import { createInterface } from 'node:readline';

export const askOnTerminal =
  (signal: AbortSignal) =>
  (question: string): Promise<string | null> =>
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
    });
