/**
 * Stores outputs of a round: from the API's caller, from people one by one, from a worker's tools.
 *
 * Rule: the first output of a call stands; the same one again changes nothing; a different one is refused. The last
 * external output moves the run to `queued` in the same transaction, so no reader sees an answered action again. API
 * and worker may write in either order.
 * Imported within `store/` only.
 */
import type { RoundState, Acceptance, TurnStore } from '../protocol/ports/turn-store.ts';
import { StoreError } from '../protocol/ports/store-error.ts';
import { isTerminal, type ToolOutput } from '../protocol/wire/objects.ts';
import { passOverApprovals } from './approval-rows.ts';
import type { Database } from './database.ts';
import { stepDecisions, insertDecisions } from './decisions.ts';
import { callDetails, endStep, isExternal, readOpen, type OpenRounds } from './steps.ts';
import type { RoundRow, StepRow } from './schema.ts';
import { changeExistingRun, type RunUpdate } from './update-run.ts';
import { awaitedNow, runView, wireCall } from './views.ts';

type Outputs = Readonly<Record<string, string>>;

/** What the given outputs add to a round. Pure. `unknown`: call ids that the round does not have. */
export const mergeOutputs = (
  round: Pick<RoundState, 'calls' | 'outputs'>,
  outputs: readonly ToolOutput[],
): { outputs: Record<string, string>; added: string[]; differing: string[]; unknown: string[] } => {
  const all: Record<string, string> = { ...round.outputs };
  const added: string[] = [];
  const differing: string[] = [];
  const unknown: string[] = [];
  const ids = new Set(round.calls.map(({ callId }) => callId));
  for (const { tool_call_id: id, output } of outputs) {
    if (!ids.has(id)) unknown.push(id);
    else if (!Object.hasOwn(all, id)) {
      all[id] = output;
      added.push(id);
    } else if (all[id] !== output) differing.push(id);
  }
  return { outputs: all, added, differing, unknown };
};

const externalCalls = (round: Pick<RoundState, 'calls'>): RoundState['calls'] =>
  round.calls.filter(isExternal);
const openOf = (calls: RoundState['calls'], outputs: Outputs): RoundState['calls'] =>
  calls.filter(({ callId }) => !Object.hasOwn(outputs, callId));

const saveRound = ({ sql, later }: RunUpdate, round: RoundRow): void =>
  later(
    sql.query(
      'update rounds set outputs = $3::json, done = $4, accepted_after = $5, accepted_by = $6 where run_id = $1 and round = $2',
      [
        round.run_id,
        round.round,
        JSON.stringify(round.outputs),
        round.done,
        round.accepted_after,
        round.accepted_by,
      ],
      'save-round',
    ),
  );

/** Shows new outputs in the step of the round, and completes it when all calls have one. */
const fillStep = (unit: RunUpdate, round: RoundRow, step: StepRow, now: number): void => {
  const awaiting = awaitedNow(unit.row);
  const details = callDetails(round.calls, round.outputs, { decisions: stepDecisions(step), awaiting });
  if (round.done) unit.later(endStep(unit, step, { status: 'completed', completed_at: now, details }));
  else
    unit.later(
      unit.sql.query('update steps set details = $2::json where id = $1', [step.id, JSON.stringify(details)]),
    );
};

type AcceptOptions = Parameters<TurnStore['acceptOutputs']>[2];

/** Stores the request's key, so that a repeat is recognised. */
const storeIdempotencyKey = ({ sql, row, later }: RunUpdate, { idempotency, now }: AcceptOptions): void => {
  if (idempotency == null) return;
  later(
    sql.query(
      `insert into idempotency_keys (tenant, key, request, run_id, created_at) values ($1, $2, $3, $4, $5)
     on conflict (tenant, key) do nothing`,
      [row.tenant, idempotency.key, idempotency.request, row.id, now],
    ),
  );
};

