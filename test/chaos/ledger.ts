/**
 * What killed processes did, in a file: effects of tools, fault points that struck. Memory dies with a process, a line
 * that was appended does not.
 *
 * Rule: one line is one `write` of less than a page in append mode, so lines of several processes never mix.
 * Worker processes of drills write it, auditors read it.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Sandbox } from '../../testing/index.ts';
import type { FaultAction } from './faults.ts';

export type LedgerEntry = { at: number; pid: number } & (
  | {
      kind: 'tool';
      /** `began`: the tool was called; `effect`: the world changed; `again`: the world had changed before under this key. */
      phase: 'began' | 'effect' | 'again';
      tool: string;
      key: string;
      attempt: number;
    }
  | { kind: 'struck'; point: string; occurrence: number; action: FaultAction }
  /** A worker saw a second run with one token, and said so. */
  | { kind: 'duplicate'; backendRunId: string }
);

export type NewEntry = LedgerEntry extends infer Entry
  ? Entry extends LedgerEntry
    ? Omit<Entry, 'at' | 'pid'>
    : never
  : never;

export interface Ledger {
  append(entry: NewEntry): void;
  read(): LedgerEntry[];
}

export const openLedger = (file: string): Ledger => ({
  append: (entry) =>
    appendFileSync(file, `${JSON.stringify({ at: Date.now(), pid: process.pid, ...entry })}\n`),
  read: () =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as LedgerEntry)
      : [],
});

/** Resolves when a process has struck itself down, or after `ms`. */
export const untilStruck = async (ledger: Ledger, ms: number): Promise<void> => {
  for (const deadline = Date.now() + ms; Date.now() < deadline; await pause(20))
    if (ledger.read().some(({ kind }) => kind === 'struck')) return;
};

/** Resolves when this worker (one with fault points, which names itself) has asked a server or begun a tool, or after `ms`. */
export const untilDeed = async (
  sandbox: Sandbox,
  ledger: Ledger,
  { label, pid }: { label: string; pid: number },
  ms: number,
): Promise<boolean> => {
  for (const deadline = Date.now() + ms; Date.now() < deadline; await pause(50))
    if (
      sandbox.requests.some(({ headers }) => headers['x-drill-worker'] === label) ||
      ledger.read().some((entry) => entry.kind === 'tool' && entry.pid === pid)
    )
      return true;
  return false;
};

/** What a frozen worker is called in a report: where it stood still, if it was at a point of its own. */
export const frozenAt = (ledger: Ledger): string => {
  const [asleep] = ledger.read().filter(({ kind }) => kind === 'struck');
  return asleep?.kind === 'struck' ? `freeze at ${asleep.point}` : 'freeze worker';
};
