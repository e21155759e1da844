/**
 * Who signs what comes over HTTP: the API key's name where there are keys, else what the sender claims.
 *
 * Rule: a name in the payload never takes the key's place; it becomes a part of the note. Pure.
 * Imported within `service/`.
 */
import type { AnswerOrigin } from '../protocol/decisions.ts';
import type { Caller } from '../protocol/ports/runs-service.ts';
import type { AnswerPayload } from '../protocol/temporal/messages.ts';

/** What a workflow is told about the sender. */
export const originOf = ({ keyName, grantedTools }: Caller): AnswerOrigin => ({
  door: 'http',
  ...(keyName == null ? {} : { keyName }),
  ...(grantedTools == null ? {} : { tools: grantedTools }),
});

/** The answer with the key's name in `by`. Another name that came with it is kept in the note. */
export const signed = ({ keyName }: Caller, payload: AnswerPayload): AnswerPayload => {
  if (keyName == null) return payload;
  const { by, note, ...rest } = payload;
  const notes = [by === keyName ? undefined : by, note].filter((text) => text !== undefined && text !== '');
  return { ...rest, by: keyName, ...(notes.length === 0 ? {} : { note: notes.join(': ') }) };
};

/** Tools whose decisions a caller reads; null = all. What an approver may not decide is not its to read. */
export const decidable = ({ roles, grantedTools }: Caller): readonly string[] | null =>
  roles === undefined || roles.includes('caller') || roles.includes('operator')
    ? null
    : (grantedTools ?? null);

/** Whose waiting calls a caller reads. Where there are no keys there is one tenant, whatever the roles. */
export const approvalsOf = (caller: Caller): { tenant: string | null; tools: readonly string[] | null } =>
  caller.keyName != null && caller.roles?.includes('operator') === true
    ? { tenant: null, tools: null }
    : { tenant: caller.tenant, tools: caller.grantedTools ?? null };
