/**
 * What happens in a schedule apart from faults: the model's turns, the tools, and everything that people, callers and
 * strangers do, with when they do it.
 *
 * Rule: plain data, drawn before the schedule begins (see workload.ts), so that a failing schedule can print it.
 * Only `test/simulation` imports it.
 */
import type { BusyPolicy } from '../../protocol/ports/backend.ts';
import type { CallPlan } from '../../protocol/tool-calls.ts';

export interface ToolScript {
  ms: number;
  /** Attempts that fail before one that does not. */
  failures: number;
  end: 'ok' | 'throw' | 'final' | 'hang';
}

/** What somebody says about a call. */
export type Say =
  | 'good'
  | 'other'
  | 'deny'
  | 'edit'
  | 'wrong_kind'
  | 'malformed'
  | 'other_run'
  | 'unknown_call'
  | 'huge';

export interface PersonAct {
  /** Counted from the run's start, or from the round's opening at the server. */
  from: 'start' | 'open';
  afterMs: number;
  via: 'signal' | 'update';
  say: Say;
  /** Updates: the reply is lost, and the same update is sent again after this. */
  againMs: number | null;
}

export interface CallScript {
  callId: string;
  name: string;
  plan: CallPlan;
  tool: ToolScript | null;
  acts: PersonAct[];
}

export interface SubmitAct {
  afterMs: number;
  say: 'good' | 'missing' | 'extra' | 'differ' | 'duplicate' | 'wrong_run' | 'malformed' | 'previous';
  againMs: number | null;
}

export type Turn =
  | { kind: 'calls'; thinkMs: number; calls: CallScript[]; submits: SubmitAct[]; stranger: number | null }
  | { kind: 'end'; thinkMs: number; status: 'completed' | 'failed' | 'incomplete' }
  | { kind: 'hang' };

export interface Scenario {
  seed: number;
  /** The moment that it is after, if it is after one. */
  aim: 'verdict' | null;
  backend: 'assistants' | 'chat';
  runId: string;
  /** assistants: the thread exists already. */
  threadGiven: boolean;
  turns: Turn[];
  /** From the run's creation to its expiry; null = none (assistants only). */
  lifeMs: number | null;
  /** The server does not keep its own expiry. */
  lax: boolean;
  hooks: { onWaiting: boolean; onEnd: boolean };
  hookFailures: number;
  /** A run of a stranger holds the thread for this long. */
  busyMs: number | null;
  busy: BusyPolicy;
  budget: { maxRounds: number; maxCalls: number } | null;
  continueAfter: number;
  cancels: number[];
  /** assistants: somebody else cancels the run at the server. */
  strangerCancels: number | null;
  /** chat: the row is gone before the workflow begins. */
  noRow: boolean;
  childFails: boolean;
  childMs: number;
  /** Milliseconds that the server takes to end a run that is cancelled, and the store to close one. */
  closeMs: number;
  hookMs: number;
  /** Milliseconds the API's caller waits after its update before it writes the row itself; null = it died. */
  apiWritesMs: number | null;
  /** Signals that carry nothing useful. */
  junk: { afterMs: number; kind: 'null' | 'text' | 'number' | 'array' | 'proto' }[];
}
