/**
 * Appends decisions about calls, reads them in pages, and marks the open step of the call.
 *
 * Rule: append-only. Run, round, call and time identify a decision, so a repeated write changes nothing. No statement
 * updates or deletes one, and decisions outlive their thread. A refused decision is a row of its own, which never counts as
 * a decision.
 * Imported within `store/` only.
 */
import { hash } from 'node:crypto';
import { isVerdict, type Decision } from '../protocol/decisions.ts';
import { apiErrors } from '../protocol/errors.ts';
import type { RunStore } from '../protocol/ports/run-store.ts';
import type { TurnStore } from '../protocol/ports/turn-store.ts';
import type { RunDecision, StepDecision, StepToolCall } from '../protocol/wire/decisions.ts';
import { decideApproval } from './approval-rows.ts';
import { countVotes } from './ballots.ts';
import type { Database, Sql } from './database.ts';
import { readPage } from './paging.ts';
import { newestRound, roundOfCall } from './rounds.ts';
import { awaitingMark, readOpen, type OpenRounds } from './steps.ts';
import type { DecisionRow } from './approvals-schema.ts';
import type { RoundRow, RunRow, StepRow } from './schema.ts';
import { changeExistingRun, type RunUpdate } from './update-run.ts';
import { awaitedNow } from './views.ts';

const ID_DIGITS = 24;
/** How ids of refused decisions begin; a digit of hex follows `dec_` in all others. */
export const REFUSED_ID = 'dec_r';
/** Refused decisions that are kept of one run: a key may send any number of them. */
const REFUSED_KEPT = 100;
/** Edited arguments of a refused decision, in characters of JSON; longer ones are left out. */
const REFUSED_ARGUMENTS = 8_192;

/** Entries of one call may have the same time; those that have a number are told apart by it. */
export const decisionId = (runId: string, { round, callId, at, entry }: Decision): string => {
  const named = [runId, round, callId, at, ...(entry === undefined ? [] : [entry])];
  return `dec_${hash('sha256', JSON.stringify(named), 'hex').slice(0, ID_DIGITS)}`;
};

/** The same refused decision of the same sender is kept once, however often it is sent. */
const refusedId = (runId: string, { at: _at, ...said }: Decision): string =>
  `${REFUSED_ID}${hash('sha256', JSON.stringify([runId, said]), 'hex').slice(0, ID_DIGITS)}`;

/** A decision whose arguments the tool refused leaves no mark. */
const stepDecision = (decision: Decision): StepDecision | undefined =>
  isVerdict(decision) ? decisionMark(decision) : undefined;

/** A vote that left the call undecided, or an entry that is no vote: it changes neither the step nor what the run shows. */
const isOpen = ({ undecided }: Decision): boolean => undecided === true;

export const decisionMark = (decision: Decision & { decision: 'approve' | 'deny' }): StepDecision => ({
  type: decision.decision,
  decided_at: Math.floor(decision.at / 1000),
  by: decision.by ?? null,
  verified: decision.verified === true,
  ...(decision.editedArguments === undefined ? {} : { edited_arguments: decision.editedArguments }),
});

/** Marks of decisions in a step, by call id. */
export const stepDecisions = ({ details }: Pick<StepRow, 'details'>): Map<string, StepDecision> =>
  new Map(
    details.type === 'tool_calls'
      ? details.tool_calls.flatMap(({ id, decision }) => (decision === undefined ? [] : [[id, decision]]))
      : [],
  );

/** The round of a decided call; without one, the newest round that has the call. */
const roundOf = async (
  sql: Sql,
  runId: string,
  { newest }: OpenRounds,
  { round, callId }: Decision,
): Promise<RoundRow | null> => {
  if (round === 0) return roundOfCall(sql, runId, newest, callId);
  if (newest?.round === round) return newest;
  const [row] = await sql.query<RoundRow>('select * from rounds where run_id = $1 and round = $2', [
    runId,
    round,
  ]);
  return row ?? null;
};

/** The call of the decision gets its mark, and waits for nothing unless the run shows that it does. */
const marked = (call: StepToolCall, decision: Decision, row: RunRow): StepToolCall => {
  if (call.id !== decision.callId) return call;
  const { decision: _before, awaiting: _waited, ...rest } = call;
  const mark = stepDecision(decision);
  const waits = awaitedNow(row).find(({ call_id: id }) => id === call.id);
  return {
    ...rest,
    ...(mark === undefined ? {} : { decision: mark }),
    ...(waits === undefined ? {} : { awaiting: awaitingMark(waits) }),
  };
};

const trace = ({ sql, row, later }: RunUpdate, step: StepRow, decision: Decision): void => {
  if (step.details.type !== 'tool_calls') return;
  step.details = {
    ...step.details,
    tool_calls: step.details.tool_calls.map((call) => marked(call, decision, row)),
  };
  later(
    sql.query('update steps set details = $2::json where id = $1', [step.id, JSON.stringify(step.details)]),
  );
};

