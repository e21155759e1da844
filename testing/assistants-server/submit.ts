/**
 * Which outputs a waiting run accepts: the rule of the wire, and the laxer ones of servers that differ.
 *
 * Rule: decisions only, nothing changes here. One request carries every open call once; anything else is refused with
 * the API's own words. Only `testing/assistants-server/` imports it.
 */
import { apiErrors } from '../../protocol/errors.ts';
import { compareOutputs } from '../../protocol/rules/tool-outputs.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import type { AnswerPayload, AnswerReply } from '../../protocol/temporal/messages.ts';
import type { Quirks } from './quirks.ts';
import type { RunRecord } from './records.ts';
import { openCalls } from './views.ts';

export type SandboxSubmitResult =
  /** A repeat of an accepted submit: return the run, change nothing. */
  | { kind: 'repeated' }
  /** The round is complete: continue with these outputs. */
  | { kind: 'complete'; outputs: ToolOutput[] }
  /** Stored; other outputs are still awaited (lax servers only). */
  | { kind: 'partial'; outputs: ToolOutput[] };

const same = (a: readonly ToolOutput[], b: readonly ToolOutput[]): boolean =>
  a.length === b.length &&
  a.every((output) =>
    b.some((other) => other.tool_call_id === output.tool_call_id && other.output === output.output),
  );

/** Outputs of the whole round: answers accepted one by one before, and these. */
const whole = (run: RunRecord, outputs: readonly ToolOutput[]): ToolOutput[] => {
  const given = new Map(run.answers);
  for (const { tool_call_id: id, output } of outputs) given.set(id, output);
  return [...given].map(([id, output]) => ({ tool_call_id: id, output }));
};

export const evaluateSandboxSubmit = (
  run: RunRecord,
  outputs: readonly ToolOutput[],
  isRetry: boolean,
  quirks: Quirks,
): SandboxSubmitResult => {
  if (run.status !== 'requires_action') {
    if (quirks.uncheckedSubmits) return { kind: 'repeated' };
    if (isRetry && !quirks.noRetryRecognition && run.lastOutputs !== null && same(outputs, run.lastOutputs))
      return { kind: 'repeated' };
    throw apiErrors.notWaiting(run.status);
  }
  if (quirks.uncheckedSubmits) return { kind: 'complete', outputs: whole(run, outputs) };
  const { open, duplicate, missing, unexpected, differing } = compareOutputs(
    [
      ...openCalls(run).map(({ id }) => ({ callId: id, matches: null })),
      ...[...run.answers].map(([callId, first]) => ({
        callId,
        matches: (output: string) => output === first,
      })),
    ],
    outputs,
  );
  if (duplicate !== undefined) throw apiErrors.duplicateOutput(duplicate);
  if (differing.length > 0) throw apiErrors.outputsDiffer(differing);
  if (unexpected.length > 0 || (missing.length > 0 && !quirks.partialSubmits)) {
    if (isRetry && !quirks.noRetryRecognition && run.lastOutputs !== null && same(outputs, run.lastOutputs))
      return { kind: 'repeated' };
    throw apiErrors.expectedOutputs(
      open,
      outputs.map(({ tool_call_id: id }) => id),
    );
  }
  return missing.length > 0
    ? { kind: 'partial', outputs: [...outputs] }
    : { kind: 'complete', outputs: whole(run, outputs) };
};

export type AnswerVerdict = { reply: AnswerReply; record: [callId: string, output: string] | null };

/** The accepted output of a call of this run, in this round or an earlier one. */
const outputOf = (run: RunRecord, callId: string): string | undefined => {
  for (const { details } of run.steps) {
    const call = 'calls' in details ? details.calls.find(({ id }) => id === callId) : undefined;
    if (call?.output != null) return call.output;
  }
  return undefined;
};

/** One call answered by a person: what to record, if anything, and the reply. */
export const evaluateSandboxAnswer = (run: RunRecord, payload: AnswerPayload): AnswerVerdict => {
  const { call_id: callId } = payload;
  if (payload.run_id !== undefined && payload.run_id !== run.id)
    throw apiErrors.invalid(
      'run_id',
      `This answer names run '${payload.run_id}', but was sent to run '${run.id}'.`,
    );
  if (payload.decision !== undefined)
    throw apiErrors.invalid('decision', `Call '${callId}' awaits an output, not a decision.`);
  const isText = typeof payload.output === 'string';
  const output = isText ? String(payload.output) : JSON.stringify(payload.output ?? null);
  const open = openCalls(run).map((call) => call.id);
  const reply = (result: AnswerReply['result']): AnswerReply => ({
    run_id: run.id,
    call_id: callId,
    result,
    ...(isText ? {} : { notes: ['serialised' as const] }),
    waiting: open.filter((id) => id !== callId),
  });
  const before = run.answers.get(callId) ?? outputOf(run, callId);
  if (before === output) return { reply: reply('repeated'), record: null };
  if (before !== undefined) throw apiErrors.outputsDiffer([callId]);
  if (run.status !== 'requires_action') throw apiErrors.notWaiting(run.status);
  if (!open.includes(callId)) throw apiErrors.expectedOutputs(open, [callId]);
  return { reply: reply('accepted'), record: [callId, output] };
};
