/**
 * The scenario's calls as a real tool registry, so that plans, arguments, retries and outputs go the production way.
 *
 * Rule: one tool for each call, since policies belong to tools; its effects are on record for the auditor.
 * Only `test/simulation/full` imports it.
 */
import { z } from 'zod';
import { defineTools, ToolError } from '../../../activities/index.ts';
import type { ToolOptions, ToolRegistry } from '../../../activities/index.ts';
import type { Ledger } from '../ledger.ts';
import type { CallScript, Scenario } from '../scenario.ts';

/** A tool's parameters take a person's edits; anything else is refused before it runs. */
const PARAMETERS = z.object({ note: z.string().optional(), edited: z.boolean().optional() });

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
  });

const FOR_EVER_MS = 86_400_000;

export interface ToolsDeps {
  ledger: Ledger;
  /** Does the worker survive this place? Resolves if so; waits for ever if not. */
  at(place: 'tool begins' | 'tool took effect'): Promise<void>;
  key(key: string, attempt: number): string;
}

const optionsOf = (call: CallScript, deps: ToolsDeps): ToolOptions | null => {
  const { ledger } = deps;
  const { plan } = call;
  if (plan.kind === 'refused') return null;
  const waits =
    'wait' in plan
      ? {
          onDeadline: plan.wait.onDeadline,
          ...(plan.wait.answerWithinMs === null
            ? {}
            : { answerWithin: Math.max(1, plan.wait.answerWithinMs) }),
        }
      : {};
  const base = { description: `the call ${call.callId}`, parameters: PARAMETERS };
  if (plan.kind === 'external') return { ...base, external: true, ...waits };
  const { policy } = plan;
  const { tool } = call;
  return {
    ...base,
    ...waits,
    ...(plan.kind === 'approval' ? { approval: true } : {}),
    timeout: policy.startToCloseMs,
    ...(policy.heartbeatMs === null ? {} : { heartbeat: policy.heartbeatMs }),
    ...(policy.atMostOnce ? { atMostOnce: true } : { retry: { maximumAttempts: policy.maximumAttempts } }),
    async execute(args, context) {
      const text = JSON.stringify(args);
      const key = deps.key(context.idempotencyKey, context.attempt);
      const record = ledger.tools.get(key) ?? {
        key,
        callId: call.callId,
        arguments: text,
        atMostOnce: policy.atMostOnce,
        starts: 0,
        effects: 0,
        returned: [],
      };
      ledger.tools.set(key, record);
      record.starts += 1;
      if (record.callId !== call.callId || record.arguments !== text)
        ledger.violate('I4', `key ${record.key} was used for two different calls`);
      ledger.note(`tool ${call.callId} attempt ${context.attempt} starts`);
      await deps.at('tool begins');
      const beats = setInterval(() => context.heartbeat(), 1_000);
      try {
        await pause(tool?.end === 'hang' ? FOR_EVER_MS : (tool?.ms ?? 0), context.signal);
      } finally {
        clearInterval(beats);
      }
      if (context.attempt <= (tool?.failures ?? 0)) throw new Error('not yet');
      record.effects = 1;
      await deps.at('tool took effect');
      if (tool?.end === 'throw') throw new Error('broken');
      if (tool?.end === 'final') throw new ToolError('never');
      const output = `tool:${call.callId}:${text}`;
      record.returned.push(output);
      return output;
    },
  };
};

export interface FullTools {
  registry: ToolRegistry;
  /** What the run declares: every tool but those that nobody knows. */
  declared: ReturnType<ToolRegistry['definitions']>;
}

export const createFullTools = (scenario: Scenario, deps: ToolsDeps): FullTools => {
  const options: Record<string, ToolOptions> = {};
  for (const turn of scenario.turns)
    if (turn.kind === 'calls')
      for (const call of turn.calls) {
        const tool = optionsOf(call, deps);
        if (tool !== null) options[call.name] = tool;
      }
  const registry = defineTools(options);
  return { registry, declared: registry.definitions() };
};
