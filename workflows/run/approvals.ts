/**
 * Checks the fields that only approvals have: the digest of the arguments, and edited arguments.
 *
 * Rule: the plan recorded in history decides, so a verdict stays the same under newer code. Calls that were planned by
 * older workers have neither digest nor schema, and are not checked for them.
 * Pure; imports protocol and the state. Imported by `evaluate-answer.ts` and tests.
 */
import { schemaProblem } from '../../protocol/rules/argument-schema.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { FailureType } from '../../protocol/temporal/names.ts';
import { quote } from '../../protocol/rules/validation.ts';
import { parseEditedArguments } from '../../protocol/rules/tool-arguments.ts';
import type { AnswerPayload, UnusedAnswer } from '../../protocol/temporal/messages.ts';
import type { CallState } from './state.ts';

export interface ApprovalFault {
  failure: FailureType;
  reason: UnusedAnswer['reason'];
  message: string;
  details: unknown;
}

type Call = Pick<CallState, 'callId' | 'name' | 'plan' | 'argumentsDigest' | 'digestRequired' | 'ballot'>;

const subjectOf = (call: Call): string => `Call ${quote(call.callId)} (${call.name})`;

const digestFault = (runId: string, call: Call, payload: AnswerPayload): ApprovalFault | null => {
  const got = payload.arguments_digest ?? null;
  const expected = call.argumentsDigest ?? null;
  const isOwn = payload.decision === 'approve' && payload.arguments == null;
  // Whoever agrees to what an earlier vote proposes names it.
  if (got !== null && call.ballot?.votes.some(({ digest }) => digest === got) === true) return null;
  if (got === expected || (got === null && !(isOwn && call.digestRequired === true))) return null;
  const whole = `"runs show ${runId} --call ${call.callId}" shows them in full`;
  const why =
    got === null
      ? `its arguments are too long for some views, so a decision must name them by their digest. Read them (${whole}), and send the "arguments_digest" that is shown with them.`
      : expected === null
        ? `the decision names arguments by the digest ${quote(got)}, but an older worker planned this call and recorded none. Leave "arguments_digest" out.`
        : `the decision names arguments with the digest ${quote(got)}; the arguments of the call have the digest ${quote(expected)}. Read them (${whole}), and decide again.`;
  return {
    failure: FAILURES.refusedDigest,
    reason: 'digest_refused',
    message: `${subjectOf(call)} keeps waiting: ${why}`,
    // The message leaves out the digest: a sender must compute it from the arguments.
    details: { expected: got === null ? null : expected, got },
  };
};

const editFault = (call: Call, payload: AnswerPayload): ApprovalFault | null => {
  if (payload.arguments == null || call.plan.kind !== 'approval' || call.argumentsDigest === undefined)
    return null;
  const fault = (field: string, problem: string): ApprovalFault => ({
    failure: FAILURES.refusedArguments,
    reason: 'arguments_refused',
    message: `${subjectOf(call)} keeps waiting: the arguments of the approval do not match the tool's parameters: ${field === '' ? '' : `${field} `}${problem}. Correct them and send the answer again.`,
    details: { field, problem },
  });
  const parsed = parseEditedArguments(payload.arguments);
  if (!parsed.ok) return fault('', parsed.problem);
  const wrong = call.plan.schema === undefined ? null : schemaProblem(call.plan.schema, parsed.value);
  return wrong === null ? null : fault(wrong.field, wrong.problem);
};

/** Why a well-formed decision is rejected; null = it is acceptable. */
export const approvalFault = (runId: string, call: Call, payload: AnswerPayload): ApprovalFault | null =>
  payload.decision === undefined ? null : (digestFault(runId, call, payload) ?? editFault(call, payload));
