/**
 * The end of a thread's conversation before a call, for the person who decides about the call.
 *
 * Rule: it is bounded in messages and characters, whatever the thread holds; what is left out is said. Text only: other parts are
 * named. Imported by `read-approval.ts`.
 */
import { CONVERSATION_LIMITS } from '../protocol/limits.ts';
import type { CallConversation } from '../protocol/wire/decisions.ts';
import type { MessageContent } from '../protocol/wire/objects.ts';
import { wireSeconds } from '../protocol/wire/run-view.ts';
import type { ApprovalRow } from './approvals-schema.ts';
import type { Sql } from './database.ts';
import { withinBytes, type Counted } from './within-bytes.ts';

interface MessageRow extends Counted {
  role: 'user' | 'assistant';
  created_at: number;
  content: MessageContent[];
}

const textOf = (content: readonly MessageContent[]): string =>
  content.map((part) => (part.type === 'text' ? part.text.value : `(${part.type})`)).join('\n');

/** The beginning of a text, never half a character. */
const shortened = (text: string): { text: string; shortened: boolean } =>
  text.length <= CONVERSATION_LIMITS.characters
    ? { text, shortened: false }
    : {
        text: text.slice(0, CONVERSATION_LIMITS.characters).replace(/[\uD800-\uDBFF]$/, ''),
        shortened: true,
      };

export const readConversation = async (sql: Sql, row: ApprovalRow): Promise<CallConversation> => {
  // Messages of a later run may stand behind the call by now; those of its own turn are the last that count.
  const rows = await sql.query<MessageRow>(
    withinBytes(
      'messages',
      `select * from messages where thread_id = $1 and (run_id is distinct from $2 or coalesce(round, 0) <= $3)
         and position <= coalesce(
           (select max(position) from messages where run_id = $2 and round <= $3),
           (select position from approvals where id = $4))
       order by position desc limit $5`,
      'position desc',
      '$6',
    ),
    [
      row.thread_id,
      row.run_id,
      row.round,
      row.id,
      CONVERSATION_LIMITS.messages + 1,
      CONVERSATION_LIMITS.readBytes,
    ],
  );
  const kept = rows.slice(0, CONVERSATION_LIMITS.messages);
  return {
    messages: kept
      .map(({ role, created_at: at, content }) => ({
        role,
        created_at: wireSeconds(at),
        ...shortened(textOf(content)),
      }))
      .toReversed(),
    has_more: (rows[0]?.of_rows ?? 0) > kept.length,
  };
};
