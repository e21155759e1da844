/**
 * The calls that a run waits for: outputs of the caller's own tools, sent together, and approvals, each decided alone.
 *
 * Rule: an approval names the digest of the arguments that the page shows, so nothing else can be approved by it.
 */
import { useState } from 'preact/hooks';
import type { Run } from '../../../../protocol/wire/objects.ts';
import { problemText, requestJson } from '../../http/api.ts';
import { mayOpen } from '../../http/session.ts';
import { announce } from '../../layout/notices.tsx';
import type { ConversationItem } from '../../runs/conversation.ts';
import { Button } from '../../ui/button.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { JsonText } from '../../ui/json-view.tsx';

const runPath = (run: Run): string =>
  `/v1/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}`;

interface FormProps {
  run: Run;
  items: readonly ConversationItem[];
  onProblem: (problem: unknown) => void;
}

const OutputForm = ({ run, onProblem }: FormProps) => {
  const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  const [outputs, setOutputs] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  if (calls.length === 0) return null;
  const submit = async (): Promise<void> => {
    setBusy(true);
    onProblem(null);
    try {
      await requestJson<Run>(`${runPath(run)}/submit_tool_outputs`, {
        method: 'POST',
        body: { tool_outputs: calls.map(({ id }) => ({ tool_call_id: id, output: outputs[id] ?? '' })) },
      });
      announce('The outputs were sent.');
      setOutputs({});
    } catch (error) {
      onProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="call-form"
      aria-label="Outputs"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {calls.map((call) => (
        <label class="field" key={call.id}>
          <span class="field-label">
            Output of{' '}
            <code>
              <EscapedText text={call.function.name} />
            </code>
          </span>
          <JsonText text={call.function.arguments} />
          <textarea
            class="code"
            value={outputs[call.id] ?? ''}
            rows={2}
            onInput={(event) => {
              const { value } = event.currentTarget;
              setOutputs((before) => ({ ...before, [call.id]: value }));
            }}
          />
        </label>
      ))}
      <Button kind="primary" type="submit" busy={busy}>
        Send {calls.length === 1 ? 'the output' : `all ${calls.length} outputs`}
      </Button>
    </form>
  );
};

interface ShownCall {
  arguments: string;
  arguments_digest: string | null;
}

const ApprovalForm = (props: {
  run: Run;
  callId: string;
  tool: string;
  onProblem: FormProps['onProblem'];
}) => {
  const { run, callId, tool, onProblem } = props;
  const [shown, setShown] = useState<ShownCall | null>(null);
  const [busy, setBusy] = useState(false);
  const work = async (step: () => Promise<void>): Promise<void> => {
    setBusy(true);
    onProblem(null);
    try {
      await step();
    } catch (error) {
      onProblem(error);
      announce(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  const read = (): Promise<void> =>
    work(async () =>
      setShown(await requestJson<ShownCall>(`${runPath(run)}/calls/${encodeURIComponent(callId)}`)),
    );
  const decide = (decision: 'approve' | 'deny'): Promise<void> =>
    work(async () => {
      const digest = shown?.arguments_digest ?? null;
      await requestJson(`${runPath(run)}/answers`, {
        method: 'POST',
        body: { call_id: callId, decision, ...(digest === null ? {} : { arguments_digest: digest }) },
      });
      announce(decision === 'approve' ? 'Approved.' : 'Denied.');
    });
  return (
    <div class="call-form" role="group" aria-label={`Decide about ${tool}`}>
      <p>
        <code>
          <EscapedText text={tool} />
        </code>{' '}
        waits for a person.
      </p>
      {shown === null ? (
        <Button busy={busy} onClick={() => void read()}>
          Show the arguments
        </Button>
      ) : (
        <>
          <JsonText text={shown.arguments} already />
          <div class="call-buttons">
            <Button kind="primary" busy={busy} onClick={() => void decide('approve')}>
              Approve
            </Button>
            <Button kind="danger" busy={busy} onClick={() => void decide('deny')}>
              Deny
            </Button>
          </div>
        </>
      )}
    </div>
  );
};

export const CallForms = (props: FormProps) => {
  const { run, onProblem } = props;
  const approvals = (run.awaiting ?? []).filter(({ kind }) => kind === 'approval');
  const decides = mayOpen(['approver']);
  return (
    <>
      <OutputForm {...props} />
      {approvals.map((call) =>
        decides ? (
          <ApprovalForm
            key={call.call_id}
            run={run}
            callId={call.call_id}
            tool={call.tool}
            onProblem={onProblem}
          />
        ) : (
          <p key={call.call_id} class="muted">
            <code>
              <EscapedText text={call.tool} />
            </code>{' '}
            waits for a person with the role approver.
          </p>
        ),
      )}
    </>
  );
};
