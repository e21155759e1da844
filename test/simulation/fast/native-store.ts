/**
 * The native store's contract as a model: one row, leases, rounds, compare-and-set, monotone ends.
 *
 * Rule: what `protocol/ports/run-store.ts` promises of claim, settleTurn, acceptOutputs, markCancelling and closeRun, without SQL.
 * Everything that changed is kept for the auditor. Only `test/simulation` imports it.
 */
import type { CloseHow } from '../../../protocol/ports/backend.ts';
import { isTerminal } from '../../../protocol/wire/objects.ts';
import type { RunStatus, TerminalStatus, ToolOutput } from '../../../protocol/wire/objects.ts';
import type { CallScript, Scenario } from '../scenario.ts';
import type { SimClock } from '../temporal/types.ts';

export class LeaseLost extends Error {}
export class OutputConflict extends Error {}

export interface Row {
  runId: string;
  threadId: string;
  status: RunStatus;
  createdAt: number;
  expiresAt: number;
  epoch: number;
  /** Rounds begun. */
  round: number;
  calls: readonly CallScript[];
  roundDone: boolean;
  /** Outputs of all rounds, by call id. */
  outputs: Map<string, string>;
  /** Rounds whose every output is there. */
  accepted: { round: number; outputs: ToolOutput[]; by: string; at: number }[];
  endedAt: number | null;
  turnsSettled: number;
}

export type Next = 'turn' | 'wait' | 'ended' | 'cancel';

export interface NativeStore {
  readonly row: Row | null;
  claim(): { next: Next; epoch: number } | null;
  /** The usual way: read, and taken over later by what was read. null: there is no turn to take. */
  look(): { version: string; epoch: number } | null;
  /** False when the run has changed since. */
  takeIf(version: string): boolean;
  settleCalls(epoch: number, calls: readonly CallScript[], expiresAt: number): void;
  settleEnd(epoch: number, status: TerminalStatus): void;
  accept(outputs: readonly ToolOutput[], by: string): { taken: boolean };
  markCancelling(): void;
  close(how: CloseHow): Row | null;
  /** What a reader of the API sees of the open round: unanswered external calls. */
  required(): string[];
}

export const createNativeStore = (
  scenario: Scenario,
  clock: SimClock,
  on: { opened(round: number, calls: readonly CallScript[]): void; ended(): void; accepted(): void },
): NativeStore => {
  const row: Row | null = scenario.noRow
    ? null
    : {
        runId: scenario.runId,
        threadId: 'thread_native',
        status: 'queued',
        createdAt: clock.now(),
        expiresAt: clock.now() + (scenario.lifeMs ?? 600_000),
        epoch: 0,
        round: 0,
        calls: [],
        outputs: new Map(),
        roundDone: true,
        accepted: [],
        endedAt: null,
        turnsSettled: 0,
      };
  const leased = (epoch: number): Row => {
    if (row === null || row.epoch !== epoch || isTerminal(row.status)) throw new LeaseLost('lease lost');
    return row;
  };
  const end = (status: TerminalStatus): void => {
    if (row === null) return;
    row.status = status;
    row.endedAt = clock.now();
    on.ended();
  };

  const required = (): string[] =>
    row === null || row.roundDone || isTerminal(row.status) || row.status === 'cancelling'
      ? []
      : row.calls
          .filter((call) => call.plan.kind === 'external' && !row.outputs.has(call.callId))
          .map((call) => call.callId);

  const nextOf = ({ status, roundDone }: Row): Next =>
    isTerminal(status) ? 'ended' : status === 'cancelling' ? 'cancel' : roundDone ? 'turn' : 'wait';
  /** Changes whenever the row does. */
  const versionOf = ({ status, epoch, round, roundDone, outputs, expiresAt }: Row): string =>
    JSON.stringify([status, epoch, round, roundDone, outputs.size, expiresAt]);

  return {
    row,
    required,
    claim() {
      if (row === null) return null;
      row.epoch += 1;
      const next = nextOf(row);
      if (next === 'turn') row.status = 'in_progress';
      return { next, epoch: row.epoch };
    },
    look() {
      return row === null || nextOf(row) !== 'turn'
        ? null
        : { version: versionOf(row), epoch: row.epoch + 1 };
    },
    takeIf(version) {
      if (row === null || versionOf(row) !== version) return false;
      row.epoch += 1;
      row.status = 'in_progress';
      return true;
    },
    settleCalls(epoch, calls, expiresAt) {
      const held = leased(epoch);
      held.round += 1;
      held.turnsSettled += 1;
      held.calls = calls;
      held.roundDone = false;
      held.expiresAt = Math.max(held.expiresAt, expiresAt);
      if (held.status !== 'cancelling' && calls.some((call) => call.plan.kind === 'external'))
        held.status = 'requires_action';
      on.opened(held.round, calls);
    },
    settleEnd(epoch, status) {
      leased(epoch).turnsSettled += 1;
      end(status);
    },
    accept(outputs, by) {
      if (row === null) throw new LeaseLost('no row');
      const differing = outputs.filter(
        (output) =>
          row.outputs.has(output.tool_call_id) && row.outputs.get(output.tool_call_id) !== output.output,
      );
      if (differing.length > 0)
        throw new OutputConflict(differing.map((output) => output.tool_call_id).join());
      if (isTerminal(row.status))
        return { taken: outputs.every((output) => row.outputs.get(output.tool_call_id) === output.output) };
      if (outputs.every((output) => row.outputs.has(output.tool_call_id))) return { taken: true };
      const unknown = outputs.filter(({ tool_call_id: id }) => !row.calls.some((call) => call.callId === id));
      if (unknown.length > 0) throw new OutputConflict(unknown.map((output) => output.tool_call_id).join());
      for (const output of outputs) row.outputs.set(output.tool_call_id, output.output);
      if (!row.roundDone && row.calls.every((call) => row.outputs.has(call.callId))) {
        row.roundDone = true;
        row.accepted.push({
          round: row.round,
          by,
          at: clock.now(),
          outputs: row.calls.map((call) => ({
            tool_call_id: call.callId,
            output: row.outputs.get(call.callId) ?? '',
          })),
        });
      }
      if (row.status === 'requires_action' && required().length === 0) row.status = 'queued';
      on.accepted();
      return { taken: true };
    },
    markCancelling() {
      if (row !== null && !isTerminal(row.status)) row.status = 'cancelling';
    },
    close(how) {
      if (row === null) return null;
      if (isTerminal(row.status)) return row;
      if (how.kind === 'expire' && row.expiresAt > (how.expiresAt ?? Infinity)) return row;
      row.epoch += 1;
      end(({ cancel: 'cancelled', expire: 'expired', fail: 'failed' } as const)[how.kind]);
      return row;
    },
  };
};
