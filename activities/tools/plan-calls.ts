/**
 * Who carries out each call, and under which policy. Pure.
 *
 * Rule: decided once, when a round settles, and recorded with the call. A run uses only tools that it declares: a model
 * that names another tool of the worker is told so, whatever made it try.
 * Imported by the backend activities and by tests.
 */
import {
  errorOutput,
  quote,
  type CallPlan,
  type PlanGrant,
  type PlannedCall,
  type ToolCall,
  type WaitPolicy,
} from '../../protocol/index.ts';
import { parseArguments } from './parse-arguments.ts';
import type { ToolDefinition, ToolRegistry } from './types.ts';

/** Waiting for a caller that nobody said anything about: as long as the run lives. */
const CALLER_WAIT: WaitPolicy = { onDeadline: 'fail', answerWithinMs: null };

/** The pseudo-tool under which some models bundle parallel calls when they mean to make several. */
const PARALLEL_BUNDLE = /^multi_tool_use[._]parallel$/;
const MAX_NAMES_SHOWN = 32;

const needsApproval = (tool: ToolDefinition, call: ToolCall): boolean => {
  if (typeof tool.approval === 'boolean') return tool.approval;
  const parsed = parseArguments(call.arguments);
  // Arguments that don't parse never reach the tool: the activity turns them into an error output.
  if (!parsed.ok) return false;
  const checked = tool.parameters.safeParse(parsed.value);
  if (!checked.success) return false;
  try {
    return tool.approval(checked.data);
  } catch {
    // A rule that can't decide leaves it to a person.
    return true;
  }
};

const registeredPlan = (tool: ToolDefinition, call: ToolCall): CallPlan => {
  const { policy, wait } = tool;
  if (tool.external) return { kind: 'external', wait };
  return needsApproval(tool, call) ? { kind: 'approval', policy, wait } : { kind: 'automatic', policy };
};

/** What whoever set the run up can do about a tool that the worker has and the run does not declare. */
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

/**
 * Plans the calls of a round. `declaredTools` are the names the run declares; empty means that the server does not
 * tell, and the worker's own tools stand for them, unless the options say that the list is complete.
 */
export const planCalls = (
  registry: ToolRegistry,
  calls: readonly ToolCall[],
  declaredTools: readonly string[],
  options: PlanGrant = {},
): PlannedCall[] => {
  const { granted = null, complete = false } = options;
  const mayUse = (name: string): boolean => granted === null || granted.includes(name);
  const own = registry.names.filter(mayUse);
  const known = declaredTools.length === 0 && !complete ? own : declaredTools;
  return calls.map((call): PlannedCall => {
    const { callId, name, arguments: text } = call;
    const made = { callId, name, arguments: text };
    if (!known.includes(name))
      return {
        ...made,
        plan: { kind: 'refused', output: errorOutput('unknown_tool', refusal(call, known, own)) },
      };
    const tool = mayUse(name) ? registry.get(name) : undefined;
    return {
      ...made,
      plan: tool === undefined ? { kind: 'external', wait: CALLER_WAIT } : registeredPlan(tool, call),
    };
  });
};