/** Throws when an output is of another round, or differs from the one that was accepted. */
const rejectConflicts = (
  { row }: RunUpdate,
  { differing, unknown }: Pick<ReturnType<typeof mergeOutputs>, 'differing' | 'unknown'>,
): void => {
  const wrong = [...differing, ...unknown];
  if (wrong.length > 0)
    throw new StoreError(
      'output_conflict',
      `Outputs for ${JSON.stringify(wrong)} differ from those that run ${row.id} accepted before, or belong to another round.`,
      { details: wrong },
    );
};

const accept = (
  unit: RunUpdate,
  open: OpenRounds,
  outputs: readonly ToolOutput[],
  options: AcceptOptions,
): Acceptance => {
  const { row } = unit;
  const first = outputs[0];
  const { round } = open;
  const repeated: Acceptance = {
    run: runView(row),
    eventsAfter: row.event_seq,
    result: 'repeated',
    taken: true,
  };
  if (round === null) {
    if (first === undefined) return repeated;
    throw new StoreError(
      'output_conflict',
      `Run ${row.id} has no call ${JSON.stringify(first.tool_call_id)}.`,
      { details: [first.tool_call_id] },
    );
  }
  const change = mergeOutputs(round, outputs);
  rejectConflicts(unit, change);
  if (change.added.length > 0)
    return isTerminal(row.status)
      ? { ...repeated, taken: false }
      : addOutputs(unit, open, round, change.outputs, options);
  const external = externalCalls(round);
  const isOpen = openOf(external, round.outputs).length > 0;
  // A worker may have written these outputs first: the request still counts as the first one.
  if (options.by === null || isOpen || external.length === 0 || round.accepted_by !== null) return repeated;
  round.accepted_by = options.by;
  saveRound(unit, round);
  storeIdempotencyKey(unit, options);
  return { ...repeated, eventsAfter: round.accepted_after ?? row.event_seq, result: 'accepted' };
};

/** Stores new outputs of the round, and queues the run when the caller has answered all its calls. */
const addOutputs = (
  unit: RunUpdate,
  { steps }: OpenRounds,
  round: RoundRow,
  outputs: Outputs,
  options: AcceptOptions,
): Acceptance => {
  const { row, emit } = unit;
  const external = externalCalls(round);
  const wasOpen = openOf(external, round.outputs).length > 0;
  const seqBefore = row.event_seq;
  round.outputs = outputs;
  round.done = openOf(round.calls, round.outputs).length === 0;
  passOverApprovals(unit, round, options.now);
  const step = steps.find((one) => one.round === round.round);
  if (step !== undefined) fillStep(unit, round, step, options.now);
  const stillOpen = openOf(external, round.outputs);
  const closes = wasOpen && stillOpen.length === 0;
  if (closes) {
    round.accepted_after = seqBefore;
    round.accepted_by = options.by;
  }
  if (row.status === 'requires_action') {
    row.required = stillOpen.length === 0 ? null : stillOpen.map(wireCall);
    if (closes) {
      row.status = 'queued';
      emit({ event: 'thread.run.queued', data: runView(row) });
    }
  }
  saveRound(unit, round);
  if (closes) storeIdempotencyKey(unit, options);
  return {
    run: runView(row),
    eventsAfter: seqBefore,
    result: stillOpen.length === 0 ? 'accepted' : 'recorded',
    taken: true,
  };
};

export const acceptOutputs = (
  db: Database,
  runId: string,
  outputs: readonly ToolOutput[],
  options: AcceptOptions,
): Promise<Acceptance> =>
  changeExistingRun<Acceptance, OpenRounds>(
    db,
    runId,
    null,
    async (unit, open) => {
      await insertDecisions(unit, open, options.decisions ?? []);
      return accept(unit, open, outputs, options);
    },
    (sql) => readOpen(sql, runId, outputs[0]?.tool_call_id ?? null),
  );
