/** The error of a run whose history Temporal no longer has. Any room may import it. */
import { ApiError } from './errors.ts';

export const historyGone = (runId: string, execution: string | null): ApiError =>
  new ApiError(
    404,
    `Temporal has no history of run '${runId}'${execution === null ? '' : ` in execution '${execution}'`}: it is kept for the retention time of the namespace only. The timeline and the export of the run need none.`,
    { code: 'history_gone' },
  );
