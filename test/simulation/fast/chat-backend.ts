/**
 * The `chat` backend's contract at the fast level: claim, one turn of the model, settle under the lease.
 *
 * Rule: it keeps the promises of `backends/chat`: from the expiry on, by the worker's clock, it sends and settles
 * nothing. The real backend does not run in the simulation. Only `test/simulation` imports it.
 */
import type { CloseHow, Settled } from '../../../protocol/ports/backend.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { isTerminal } from '../../../protocol/wire/objects.ts';
import type { ToolOutput } from '../../../protocol/wire/objects.ts';
import type { Scenario } from '../scenario.ts';
import { applicationFailure } from '../temporal/types.ts';
import type { Attempt } from './attempt.ts';
import { LeaseLost, OutputConflict } from './native-store.ts';
import type { NativeStore, Row } from './native-store.ts';

const HANG_MS = 600_000;

const toSettled = (row: Row): Settled => {
  const run = { backendRunId: row.runId, threadId: row.threadId };
  return isTerminal(row.status)
    ? {
        status: row.status,
        run,
        ...(row.status === 'failed' ? { lastError: { code: 'server_error', message: 'as scripted' } } : {}),
      }
    : {
        status: 'requires_action',
        run,
        calls: row.calls.map(({ callId, name, plan }) => ({ callId, name, arguments: '{}', plan })),
        expiresAt: row.expiresAt,
        createdAt: row.createdAt,
      };
};

class Expired extends Error {}

const boundFence = (a: Attempt, expiresAt: number): void => {
  a.fence();
  if (a.now() >= expiresAt) throw new Expired('expired');
};
/** As the real context, bound by the expiry: time passes until then, and nothing is done after it. */
const boundSleep = async (a: Attempt, ms: number, expiresAt: number): Promise<void> => {
  await a.sleep(Math.max(0, Math.min(ms, expiresAt - a.now())));
  boundFence(a, expiresAt);
};

const noRow = (): Error => applicationFailure(FAILURES.backendNoSuchRow, 'no row');
const sql = async <T>(a: Attempt, work: () => T): Promise<T> => {
  try {
    return await a.request('store', work);
  } catch (error) {
    if (error instanceof LeaseLost)
      throw applicationFailure(FAILURES.backendUnavailable, error.message, { retryable: true });
    if (error instanceof OutputConflict) throw applicationFailure(FAILURES.backendConflict, error.message);
    throw error;
  }
};

export const createFastChat = (store: NativeStore, scenario: Scenario) => {
  /** `take`: the taking-over that is still under way when the model is asked; false = somebody else was faster. */
  const takeTurn = async (
    a: Attempt,
    { epoch, row, take }: { epoch: number; row: Row; take: () => boolean },
  ): Promise<boolean> => {
    const { expiresAt } = row;
    try {
      return await turnBefore(expiresAt, a, { epoch, row, take });
    } catch (error) {
      if (a.now() < expiresAt) throw error;
      a.fence();
      await sql(a, () => store.close({ kind: 'expire', expiresAt }));
      return true;
    }
  };
  const turnBefore = async (
    expiresAt: number,
    a: Attempt,
    { epoch, row, take }: { epoch: number; row: Row; take: () => boolean },
  ): Promise<boolean> => {
    const turn = scenario.turns[row.round];
    if (turn === undefined || turn.kind === 'hang') {
      if (!(await sql(a, take))) return false;
      await boundSleep(a, HANG_MS, expiresAt);
      throw applicationFailure(FAILURES.backendUnavailable, 'the model says nothing', { retryable: true });
    }
    boundFence(a, expiresAt);
    const asked = a.request('model', () => undefined);
    const over = boundSleep(a, Infinity, expiresAt);
    // Whichever comes second comes to nobody.
    for (const either of [asked, over]) either.catch(() => undefined);
    await Promise.race([asked, over]);
    if (!(await sql(a, take))) return false;
    await boundSleep(a, turn.thinkMs, expiresAt);
    await sql(a, () => {
      if (turn.kind === 'end' && turn.status === 'failed')
        return store.close({ kind: 'fail', error: { code: 'server_error', message: 'as scripted' } });
      if (turn.kind === 'end') return store.settleEnd(epoch, turn.status);
      const promised = turn.calls.map(({ plan }) => ('wait' in plan ? (plan.wait.answerWithinMs ?? 0) : 0));
      return store.settleCalls(epoch, turn.calls, a.now() + Math.max(0, ...promised));
    });
    return true;
  };

  /** The usual way. False: not the usual case, or somebody was faster. */
  const atOnce = async (a: Attempt): Promise<boolean> => {
    const look = await sql(a, () => store.look());
    const { row } = store;
    if (look === null || row === null) return false;
    return takeTurn(a, { epoch: look.epoch, row, take: () => store.takeIf(look.version) });
  };

  const resume = async (a: Attempt): Promise<Settled> => {
    a.fence();
    const done = await atOnce(a);
    if (!done) a.fence();
    const claim = done ? null : await sql(a, () => store.claim());
    const { row } = store;
    if (row === null) throw noRow();
    if (claim?.next === 'turn') await takeTurn(a, { epoch: claim.epoch, row, take: () => true });
    if (row.status === 'cancelling') await sql(a, () => store.close({ kind: 'cancel' }));
    return toSettled(row);
  };

  return {
    create: resume,
    follow: resume,
    submit: async (a: Attempt, outputs: readonly ToolOutput[]): Promise<Settled> => {
      a.fence();
      const { taken } = await sql(a, () => store.accept(outputs, 'us'));
      const settled = await resume(a);
      return settled.status === 'requires_action' ? settled : { ...settled, outputsTaken: taken };
    },
    recordAnswers: async (a: Attempt, outputs: readonly ToolOutput[]): Promise<void> => {
      a.fence();
      await sql(a, () => store.accept(outputs, 'record'));
    },
    /** The model of the store keeps none: what the audit asks about is in the state. */
    recordDecisions: async (a: Attempt): Promise<void> => {
      a.fence();
      await sql(a, () => undefined);
    },
    close: async (a: Attempt, how: CloseHow): Promise<Settled> => {
      await a.sleep(scenario.closeMs);
      a.fence();
      const row = await sql(a, () => store.close(how));
      if (row !== null) return toSettled(row);
      const status = ({ cancel: 'cancelled', expire: 'expired', fail: 'failed' } as const)[how.kind];
      return { status, run: null, ...(how.kind === 'fail' ? { lastError: how.error } : {}) };
    },
  };
};
