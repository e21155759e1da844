/**
 * One decision for several calls of one tool: each is shown before the button for all of them works.
 *
 * Rule: a call counts as seen when its arguments were on the screen. Arguments that change meanwhile must be seen again.
 */
import { useEffect, useState } from 'preact/hooks';
import { problemText } from '../../http/api.ts';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { EscapedLines, EscapedText } from '../../ui/escaped-text.tsx';
import { JsonTable, JsonText } from '../../ui/json-view.tsx';
import { TimeLeft } from '../../ui/time-left.tsx';
import { useDetails } from './details.ts';
import type { InboxCall, InboxDetails } from './inbox-types.ts';
import { markShown, wasShown } from './selection.ts';

interface BulkReviewProps {
  calls: readonly InboxCall[];
  onClose: () => void;
  onApprove: (calls: readonly InboxCall[]) => void;
}

const Shown = ({ details }: { details: InboxDetails }) => (
  <>
    {details.said === null ? null : (
      <blockquote class="said">
        <EscapedLines text={details.said} most={600} />
      </blockquote>
    )}
    {details.arguments_problem === null ? (
      <JsonTable value={details.arguments_value} caption="Arguments of the call" />
    ) : (
      <JsonText text={details.arguments_shown} already />
    )}
  </>
);

export const BulkReview = ({ calls, onClose, onApprove }: BulkReviewProps) => {
  const [index, setIndex] = useState(0);
  const at = Math.min(index, calls.length - 1);
  const call = calls[at];
  const { details, problem } = useDetails(call?.id ?? null);
  useEffect(() => {
    if (details !== null) markShown(details);
  }, [details]);
  if (call === undefined) return null;
  const unseen = calls.filter((one) => !wasShown(one)).length;
  return (
    <Dialog title={`Review ${calls.length} calls`} onClose={onClose} wide>
      <p class="review-head">
        <strong>
          <EscapedText text={call.tool} />
        </strong>
        <span aria-live="polite">
          {at + 1} of {calls.length}
        </span>
        <TimeLeft deadline={call.answer_by} />
      </p>
      <div class="review-call" tabIndex={0} role="region" aria-label="The call">
        {details === null ? (
          <p class="muted">{problem === null ? 'Loading' : problemText(problem)}</p>
        ) : (
          <Shown details={details} />
        )}
      </div>
      <div class="dialog-actions">
        <span class="muted small review-left">
          {unseen === 0 ? 'You have seen all of them.' : `${unseen} not seen yet`}
        </span>
        <Button disabled={at === 0} onClick={() => setIndex(at - 1)}>
          Back
        </Button>
        {at === calls.length - 1 ? null : <Button onClick={() => setIndex(at + 1)}>Next</Button>}
        <Button kind="primary" disabled={unseen > 0} onClick={() => onApprove(calls)}>
          Approve {calls.length} calls
        </Button>
      </div>
    </Dialog>
  );
};
