/** A run's status. Rule: the word says it; colour only helps. */
import type { Run } from '../../../protocol/wire/objects.ts';
import { statusText, toneOf } from './figures.ts';

export const RunStatusBadge = ({ run }: { run: Pick<Run, 'status' | 'awaiting'> }) => {
  const waits = run.awaiting !== undefined && run.awaiting.length > 0;
  const person = waits && run.awaiting?.some(({ kind }) => kind === 'approval');
  return (
    <span class={`status status-${toneOf(run.status, waits)}`}>
      {person === true ? 'waits for a person' : statusText(run.status)}
    </span>
  );
};
