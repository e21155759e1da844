/**
 * Signs answers and decisions that arrive over HTTP: with the name of the API key or of the signed-in person, or with the
 * sender's claim where there is neither.
 *
 * Rule: a name in the payload never replaces the caller's; it becomes part of the note. The workflow learns only a name
 * that is proven. Pure.
 * Imported within `service/`.
 */
import type { AnswerOrigin, Decision } from '../protocol/decisions.ts';
import type { ApiError } from '../protocol/errors.ts';
import type { Caller } from '../protocol/ports/runs-service.ts';
import type { AnswerPayload } from '../protocol/temporal/messages.ts';

/** What the workflow learns about the sender. */
export const originOf = ({ keyName, verified, grantedTools, groups }: Caller): AnswerOrigin => ({
  door: 'http',
  ...(keyName == null || !verified ? {} : { keyName }),
  ...(grantedTools == null ? {} : { tools: grantedTools }),
  ...(groups.length === 0 ? {} : { groups }),
});

/** The answer with the caller's name in `by`. Another name in the payload is kept in the note. */
export const signed = ({ keyName }: Caller, payload: AnswerPayload): AnswerPayload => {
  if (keyName == null) return payload;
  const { by, note, ...rest } = payload;
  const notes = [by === keyName ? undefined : by, note].filter((text) => text !== undefined && text !== '');
  return { ...rest, by: keyName, ...(notes.length === 0 ? {} : { note: notes.join(': ') }) };
};

/** A decision that was refused, as it is kept; null = the answer is no decision. The store knows the call's tool and arguments. */
export const refusedDecision = (
  { keyName, verified }: Caller,
  payload: AnswerPayload,
  { code, message }: ApiError,
  at: number,
): Decision | null => {
  if (payload.decision === undefined) return null;
  const { by, reason, note, arguments_digest: shownDigest, to } = payload;
  return {
    callId: payload.call_id,
    name: '',
    round: 0,
    decision: payload.decision,
    at,
    door: 'http',
    ...(by == null ? {} : { by }),
    ...(keyName == null || !verified ? {} : { verified: true }),
    arguments: null,
    ...(payload.arguments == null ? {} : { editedArguments: JSON.stringify(payload.arguments) }),
    ...(reason == null ? {} : { reason }),
    ...(note == null ? {} : { note }),
    ...(shownDigest == null ? {} : { shownDigest }),
    ...(to == null ? {} : { to: { people: to.people ?? [], groups: to.groups ?? [] } }),
    refused: { code: code ?? 'refused', message },
  };
};

/** Tools whose decisions the caller may read; null = all. An approver reads only those that it may decide. */
export const decidable = ({ roles, grantedTools }: Caller): readonly string[] | null =>
  roles === undefined || roles.includes('caller') || roles.includes('operator')
    ? null
    : (grantedTools ?? null);

/** Whose waiting calls the caller may read. A server without keys has one tenant, whatever the roles. */
export const approvalsOf = (caller: Caller): { tenant: string | null; tools: readonly string[] | null } =>
  caller.verified && caller.roles?.includes('operator') === true
    ? { tenant: null, tools: null }
    : { tenant: caller.tenant, tools: caller.grantedTools ?? null };
