/** What can be done with a run: cancel, export, history, replay, Temporal's page of it. */
import { useState } from 'preact/hooks';
import { isTerminal, type Run } from '../../../../protocol/wire/objects.ts';
import type { RunTimeline } from '../../../../protocol/wire/run-timeline.ts';
import { problemText, requestJson } from '../../http/api.ts';
import { currentSession, mayOpen } from '../../http/session.ts';
import { announce, notify } from '../../layout/notices.tsx';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { useShortcuts } from '../../ui/shortcuts.tsx';
import { temporalPage } from './temporal-page.ts';

const CancelDialog = ({ run, onClose }: { run: Run; onClose: () => void }) => {
  const [busy, setBusy] = useState(false);
  const cancel = async (): Promise<void> => {
    setBusy(true);
    try {
      await requestJson<Run>(
        `/v1/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}/cancel`,
        { method: 'POST' },
      );
      announce('The run is being cancelled.');
    } catch (error) {
      notify({ kind: 'problem', text: problemText(error) });
    }
    onClose();
  };
  return (
    <Dialog
      title="Cancel this run?"
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Keep it running</Button>
          <Button kind="danger" busy={busy} onClick={() => void cancel()}>
            Cancel the run
          </Button>
        </>
      }
    >
      <p>
        Calls that wait can no longer be answered, and the worker asks a running tool to stop. What tools have
        done remains. A cancelled run can’t be continued.
      </p>
    </Dialog>
  );
};

const ReplayHelp = ({ run, onClose }: { run: Run; onClose: () => void }) => {
  const command = `npx runs replay ${run.id}.json`;
  return (
    <Dialog title="Replay this run on your machine" onClose={onClose} wide>
      <ol class="replay-steps">
        <li>
          <a href={`/v1/runs/${encodeURIComponent(run.id)}/history`} download={`${run.id}.json`}>
            Download the history
          </a>
        </li>
        <li>
          Replay it on the code that you have:
          <pre tabIndex={0}>
            <code>{command}</code>
          </pre>
          <Button
            onClick={() => {
              navigator.clipboard.writeText(command).then(
                () => announce('Copied.'),
                () => notify({ kind: 'problem', text: 'The browser did not let the page copy.' }),
              );
            }}
          >
            Copy the command
          </Button>
        </li>
      </ol>
      <p class="muted">
        No server is needed, and no tool runs. Payloads in the file are as Temporal keeps them: for encrypted
        ones, set the keys of the workers (RUNS_ENCRYPTION_KEYS).
      </p>
    </Dialog>
  );
};

export const RunActions = ({ run, timeline }: { run: Run; timeline: RunTimeline | null }) => {
  const [open, setOpen] = useState<'cancel' | 'replay' | null>(null);
  const links = currentSession.value?.links;
  const page = temporalPage(links, timeline?.history.workflow_id ?? run.id);
  const live = !isTerminal(run.status) && run.status !== 'cancelling';
  const operator = mayOpen(['operator']);
  const close = (): void => setOpen(null);
  useShortcuts(live ? [{ key: 'x', label: 'Cancel the run', run: () => setOpen('cancel') }] : []);
  return (
    <div class="run-actions" role="group" aria-label="Actions">
      {live ? (
        <Button kind="danger" shortcut="x" onClick={() => setOpen('cancel')}>
          Cancel
        </Button>
      ) : null}
      <a
        class="button"
        href={`/v1/runs/${encodeURIComponent(run.id)}/export`}
        download={`${run.id}-export.json`}
      >
        Export
      </a>
      {operator && timeline?.history.state !== 'gone' ? (
        <>
          <a
            class="button"
            href={`/v1/runs/${encodeURIComponent(run.id)}/history`}
            download={`${run.id}.json`}
          >
            Raw history
          </a>
          <Button onClick={() => setOpen('replay')}>Replay locally</Button>
        </>
      ) : null}
      {page === null ? null : (
        <a class="button" href={page} target="_blank" rel="noopener noreferrer">
          Open in Temporal
        </a>
      )}
      {open === 'cancel' ? <CancelDialog run={run} onClose={close} /> : null}
      {open === 'replay' ? <ReplayHelp run={run} onClose={close} /> : null}
    </div>
  );
};
