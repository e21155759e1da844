/**
 * Checks the outputs of a submit against the run's row, before the workflow is asked. Pure.
 *
 * Rule: which outputs a round takes is decided by `protocol/rules/tool-outputs.ts`. A client's own retry of an accepted
 * request is acknowledged; the same outputs from another request are late, unless no request was acknowledged before.
 * The workflow decides what it accepts, and the row decides which request was first.
 * Imported within `service/` and by tests.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { RoundState } from '../protocol/ports/turn-store.ts';
import type { RunForSubmit } from '../protocol/ports/run-store.ts';
import { checkOutputSizes } from '../protocol/rules/check-output-sizes.ts';
import { compareOutputs, type ExternalCall } from '../protocol/rules/tool-outputs.ts';
import type { ToolOutput } from '../protocol/wire/objects.ts';

export type SubmitCheck =
  | 'send'
  /** An earlier try of this request was accepted. */
  | 'repeated'
  /** A worker has accepted these outputs, but no request was acknowledged, as after a 503: the first to ask is. */
  | 'claim';

const externalCalls = (round: RoundState | null): ExternalCall[] =>
  round === null
    ? []
    : round.calls
        .filter(({ plan }) => plan.kind === 'external')
        .map(({ callId }) => ({
          callId,
          matches: Object.hasOwn(round.outputs, callId)
            ? (output: string) => round.outputs[callId] === output
            : null,
        }));

/** Every external call of the round has an output, and these outputs repeat some or all of them. */
export const equalsAcceptedOutputs = (round: RoundState | null, outputs: readonly ToolOutput[]): boolean => {
  if (outputs.length === 0) return false;
  const { open, unexpected, differing } = compareOutputs(externalCalls(round), outputs);
  return open.length === 0 && unexpected.length === 0 && differing.length === 0;
};

export const checkSubmit = (
  found: RunForSubmit,
  outputs: readonly ToolOutput[],
  isRetry: boolean,
): SubmitCheck => {
  const { status, round } = found;
  const { open, duplicate, missing, unexpected, differing } = compareOutputs(externalCalls(round), outputs);
  if (duplicate !== undefined) throw apiErrors.duplicateOutput(duplicate);
  checkOutputSizes(outputs);
  if (equalsAcceptedOutputs(found.asked, outputs)) {
    if (isRetry || found.keyUsed) return 'repeated';
    if (found.asked?.acceptedBy == null && outputs.length > 0) return 'claim';
  }
  if (status !== 'requires_action' || round === null) throw apiErrors.notWaiting(status);
  if (unexpected.length > 0 || missing.length > 0)
    throw apiErrors.expectedOutputs(
      open,
      outputs.map(({ tool_call_id: id }) => id),
    );
  if (differing.length > 0) throw apiErrors.outputsDiffer(differing);
  return 'send';
};
