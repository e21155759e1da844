/**
 * Decides who runs each call, and copies the tool's retry policy, timeouts and deadline into the call's plan. Pure.
 *
 * Rule: decided once, when a round settles, and recorded with the call. A run uses only tools that it declares: another
 * tool of the worker is refused, and the model reads why. Invalid arguments are refused here: under a later schema they
 * might be valid, and the tool would run without approval.
 * Imported by the backend activities and by tests.
 */
import {
  ARGUMENT_LIMITS,
  errorOutput,
  quote,
  showValue,
  type ArgumentsMark,
  type CallPlan,
  type JsonObject,
  type PlanGrant,
  type PlannedCall,
  type ToolCall,
  type WaitPolicy,
} from '../../protocol/index.ts';
import { argumentsDigest } from '../../protocol/rules/arguments-digest.ts';
import { checkArgumentsNow } from './check-arguments.ts';
import type { ToolDefinition, ToolRegistry } from './types.ts';

/** The default wait for the API's caller: as long as the run lives. */
const CALLER_WAIT_POLICY: WaitPolicy = { onDeadline: 'fail', answerWithinMs: null };

/** The pseudo-tool in which some models bundle parallel calls. */
const PARALLEL_BUNDLE = /^multi_tool_use[._]parallel$/;
const MAX_NAMES_SHOWN = 32;

/** Only `false` lets a tool run without approval: a rule that throws or returns nothing requires a person. */
const mustBeApproved = ({ needsApproval }: ToolDefinition, checked: unknown): boolean => {
  if (typeof needsApproval === 'boolean') return needsApproval;
  try {
    const answer: unknown = needsApproval(checked);
    return answer !== false;
  } catch {
    return true;
  }
};

type Planned = ArgumentsMark & { plan: CallPlan };

const invalid = (problem: string): Planned => ({
  plan: { kind: 'refused', output: errorOutput('invalid_arguments', problem), note: 'invalid_arguments' },
});

/** What the plans of one settlement share. */
interface PlanContext {
  schemaFits: boolean;
  requestedBy: string | undefined;
}

const gatedPlan = (
  tool: ToolDefinition,
  given: JsonObject,
  { schemaFits, requestedBy }: PlanContext,
): Planned => {
  const keys = Object.keys(given).length;
  if (keys > ARGUMENT_LIMITS.shownKeys)
    return invalid(
      `the arguments of ${quote(tool.name)} can't be used: they hold ${keys} keys, and a call that a person must approve may hold ${ARGUMENT_LIMITS.shownKeys}. Call the tool again with fewer.`,
    );
  const { policy, wait, editSchema, approvers } = tool;
  return {
    plan: {
      kind: 'approval',
      policy,
      wait,
      ...(editSchema && schemaFits ? { schema: editSchema } : {}),
      ...(approvers === null ? {} : { approvers }),
      ...(approvers === null || requestedBy === undefined ? {} : { requestedBy }),
    },
    argumentsDigest: argumentsDigest(given),
    ...(showValue(given).shortened > 0 ? { digestRequired: true } : {}),
  };
};

const registeredPlan = (tool: ToolDefinition, call: ToolCall, context: PlanContext): Planned => {
  const looked = checkArgumentsNow(tool, call.arguments);
  if (!looked.ok) return invalid(looked.problem);
  const { given, checked } = looked.value;
  if (tool.external) return { plan: { kind: 'external', wait: tool.wait, byPerson: true } };
  return mustBeApproved(tool, checked)
    ? gatedPlan(tool, given, context)
    : { plan: { kind: 'automatic', policy: tool.policy } };
};

/** The fix for a tool that the worker has and the run does not declare. */
const howToDeclare = (name: string): string =>
  `The worker has ${quote(name)}: declare it in the tools of the assistant or of the run, where its name is enough, or set RUNS_OFFER_TOOLS on the server.`;

const refusal = (call: ToolCall, known: readonly string[], own: readonly string[]): string => {
  const names = known
    .slice(0, MAX_NAMES_SHOWN)
    .map((name) => JSON.stringify(name))
    .join(', ');
  const more = known.length > MAX_NAMES_SHOWN ? ` and ${known.length - MAX_NAMES_SHOWN} more` : '';
  const exist = known.length === 0 ? 'This run has no tools.' : `The tools of this run are ${names}${more}.`;
  return PARALLEL_BUNDLE.test(call.name)
    ? `${quote(call.name)} is not a tool. To make several calls at once, call each tool by its own name in the same turn. ${exist}`
    : `there is no tool ${quote(call.name)}. ${exist}${own.includes(call.name) ? ` ${howToDeclare(call.name)}` : ''}`;
};

/** A tool that the worker does not have: the caller's, unless the name belongs to an MCP server: no caller can answer for that. */
const unknownPlan = (registry: ToolRegistry, name: string, mayUse: boolean): CallPlan => {
  const why = mayUse ? registry.unavailable?.(name) : undefined;
  return why === undefined
    ? { kind: 'external', wait: CALLER_WAIT_POLICY }
    : { kind: 'refused', output: errorOutput('tool_failed', why), note: 'tool_failed' };
};

/**
 * Plans the calls of a round. `declaredTools` are the names that the run declares. An empty list means that the server
 * does not say: the worker's tools are used, unless the options say that the list is complete.
 */
export const planCalls = (
  registry: ToolRegistry,
  calls: readonly ToolCall[],
  declaredTools: readonly string[],
  options: PlanGrant = {},
): PlannedCall[] => {
  const { granted = null, complete = false, requestedBy } = options;
  const mayUse = (name: string): boolean => granted === null || granted.includes(name);
  const own = registry.names.filter(mayUse);
  const known = declaredTools.length === 0 && !complete ? own : declaredTools;
  let schemas = 0;
  return calls.map((call): PlannedCall => {
    const { callId, name, arguments: text } = call;
    const made = { callId, name, arguments: text };
    if (!known.includes(name))
      return {
        ...made,
        plan: { kind: 'refused', output: errorOutput('unknown_tool', refusal(call, known, own)) },
      };
    const tool = mayUse(name) ? registry.get(name) : undefined;
    if (tool === undefined) return { ...made, plan: unknownPlan(registry, name, mayUse(name)) };
    const schemaFits = schemas < ARGUMENT_LIMITS.schemasChars;
    const planned = registeredPlan(tool, call, { schemaFits, requestedBy });
    if ('schema' in planned.plan) schemas += JSON.stringify(planned.plan.schema).length;
    return { ...made, ...planned };
  });
};
