/**
 * Finds what is wrong with tool options. Pure.
 *
 * Rule: each problem is a sentence that names tool, option, value and fix; all problems are listed.
 * Imported by `define.ts` only.
 */
import { z } from 'zod';
import { durationProblem, parseDuration, quote, toolNameProblem } from '../../protocol/index.ts';
import { approvalOption, approvalProblems, formerApprovalOption } from './approval-options.ts';
import { asyncCheck } from './async-checks.ts';
import { toFunctionTool } from './json-schema.ts';
import type { ToolOptions } from './types.ts';

/** The official API accepts less than 512 kB for all outputs of a round together. */
const MAX_OUTPUT_BYTES = 500_000;
const MAX_DESCRIPTION = 1_024;
const KNOWN_OPTIONS = new Set([
  'description',
  'parameters',
  'output',
  'execute',
  'retry',
  'timeout',
  'heartbeat',
  'needsApproval',
  'approval',
  'external',
  'atMostOnce',
  'answerWithin',
  'onDeadline',
  'maxOutputBytes',
]);
const KNOWN_RETRY = new Set(['maximumAttempts', 'initialInterval', 'backoffCoefficient', 'maximumInterval']);

type Check = string | undefined | false;

const positiveDuration = (option: string, value: unknown): Check =>
  value !== undefined &&
  (durationProblem(option, value) ??
    ((parseDuration(value) ?? 0) > 0 ? undefined : `${option} must be longer than 0; got ${quote(value)}`));

const flag = (option: string, value: unknown): Check =>
  value !== undefined && typeof value !== 'boolean' && `${option} must be true or false; got ${quote(value)}`;

const retryProblems = (options: ToolOptions): Check[] => {
  const { retry, atMostOnce } = options;
  if (retry === undefined) return [];
  if (typeof retry !== 'object' || retry === null || Array.isArray(retry))
    return [`retry must be an object such as { maximumAttempts: 3 }; got ${quote(retry)}`];
  const { maximumAttempts, backoffCoefficient } = retry;
  return [
    ...Object.keys(retry)
      .filter((key) => !KNOWN_RETRY.has(key))
      .map((key) => `retry.${key} is not an option; use one of ${[...KNOWN_RETRY].join(', ')}`),
    maximumAttempts !== undefined &&
      !(Number.isInteger(maximumAttempts) && maximumAttempts >= 0) &&
      `retry.maximumAttempts must be a whole number (0 = until the time is over); got ${quote(maximumAttempts)}`,
    maximumAttempts !== undefined &&
      maximumAttempts !== 1 &&
      atMostOnce === true &&
      `retry.maximumAttempts ${quote(maximumAttempts)} contradicts atMostOnce, which allows 1; leave one of them out`,
    backoffCoefficient !== undefined &&
      !(typeof backoffCoefficient === 'number' && backoffCoefficient >= 1) &&
      `retry.backoffCoefficient must be a number from 1 on; got ${quote(backoffCoefficient)}`,
    positiveDuration('retry.initialInterval', retry.initialInterval),
    positiveDuration('retry.maximumInterval', retry.maximumInterval),
  ];
};

const schemaProblem = (name: string, options: ToolOptions): Check => {
  if (!(options.parameters instanceof z.ZodObject))
    return `parameters must be a z.object({…}); got ${quote(options.parameters)}`;
  try {
    toFunctionTool({ name, description: '', parameters: options.parameters });
    return asyncProblem(asyncCheck(options.parameters));
  } catch (error) {
    return `parameters can't be expressed as JSON Schema for the model: ${error instanceof Error ? error.message : String(error)} Use plain types and .refine() for the rest`;
  }
};

const asyncProblem = (at: string | undefined): Check =>
  at !== undefined &&
  `parameters${at === '' ? '' : `, at ${quote(at)},`} must be synchronous: a refinement or transform there returns a promise. Move asynchronous checks into execute, and throw a ToolError there`;

const waitProblems = (options: ToolOptions): Check[] => {
  const { answerWithin, onDeadline, external } = options;
  const needsApproval = approvalOption(options);
  const waits = external === true || (needsApproval !== undefined && needsApproval !== false);
  return [
    positiveDuration('answerWithin', answerWithin),
    onDeadline !== undefined &&
      !['fail', 'placeholder', 'follow-up'].includes(onDeadline) &&
      `onDeadline must be "fail", "placeholder" or "follow-up"; got ${quote(onDeadline)}`,
    !waits &&
      (answerWithin !== undefined || onDeadline !== undefined) &&
      'answerWithin and onDeadline are for tools that wait for a person or the caller; add needsApproval or external, or leave them out',
  ];
};

const carrierProblems = (options: ToolOptions): Check[] => {
  const { external, atMostOnce, heartbeat, timeout } = options;
  const needsApproval = approvalOption(options);
  const execute: unknown = Reflect.get(options, 'execute');
  return [
    execute !== undefined &&
      typeof execute !== 'function' &&
      `execute must be a function; got ${quote(execute)}`,
    external !== true &&
      execute === undefined &&
      'execute is missing: add the function that the tool runs, or set external: true when a person or the caller of the API answers',
    external === true &&
      execute !== undefined &&
      'execute and external: true exclude each other; leave one out',
    external === true &&
      needsApproval !== undefined &&
      needsApproval !== false &&
      'needsApproval and external: true exclude each other: answering an external call is already a decision',
    flag('external', external),
    flag('atMostOnce', atMostOnce),
    ...approvalProblems(options),
    options.needsApproval !== undefined &&
      formerApprovalOption(options) !== undefined &&
      'approval is the former name of needsApproval; leave approval out',
    positiveDuration('timeout', timeout),
    positiveDuration('heartbeat', heartbeat),
  ];
};

/** Every problem of one tool's options. */
export const optionProblems = (name: string, options: ToolOptions): string[] => {
  const { description, output, maxOutputBytes } = options;
  const checks: Check[] = [
    ...Object.keys(options)
      .filter((key) => !KNOWN_OPTIONS.has(key))
      .map((key) => `${key} is not an option; use one of ${[...KNOWN_OPTIONS].join(', ')}`),
    (typeof description !== 'string' || description.trim() === '' || description.length > MAX_DESCRIPTION) &&
      `description must describe the tool for the model in 1 to ${MAX_DESCRIPTION} characters; got ${quote(description)}`,
    schemaProblem(name, options),
    output !== undefined &&
      !(output instanceof z.ZodType) &&
      `output must be a zod schema; got ${quote(output)}`,
    ...carrierProblems(options),
    ...retryProblems(options),
    ...waitProblems(options),
    maxOutputBytes !== undefined &&
      !(Number.isInteger(maxOutputBytes) && maxOutputBytes >= 256 && maxOutputBytes <= MAX_OUTPUT_BYTES) &&
      `maxOutputBytes must be a whole number from 256 to ${MAX_OUTPUT_BYTES}; got ${quote(maxOutputBytes)}`,
  ];
  return checks.filter((check) => typeof check === 'string');
};

/** Every problem of every tool; empty = there are none. */
export const toolProblems = (entries: readonly (readonly [string, ToolOptions])[]): string[] =>
  entries.flatMap(([name, options]) => {
    const badName = toolNameProblem(name);
    if (badName !== undefined) return [badName];
    if (typeof options !== 'object' || options === null)
      return [`Tool ${quote(name)}: must be an object of options; got ${quote(options)}`];
    return optionProblems(name, options).map((problem) => `Tool ${quote(name)}: ${problem}`);
  });
