/**
 * Reads what a person needs in order to decide about one call: the tool, what the assistant said, and all decisions.
 *
 * Rule: arguments are shown by the function that every door uses, and the text is whole. Imported within `store/` only.
 */
import { inOrderMade } from '../protocol/decisions.ts';
import { parseArguments } from '../protocol/rules/tool-arguments.ts';
import { showArguments } from '../protocol/rules/show-arguments.ts';
import { visible } from '../protocol/rules/visible.ts';
import type { OnDeadline } from '../protocol/tool-calls.ts';
import type { Approval, ApprovalDetails } from '../protocol/wire/decisions.ts';
import type { MessageContent } from '../protocol/wire/objects.ts';
import type { Voter } from '../protocol/decisions.ts';
import { yourVote } from './ballots.ts';
import type { Sql } from './database.ts';
import { decisionView } from './decisions.ts';
import type { ApprovalRow, DecisionRow } from './approvals-schema.ts';
import { readConversation } from './read-conversation.ts';
import type { RoundRow, RunRow } from './schema.ts';

/** Decisions of one call that are shown; a call has more only where a key repeats refused ones. */
const DECISIONS = 200;

const CONSEQUENCES: Record<OnDeadline, string> = {
  fail: 'The run expires: the tool does not run, and the model gets no further turn.',
  placeholder: 'The run goes on: the model reads that no answer came in time, and the tool does not run.',
  'follow-up':
    'The run goes on: the model reads that the answer is still to come. A later decision starts a follow-up run.',
};

const textOf = (content: readonly MessageContent[]): string =>
  content.flatMap((part) => (part.type === 'text' ? [part.text.value] : [])).join('\n');

/** Messages of the turn that made the call, oldest first. */
const saidBefore = async (sql: Sql, row: ApprovalRow): Promise<string | null> => {
  const messages = await sql.query<{ content: MessageContent[] }>(
    'select content from messages where run_id = $1 and round = $2 order by position',
    [row.run_id, row.round],
  );
  const text = messages
    .map(({ content }) => textOf(content))
    .filter((part) => part !== '')
    .join('\n\n');
  return text === '' ? null : text;
};

/** The schema of the arguments as it is recorded with the call. */
const plannedSchema = async (sql: Sql, row: ApprovalRow): Promise<Record<string, unknown> | null> => {
  const [round] = await sql.query<Pick<RoundRow, 'calls'>>(
    'select calls from rounds where run_id = $1 and round = $2',
    [row.run_id, row.round],
  );
  const plan = round?.calls.find(({ callId }) => callId === row.call_id)?.plan;
  return plan?.kind === 'approval' ? (plan.schema ?? null) : null;
};

export const readDetails = async (
  sql: Sql,
  row: ApprovalRow,
  approval: Approval,
  voter: Voter,
): Promise<ApprovalDetails> => {
  const [run] = await sql.query<Pick<RunRow, 'config'>>('select config from runs where id = $1', [
    row.run_id,
  ]);
  const tool = run?.config.tools.find((item) => item.function.name === row.tool)?.function;
  const decisions = await sql.query<DecisionRow>(
    `select * from decisions where run_id = $1 and tool = $2 order by position`,
    [row.run_id, row.tool],
  );
  const parsed = parseArguments(approval.arguments);
  return {
    ...approval,
    your_vote: yourVote(row, approval.requested_by, voter),
    arguments_shown: showArguments(approval.arguments, Infinity).text,
    arguments_value: parsed.ok ? parsed.value : null,
    arguments_problem: parsed.ok ? null : visible(parsed.problem),
    description: tool?.description ?? null,
    parameters: tool?.parameters ?? (await plannedSchema(sql, row)),
    said: await saidBefore(sql, row),
    conversation: await readConversation(sql, row),
    consequence: CONSEQUENCES[row.on_deadline],
    decisions: inOrderMade(
      decisions.filter(
        ({ body }) => body.callId === row.call_id && (body.round === 0 || body.round === row.round),
      ),
      ({ body }) => body,
    )
      .slice(0, DECISIONS)
      .map(decisionView),
  };
};