/** Writes decisions in the same transaction, and marks the steps of `open`. */
export const insertDecisions = async (
  unit: RunUpdate,
  open: OpenRounds,
  decisions: readonly Decision[],
): Promise<void> => {
  if (decisions.length === 0) return;
  const { row, sql, later } = unit;
  await countVotes(unit, decisions);
  const kept: Decision[] = [];
  for (const decision of decisions) {
    const round = await roundOf(sql, row.id, open, decision);
    const call = round?.calls.find(({ callId }) => callId === decision.callId);
    const step = open.steps.find((item) => item.round === round?.round);
    if (round !== null && !isOpen(decision)) decideApproval(unit, round, decision);
    if (step !== undefined && decision.late !== true && !isOpen(decision)) trace(unit, step, decision);
    kept.push({ ...decision, arguments: decision.arguments ?? call?.arguments ?? null });
  }
  later(
    sql.query(
      `insert into decisions (id, tenant, thread_id, run_id, tool, decided_at, body)
       select d.id, $1, $2, $3, d.tool, d.decided_at, d.body::json
       from unnest($4::text[], $5::text[], $6::bigint[], $7::text[]) with ordinality as d (id, tool, decided_at, body, ord)
       order by d.ord on conflict (id) do nothing`,
      [
        row.tenant,
        row.thread_id,
        row.id,
        kept.map((decision) => decisionId(row.id, decision)),
        kept.map(({ name }) => name),
        kept.map(({ at }) => String(at)),
        kept.map((decision) => JSON.stringify(decision)),
      ],
    ),
  );
};

/** Writes a refused decision about a call of the run; one about an unknown call is about nothing. */
const insertRefusal = async (db: Database, runId: string, refused: Decision): Promise<void> => {
  const round = await roundOfCall(db, runId, await newestRound(db, runId), refused.callId);
  const call = round?.calls.find(({ callId }) => callId === refused.callId);
  if (round === null || call === undefined) return;
  const { editedArguments: edited } = refused;
  const kept: Decision = {
    ...refused,
    name: call.name,
    round: round.round,
    arguments: call.arguments,
    ...(edited == null || edited.length <= REFUSED_ARGUMENTS ? {} : { editedArguments: null }),
  };
  await db.query(
    `insert into decisions (id, tenant, thread_id, run_id, tool, decided_at, body)
     select $2, r.tenant, r.thread_id, r.id, $3, $4::bigint, $5::json from runs r
     where r.id = $1 and (select count(*) from decisions d where d.run_id = $1 and d.id like '${REFUSED_ID}%') < ${REFUSED_KEPT}
     on conflict (id) do nothing`,
    [runId, refusedId(runId, kept), kept.name, kept.at, JSON.stringify(kept)],
  );
};

export const decisionView = ({ id, thread_id, run_id, body }: DecisionRow): RunDecision => ({
  id,
  object: 'thread.run.decision',
  created_at: Math.floor(body.at / 1000),
  thread_id,
  run_id,
  call_id: body.callId,
  tool: body.name,
  decision: body.decision,
  by: body.by ?? null,
  verified: body.verified === true,
  door: body.door,
  undecided: body.undecided === true,
  counts_for: body.countsFor ?? null,
  in_place_of: body.inPlaceOf ?? null,
  to: body.to ?? null,
  arguments: body.arguments,
  edited: body.editedArguments !== undefined,
  edited_arguments: body.editedArguments ?? null,
  reason: body.reason ?? null,
  note: body.note ?? null,
  shown_digest: body.shownDigest ?? null,
  late: body.late === true,
  refused_edit: body.refusedEdit ?? null,
  refused: body.refused ?? null,
});

/** A run without decisions exists all the same; without a row and without decisions it is not found. */
const requireRun = async (
  db: Database,
  [tenant, threadId, runId]: [string, string, string],
): Promise<void> => {
  const found = await db.query(
    `select 1 from runs where id = $1 and thread_id = $2 and tenant = $3
     union all select 1 from decisions where run_id = $1 and thread_id = $2 and tenant = $3 limit 1`,
    [runId, threadId, tenant],
  );
  if (found.length === 0) throw apiErrors.notFound('run', runId);
};

export const decisionStore = (
  db: Database,
): Pick<TurnStore, 'recordDecisions'> & Pick<RunStore, 'listDecisions' | 'recordRefusedDecision'> => ({
  recordRefusedDecision: (runId, refused) => insertRefusal(db, runId, refused),
  recordDecisions: (runId, decisions) =>
    changeExistingRun<void, OpenRounds>(
      db,
      runId,
      null,
      (unit, open) => insertDecisions(unit, open, decisions),
      (sql) => readOpen(sql, runId, null),
    ),
  async listDecisions(tenant, threadId, runId, { tools, ...query }) {
    const page = await readPage<DecisionRow, RunDecision>(
      db,
      {
        table: 'decisions',
        where: `run_id = $1 and thread_id = $2 and tenant = $3${tools === null ? '' : ' and tool = any($4::text[])'}`,
        params: [runId, threadId, tenant, ...(tools === null ? [] : [tools])],
        view: decisionView,
        notFound: (id) => apiErrors.notFound('decision', id),
      },
      query,
    );
    if (page.data.length === 0) await requireRun(db, [tenant, threadId, runId]);
    return page;
  },
});
