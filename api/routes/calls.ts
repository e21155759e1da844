/** The route of one call, for a person who decides about it. Rule: see `route.ts`. */
import { apiErrors } from '../../protocol/errors.ts';
import { argumentsDigest } from '../../protocol/rules/arguments-digest.ts';
import { showArguments } from '../../protocol/rules/show-arguments.ts';
import { parseArguments } from '../../protocol/rules/tool-arguments.ts';
import { visible } from '../../protocol/rules/visible.ts';
import type { Caller } from '../../protocol/ports/runs-service.ts';
import type { StepToolCall } from '../../protocol/wire/decisions.ts';
import type { Run, RunStep } from '../../protocol/wire/objects.ts';
import { idParam, route } from '../route.ts';
import type { Route, RouteInput } from '../route.ts';

const STEPS_A_PAGE = 100;

const callIn = (steps: readonly RunStep[], callId: string): StepToolCall | undefined =>
  steps
    .flatMap(({ step_details: details }) => (details.type === 'tool_calls' ? details.tool_calls : []))
    .find(({ id }) => id === callId);

/** Newest steps first: a waiting call is among them. */
const findCall = async (
  { engine, caller }: RouteInput<unknown>,
  run: Run,
  callId: string,
): Promise<StepToolCall> => {
  let after: string | null = null;
  for (;;) {
    const page: Awaited<ReturnType<typeof engine.listSteps>> = await engine.listSteps(
      caller,
      run.thread_id,
      run.id,
      { limit: STEPS_A_PAGE, order: 'desc', ...(after === null ? {} : { after }) },
    );
    const call = callIn(page.data, callId);
    if (call !== undefined) return call;
    if (!page.has_more || page.last_id === null) throw apiErrors.notFound('tool call', callId);
    after = page.last_id;
  }
};

/** An approver's key reads only calls that it may decide. */
const mayRead = ({ roles, grantedTools }: Caller, { function: { name } }: StepToolCall): boolean =>
  roles === undefined ||
  roles.some((role) => role !== 'approver') ||
  grantedTools == null ||
  grantedTools.includes(name);

const callView = (run: Run, { id, function: { name, arguments: json, output } }: StepToolCall) => {
  const parsed = parseArguments(json);
  return {
    id,
    object: 'thread.run.call',
    thread_id: run.thread_id,
    run_id: run.id,
    name: visible(name),
    // JSON that parses to exactly the arguments, without characters that mislead a reader.
    arguments: showArguments(json, Infinity).text,
    arguments_digest: parsed.ok ? argumentsDigest(parsed.value) : null,
    arguments_problem: parsed.ok ? null : visible(parsed.problem),
    output: output ?? null,
  };
};

export const callRoutes: readonly Route[] = [
  route('GET', '/v1/threads/{thread_id}/runs/{run_id}/calls/{call_id}', {
    summary: 'Read the arguments of one call, in full and safe to display (an extension of this server)',
    roles: ['caller', 'approver', 'operator'],
    returns: { object: 'Call' },
    handle: async (input) => {
      const run = await input.engine.getRun(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'run_id'),
      );
      const callId = idParam(input, 'call_id');
      const call = await findCall(input, run, callId);
      if (!mayRead(input.caller, call)) throw apiErrors.notFound('tool call', callId);
      return { json: callView(run, call) };
    },
  }),
];
