/**
 * What happened in a schedule, as the world saw it: the auditor's evidence, kept apart from what the machine believes.
 *
 * Rule: facts only, each written where it happens, by the one it happens to: the server's requests, the tools' effects,
 * the acknowledgements that clients got. Only `test/simulation` imports it.
 */
import type { RunResult } from '../../protocol/temporal/messages.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import type { MachineState } from '../../workflows/run/state.ts';

export interface Violation {
  invariant: string;
  message: string;
}

export interface Acknowledged {
  callId: string;
  /** Output text, or the decision. */
  kind: 'output' | 'approve' | 'deny';
  text: string;
  at: number;
}

export interface ToolRecord {
  key: string;
  callId: string;
  arguments: string;
  atMostOnce: boolean;
  starts: number;
  effects: number;
  returned: string[];
}

export interface SubmitCommand {
  round: number;
  outputs: ToolOutput[];
  at: number;
  /** Natively: the row's expiry at that moment. */
  expiresAt: number | null;
}

export interface Ledger {
  now(): number;
  readonly startedAt: number;
  violations: Violation[];
  violate(invariant: string, message: string): void;
  acknowledged: Acknowledged[];
  tools: Map<string, ToolRecord>;
  submits: SubmitCommand[];
  /** Commands by activity type. */
  scheduled: Map<string, number>;
  requests: Map<string, number>;
  /** Signals that are recorded and can't be of use, whatever the state. */
  uselessSignals: number;
  signals: number;
  /** Late answers that were handed to a follow-up. */
  handedOver: Set<string>;
  result: { result: RunResult; cancelled: boolean; at: number } | null;
  /** The machine's last state. */
  last: MachineState | null;
  /** Bounded retries, heartbeat time-outs, evictions, …: name → how often. */
  felt: Map<string, number>;
  /** Recorded commands by kind. */
  commands: Map<string, number>;
  /** Creates that reached the server from attempts that were replaced while Temporal could not be heard: no fence sees that. */
  unfencedCreates: number;
  /** When the workflow last got or did something. */
  progressAt: number;
  /** Closing the run was tried for an hour in vain, or refused for good. */
  closeFailed: boolean;
  /** Attempts of a close after its first. */
  repeatedCloses: number;
  /** Recorded messages: signals, updates, cancels. */
  messages: number;
  /** Recorded commands that stop something. */
  stops: number;
  trace: string[] | null;
  note(text: string): void;
}

export const createLedger = (now: () => number, tracing: boolean): Ledger => {
  const started = now();
  const ledger: Ledger = {
    now,
    startedAt: started,
    violations: [],
    violate(invariant, message) {
      ledger.violations.push({ invariant, message });
      ledger.note(`VIOLATION ${invariant}: ${message}`);
    },
    acknowledged: [],
    tools: new Map(),
    submits: [],
    scheduled: new Map(),
    requests: new Map(),
    uselessSignals: 0,
    signals: 0,
    handedOver: new Set(),
    result: null,
    last: null,
    felt: new Map(),
    commands: new Map(),
    unfencedCreates: 0,
    progressAt: started,
    closeFailed: false,
    repeatedCloses: 0,
    messages: 0,
    stops: 0,
    trace: tracing ? [] : null,
    note(text) {
      ledger.trace?.push(`${String(now() - started).padStart(9)} ms  ${text}`);
    },
  };
  return ledger;
};

export const bump = (counts: Map<string, number>, key: string, by = 1): void => {
  counts.set(key, (counts.get(key) ?? 0) + by);
};
