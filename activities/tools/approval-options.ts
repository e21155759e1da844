/**
 * The option `needsApproval` in its three forms: true or false, a condition on the arguments, or who decides. Pure.
 *
 * Rule: each problem is a sentence that names option, value and fix. The plan of a call gets the policy complete and in
 * numbers; whether a call needs an approval is asked when it is planned. Imported within `activities/tools/`.
 */
import {
  BALLOT_LIMITS,
  durationProblem,
  LIMITS,
  parseDuration,
  quote,
  type ApprovalPolicy,
} from '../../protocol/index.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';
import type { ApprovalOptions, DurationText, ToolOptions } from './types.ts';

type Check = string | undefined | false;
type Option = ToolOptions['needsApproval'];

const KNOWN = new Set([
  'by',
  'quorum',
  'veto',
  'notRequester',
  'verified',
  'remindAfter',
  'escalateAfter',
  'escalateTo',
  'when',
]);

/** Read by key: the type marks the former name as deprecated. */
export const formerApprovalOption = (options: ToolOptions): Option =>
  Reflect.get<ToolOptions, 'approval'>(options, 'approval');

/** The option under its name, or under the one it had before. */
export const approvalOption = (options: ToolOptions): Option =>
  options.needsApproval ?? formerApprovalOption(options);

const isPolicy = (option: unknown): option is ApprovalOptions<Record<string, unknown>> => isRecord(option);

/** Does a call with these arguments need an approval? */
export const approvalCondition = (options: ToolOptions): boolean | ((args: unknown) => boolean) => {
  const option = approvalOption(options) ?? false;
  if (typeof option === 'boolean') return option;
  if (typeof option === 'function') return (args) => option(args as Record<string, unknown>);
  return option.when === undefined
    ? true
    : // Called on the option, so that a condition written as a method has its own object as `this`.
      (args) => option.when?.(args as Record<string, unknown>) ?? true;
};

const milliseconds = (value: DurationText | undefined): number | null => parseDuration(value) ?? null;

/** The policy as it is recorded with a call; null = the first decision of anybody decides. */
export const approversOf = (option: Option): ApprovalPolicy | null =>
  isPolicy(option)
    ? Object.freeze({
        by: [...(option.by ?? [])],
        quorum: option.quorum ?? 1,
        veto: option.veto ?? false,
        notRequester: option.notRequester ?? false,
        verified: option.verified ?? false,
        remindAfterMs: milliseconds(option.remindAfter),
        escalateAfterMs: milliseconds(option.escalateAfter),
        escalateTo: [...(option.escalateTo ?? [])],
      })
    : null;

const flag = (name: string, value: unknown): Check =>
  value !== undefined &&
  typeof value !== 'boolean' &&
  `needsApproval.${name} must be true or false; got ${quote(value)}`;

const isGroupName = (value: unknown): boolean =>
  typeof value === 'string' && value.trim() !== '' && value.length <= LIMITS.id;

const groups = (name: string, value: unknown): Check =>
  value !== undefined &&
  !(
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= BALLOT_LIMITS.names &&
    value.every(isGroupName)
  ) &&
  `needsApproval.${name} must list 1 to ${BALLOT_LIMITS.names} names of groups; got ${quote(value)}`;

/** The time must come before the call's own deadline, or it never comes. */
const moment = (name: string, value: unknown, answerWithin: unknown): Check => {
  if (value === undefined) return undefined;
  const after = parseDuration(value);
  const within = parseDuration(answerWithin);
  if (after === undefined) return durationProblem(`needsApproval.${name}`, value);
  if (after === 0) return `needsApproval.${name} must be longer than 0; got ${quote(value)}`;
  return (
    within !== undefined &&
    after >= within &&
    `needsApproval.${name} ${quote(value)} never comes: the deadline is answerWithin, ${quote(answerWithin)}. Take a shorter time`
  );
};

const policyProblems = (policy: ApprovalOptions, answerWithin: unknown): Check[] => {
  const { by, quorum, veto, notRequester, verified, remindAfter, escalateAfter, escalateTo } = policy;
  const when: unknown = Reflect.get(policy, 'when');
  return [
    ...Object.keys(policy)
      .filter((key) => !KNOWN.has(key))
      .map((key) => `needsApproval.${key} is not an option; use one of ${[...KNOWN].join(', ')}`),
    groups('by', by),
    groups('escalateTo', escalateTo),
    quorum !== undefined &&
      !(Number.isInteger(quorum) && quorum >= 1 && quorum <= BALLOT_LIMITS.quorum) &&
      `needsApproval.quorum must be a whole number from 1 to ${BALLOT_LIMITS.quorum}; got ${quote(quorum)}`,
    flag('veto', veto),
    flag('notRequester', notRequester),
    flag('verified', verified),
    when !== undefined &&
      typeof when !== 'function' &&
      `needsApproval.when must be a function of the arguments; got ${quote(when)}`,
    moment('remindAfter', remindAfter, answerWithin),
    moment('escalateAfter', escalateAfter, answerWithin),
    (escalateAfter === undefined) !== (escalateTo === undefined) &&
      'needsApproval.escalateAfter and needsApproval.escalateTo belong together; add the other one, or leave both out',
  ];
};

/** Everything that is wrong with the option. */
export const approvalProblems = (options: ToolOptions): Check[] => {
  const option: unknown = approvalOption(options);
  if (option === undefined || typeof option === 'boolean' || typeof option === 'function') return [];
  return isPolicy(option)
    ? policyProblems(option, options.answerWithin)
    : [
        `needsApproval must be true, false, a function of the arguments, or an object such as { by: ["leads"], quorum: 2 }; got ${quote(option)}`,
      ];
};
