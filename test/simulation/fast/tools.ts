/**
 * Tools and hooks at the fast level: scripted, with a record of their effects.
 *
 * Rule: an effect with a key happens once, however often the tool runs; the number of starts is recorded for the
 * auditor. Only `test/simulation` imports it.
 */
import type { CallOutcome, ToolActivityInput } from '../../../protocol/tool-calls.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import type { Ledger } from '../ledger.ts';
import type { Scenario, ToolScript } from '../scenario.ts';
import { applicationFailure } from '../temporal/types.ts';
import type { Attempt } from './attempt.ts';

const FOR_EVER_MS = 24 * 3_600_000;

export interface FastTools {
  runTool(attempt: Attempt, input: ToolActivityInput): Promise<CallOutcome>;
  runHook(attempt: Attempt): Promise<void>;
}

export const createFastTools = (scenario: Scenario, ledger: Ledger): FastTools => {
  const scripts = new Map<string, ToolScript>();
  for (const turn of scenario.turns)
    if (turn.kind === 'calls')
      for (const call of turn.calls) if (call.tool !== null) scripts.set(call.callId, call.tool);
  let hookFailures = scenario.hookFailures;

  return {
    async runTool(a, input) {
      const script = scripts.get(input.callId);
      if (script === undefined) throw new Error(`no script for ${input.callId}`);
      if (input.atMostOnce && a.number > 1)
        throw applicationFailure(FAILURES.toolOutcomeUnknown, 'the attempt before was lost');
      await a.at('tool begins');
      a.fence();
      const record = ledger.tools.get(input.idempotencyKey) ?? {
        key: input.idempotencyKey,
        callId: input.callId,
        arguments: input.arguments,
        atMostOnce: input.atMostOnce,
        starts: 0,
        effects: 0,
        returned: [],
      };
      ledger.tools.set(input.idempotencyKey, record);
      record.starts += 1;
      if (record.callId !== input.callId || record.arguments !== input.arguments)
        ledger.violate('I4', `key ${record.key} was used for two different calls`);
      ledger.note(`tool ${input.callId} attempt ${a.number} starts`);
      await a.sleep(script.end === 'hang' ? FOR_EVER_MS : script.ms);
      if (a.number <= script.failures)
        throw applicationFailure(FAILURES.toolFailed, 'not yet', { retryable: true });
      record.effects = 1;
      await a.at('tool took effect');
      if (script.end === 'throw')
        throw applicationFailure(FAILURES.toolFailed, 'broken', { retryable: true });
      if (script.end === 'final') throw applicationFailure(FAILURES.toolFailed, 'never');
      const output = `tool:${input.callId}:${input.arguments}`;
      record.returned.push(output);
      return { output, ok: true };
    },
    async runHook(a) {
      await a.sleep(scenario.hookMs);
      hookFailures -= 1;
      if (hookFailures >= 0) throw applicationFailure('Hook', 'hook failed', { retryable: true });
    },
  };
};
