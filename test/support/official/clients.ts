/**
 * The official Node clients that this Node runs: version 6, and the newest.
 *
 * Rule: nothing is left out unseen. The newest client asks for Node 22 or newer; where an older Node loads it all the same
 * it is tested there too, where it does not `leftOut` says so and a test shows it. From Node 22 on it has to load.
 */
import OpenAI6 from 'openai';
import type OpenAI from 'openai';
import { newestNodeClient } from './newest-node.ts';

export type { default as OpenAI } from 'openai';

export interface OfficialClient {
  name: string;
  Api: typeof OpenAI;
}

export interface OfficialClients {
  clients: OfficialClient[];
  /** Why the newest is not among them; null = it is. */
  leftOut: string | null;
}

export const officialClients = async (): Promise<OfficialClients> => {
  const clients: OfficialClient[] = [{ name: 'openai-node 6', Api: OpenAI6 }];
  try {
    clients.push({ name: 'openai-node 7', Api: await newestNodeClient() });
    return { clients, leftOut: null };
  } catch (error) {
    if (Number(process.versions.node.split('.')[0]) >= 22) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return { clients, leftOut: `openai-node 7 does not load on Node ${process.versions.node}: ${reason}` };
  }
};

export type Run = OpenAI.Beta.Threads.Run;
export type RunStep = OpenAI.Beta.Threads.Runs.RunStep;
export type Message = OpenAI.Beta.Threads.Message;
export type ToolCall = OpenAI.Beta.Threads.RequiredActionFunctionToolCall;
export type FunctionTool = OpenAI.Beta.FunctionTool;

export const callsOf = (run: Run): ToolCall[] => run.required_action?.submit_tool_outputs.tool_calls ?? [];

/** One output for each open call, made from its place. */
export const outputsOf = (
  run: Run,
  output: (call: ToolCall, index: number) => string = (call, index) => `${call.function.name} ${index}`,
): { tool_call_id: string; output: string }[] =>
  callsOf(run).map((call, index) => ({ tool_call_id: call.id, output: output(call, index) }));

export const threadOf = ({ thread_id }: Run): { thread_id: string } => ({ thread_id });

export const textOf = (message: Pick<Message, 'content'> | undefined): string =>
  (message?.content ?? []).map((part) => (part.type === 'text' ? part.text.value : '')).join('');

/** What the promise was rejected with; fails when it was not. */
export const failureOf = async (promise: PromiseLike<unknown>): Promise<unknown> => {
  const answer = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in answer) return answer.error;
  throw new Error(`This should have failed, and gave ${JSON.stringify(answer.value)}.`);
};

/** All at once, so that none is rejected while nobody listens. */
export const failuresOf = (promises: readonly PromiseLike<unknown>[]): Promise<unknown[]> =>
  Promise.all(promises.map((promise) => failureOf(promise)));

/** The same, each with what is expected of it. */
export const failuresWith = <T>(cases: readonly [PromiseLike<unknown>, T][]): Promise<[unknown, T][]> =>
  Promise.all(
    cases.map(async ([promise, expected]): Promise<[unknown, T]> => [await failureOf(promise), expected]),
  );

export const functionTool = (name: string, properties: Record<string, unknown> = {}): FunctionTool => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties, required: Object.keys(properties) } },
});
