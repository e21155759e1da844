/**
 * May these outputs be submitted to this run now? The rule of the wire, decided on the row. Pure.
 *
 * Rule: one request carries every open call once; calls that people answered before may be repeated, identically. A client's
 * own retry of what was accepted is told so; the same from anybody else is late, unless nobody was told before. This only
 * pre-checks: the workflow decides what it takes, and the row decides who was first.
 * Imported within `service/` and by tests.
 */
import { apiErrors } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { RoundState, RunForSubmit } from '../protocol/ports/run-store.ts';
import type { ToolOutput } from '../protocol/wire/objects.ts';

export type SubmitCheck =
  | 'send'
  /** An earlier try of this request was accepted, and told so or about to be. */
  | 'repeated'
  /** A worker has taken these outputs and nobody was told yet, as after a 503: the first who asks is. */
  | 'claim';

const externalIds = (round: RoundState): Set<string> =>
  new Set(round.calls.filter(({ plan }) => plan.kind === 'external').map(({ callId }) => callId));

const answered = (round: RoundState, id: string): boolean => Object.hasOwn(round.outputs, id);

/** Exactly what the round's external calls were answered with, or a part of it that says the same. */
export const equalsAcceptedOutputs = (round: RoundState | null, outputs: readonly ToolOutput[]): boolean => {
  if (round === null || outputs.length === 0) return false;
  const external = externalIds(round);
  return (
    [...external].every((id) => answered(round, id)) &&
    outputs.every(
      ({ tool_call_id: id, output }) =>
        external.has(id) && answered(round, id) && round.outputs[id] === output,
    )
  );
};

const checkSizes = (outputs: readonly ToolOutput[]): void => {
  let bytes = 0;
  for (const [index, { output }] of outputs.entries()) {
    if (output.length > LIMITS.outputChars) throw apiErrors.outputTooLong(index, output.length);
    bytes += Buffer.byteLength(output);
  }
  if (bytes > LIMITS.combinedOutputBytes) throw apiErrors.outputsTooLarge();
};

export const checkSubmit = (
  found: RunForSubmit,
  outputs: readonly ToolOutput[],
  isRetry: boolean,
): SubmitCheck => {
  const { status, round } = found;
  const ids = new Set<string>();
  for (const { tool_call_id: id } of outputs) {
    if (ids.has(id)) throw apiErrors.duplicateOutput(id);
    ids.add(id);
  }
  checkSizes(outputs);
  if (equalsAcceptedOutputs(found.asked, outputs)) {
    if (isRetry || found.keyUsed) return 'repeated';
    if (found.asked?.acceptedBy == null && outputs.length > 0) return 'claim';
  }
  if (status !== 'requires_action' || round === null) throw apiErrors.notWaiting(status);
  const external = externalIds(round);
  const open = [...external].filter((id) => !answered(round, id));
  const unknown = [...ids].some((id) => !external.has(id));
  if (unknown || !open.every((id) => ids.has(id))) throw apiErrors.expectedOutputs(open, [...ids]);
  const differing = outputs
    .filter(({ tool_call_id: id, output }) => answered(round, id) && round.outputs[id] !== output)
    .map(({ tool_call_id: id }) => id);
  if (differing.length > 0) throw apiErrors.outputsDiffer(differing);
  return 'send';
};
