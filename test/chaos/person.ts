/**
 * The people of a drill: they see what waits for them, answer by update or by signal, say it twice, and now and then
 * somebody else says something different.
 *
 * Rule: everything that was acknowledged is kept for the auditor; what was not acknowledged is sent again, as the client
 * promises that one may.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { RunsClient } from '../../client/index.ts';
import { RunsError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { AnswerPayload } from '../../protocol/temporal/messages.ts';
import type { Random } from '../support/random.ts';
import type { Ack } from './audit.ts';

const LOOK_EVERY_MS = 60;
const AGAIN_MS = 150;
/** A signal is not acknowledged: after this long without an effect it is taken as lost. */
const SIGNAL_PATIENCE_MS = 1_500;
const WORKER_TIMEOUT_MS = 3_000;

export interface OpenCall {
  runId: string;
  callId: string;
  name: 'ask' | 'approve';
}

/** What people need of a client; the runs server's own door is another one. */
export type Answering = {
  [Method in 'answer' | 'signalAnswer']: (...args: Parameters<RunsClient[Method]>) => Promise<unknown>;
};

export interface People {
  acks(runId: string): Ack[];
  /** Answers that were refused for good, with the reason; for reports. */
  readonly refused: string[];
  /** They go home. Resolves when the last of them has let go of the telephone. */
  stop(): Promise<void>;
}

interface Habits {
  delayMs: number;
  signals: boolean;
  repeats: boolean;
  contradicted: boolean;
  denies: boolean;
}

const habitsOf = (random: Random): Habits => ({
  delayMs: random.ms(1, 1_500),
  signals: random.chance(0.25),
  repeats: random.chance(0.3),
  contradicted: random.chance(0.3),
  denies: random.chance(0.15),
});

const payloadOf = ({ callId, name }: OpenCall, habits: Habits): AnswerPayload =>
  name === 'ask'
    ? { call_id: callId, output: `answer to ${callId}`, by: 'ada' }
    : { call_id: callId, decision: habits.denies ? 'deny' : 'approve', by: 'ada' };

const otherPayload = ({ callId, name }: OpenCall, habits: Habits): AnswerPayload =>
  name === 'ask'
    ? { call_id: callId, output: `answer of somebody else to ${callId}`, by: 'eve' }
    : { call_id: callId, decision: habits.denies ? 'approve' : 'deny', by: 'eve' };

const isRefused = (error: unknown): error is RunsError =>
  error instanceof RunsError && (error.code === 'refused' || error.code === 'run_not_found');

/** `open`: what waits for a person now, as they see it. */
export const startPeople = (client: Answering, random: Random, open: () => OpenCall[]): People => {
  const acks = new Map<string, Ack[]>();
  const refused: string[] = [];
  const seen = new Map<string, Promise<void>>();
  const home = new AbortController();
  const { signal } = home;
  // One listener for each person who waits.
  setMaxListeners(0, signal);
  const rest = (ms: number): Promise<void> => pause(ms, undefined, { signal }).catch(() => undefined);

  const stillOpen = ({ runId, callId }: OpenCall): boolean =>
    open().some((call) => call.runId === runId && call.callId === callId);

  /** Until somebody has decided: true = acknowledged. */
  const tell = async (call: OpenCall, payload: AnswerPayload): Promise<boolean> => {
    while (!signal.aborted) {
      try {
        await client.answer(call.runId, payload, { timeoutMs: WORKER_TIMEOUT_MS });
        const output = typeof payload.output === 'string' ? payload.output : null;
        const ack: Ack = { callId: call.callId, output, said: output ?? String(payload.decision) };
        acks.set(call.runId, [...(acks.get(call.runId) ?? []), ack]);
        return true;
      } catch (error) {
        if (!(error instanceof RunsError)) throw error;
        const early = error.failure === FAILURES.refusedUnknownCall && stillOpen(call);
        if (isRefused(error) && !early) {
          refused.push(`${call.runId} ${call.callId}: ${error.message}`);
          return false;
        }
      }
      await rest(AGAIN_MS);
    }
    return false;
  };

  const signalled = async (call: OpenCall, payload: AnswerPayload): Promise<void> => {
    try {
      await client.signalAnswer(call.runId, payload);
    } catch (error) {
      if (!(error instanceof RunsError)) throw error;
      return;
    }
    const until = Date.now() + SIGNAL_PATIENCE_MS;
    while (!signal.aborted && Date.now() < until && stillOpen(call)) await rest(LOOK_EVERY_MS);
  };

  const answer = async (call: OpenCall, habits: Habits): Promise<void> => {
    await rest(habits.delayMs);
    if (signal.aborted) return;
    const payload = payloadOf(call, habits);
    if (habits.signals) await signalled(call, payload);
    // After a signal the call is answered, perhaps: then this is a repeat, and acknowledged as one.
    const acknowledged = await tell(call, payload);
    if (habits.repeats && acknowledged) await tell(call, payload);
    if (habits.contradicted && acknowledged) await tell(call, otherPayload(call, habits));
  };

  const watch = async (): Promise<void> => {
    while (!signal.aborted) {
      for (const call of open()) {
        const id = `${call.runId} ${call.callId}`;
        if (!seen.has(id)) seen.set(id, answer(call, habitsOf(random.fork(String(seen.size)))));
      }
      await rest(LOOK_EVERY_MS);
    }
  };
  const watching = watch();

  return {
    acks: (runId) => acks.get(runId) ?? [],
    refused,
    async stop() {
      home.abort();
      await watching;
      await Promise.all(seen.values());
    },
  };
};
