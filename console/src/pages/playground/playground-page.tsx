/** A place to try an assistant: write a message, watch the run, answer its calls. For operators whose key also starts runs. */
import { useEffect, useState } from 'preact/hooks';
import { isTerminal, type Assistant, type Page, type Run } from '../../../../protocol/wire/objects.ts';
import { requestJson } from '../../http/api.ts';
import { mayOpen } from '../../http/session.ts';
import { hrefOf, query, setQuery } from '../../router.ts';
import { ConversationView } from '../../runs/conversation-view.tsx';
import { FollowedRun } from '../../runs/followed-run.ts';
import { RunStatusBadge } from '../../runs/status-badge.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Button } from '../../ui/button.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { CallForms } from './call-forms.tsx';
import './playground.css';

const MOST = 100;

const useAssistants = (): { assistants: Assistant[] | null; problem: unknown } => {
  const [state, setState] = useState<{ assistants: Assistant[] | null; problem: unknown }>({
    assistants: null,
    problem: null,
  });
  useEffect(() => {
    requestJson<Page<Assistant>>(`/v1/assistants?limit=${MOST}`).then(
      ({ data }) => setState({ assistants: data, problem: null }),
      (problem: unknown) => setState({ assistants: null, problem }),
    );
  }, []);
  return state;
};

/** The first message creates the thread, later ones go to it. */
const startRun = async (assistant: string, thread: string | null, text: string): Promise<Run> => {
  const message = { role: 'user', content: text };
  return thread === null
    ? requestJson<Run>('/v1/threads/runs', {
        method: 'POST',
        body: { assistant_id: assistant, thread: { messages: [message] } },
      })
    : requestJson<Run>(`/v1/threads/${encodeURIComponent(thread)}/runs`, {
        method: 'POST',
        body: { assistant_id: assistant, additional_messages: [message] },
      });
};

const AssistantChoice = ({ assistants, chosen }: { assistants: readonly Assistant[]; chosen: string }) => (
  <label class="field">
    <span class="field-label">Assistant</span>
    <select value={chosen} onChange={(event) => setQuery({ assistant: event.currentTarget.value })}>
      {assistants.map(({ id, name, model }) => (
        <option key={id} value={id}>
          {`${name ?? id} · ${model}`}
        </option>
      ))}
    </select>
  </label>
);

const useLive = (): [FollowedRun | null, (run: Run) => void, () => void] => {
  const [live, setLive] = useState<FollowedRun | null>(null);
  useEffect(() => () => live?.stop(), [live]);
  const begin = (run: Run): void => {
    const next = new FollowedRun();
    void next.follow(run.id, run);
    setLive(next);
  };
  return [live, begin, () => setLive(null)];
};

const Composer = (props: { busy: boolean; running: boolean; onSend: (text: string) => Promise<boolean> }) => {
  const [text, setText] = useState('');
  const send = async (): Promise<void> => {
    if (text.trim() === '' || props.running) return;
    if (await props.onSend(text)) setText('');
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="field">
        <span class="field-label">Message</span>
        <textarea
          value={text}
          rows={3}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            void send();
          }}
        />
        <span class="field-help">Enter sends, Shift and Enter begins a line.</span>
      </label>
      <Button kind="primary" type="submit" busy={props.busy} disabled={props.running}>
        Send
      </Button>
    </form>
  );
};

const Play = ({ assistants }: { assistants: readonly Assistant[] }) => {
  const asked = query.value.get('assistant') ?? '';
  const chosen = assistants.find(({ id }) => id === asked)?.id ?? assistants[0]?.id ?? '';
  const [live, begin, forget] = useLive();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const view = live?.view.value;
  const run = view?.run ?? null;
  const running = run !== null && !isTerminal(run.status);
  const send = async (text: string): Promise<boolean> => {
    setBusy(true);
    setProblem(null);
    try {
      begin(await startRun(chosen, run?.thread_id ?? null, text));
      return true;
    } catch (error) {
      setProblem(error);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const shown = problem ?? view?.problem ?? null;
  return (
    <>
      <div class="play-head">
        <AssistantChoice assistants={assistants} chosen={chosen} />
        {run === null ? null : (
          <>
            <RunStatusBadge run={run} />
            <a href={hrefOf(`/runs/${encodeURIComponent(run.id)}`)}>Open the run</a>
            <Button kind="quiet" onClick={forget} disabled={running}>
              New thread
            </Button>
          </>
        )}
      </div>
      {view === undefined ? null : <ConversationView items={view.items} live />}
      {run === null || !running ? null : (
        <CallForms run={run} items={view?.items ?? []} onProblem={setProblem} />
      )}
      <Problem error={run?.last_error?.message} />
      <Problem error={shown} />
      <Composer busy={busy} running={running} onSend={send} />
    </>
  );
};

const PlaygroundPage = () => {
  const { assistants, problem } = useAssistants();
  if (!mayOpen(['caller']))
    return (
      <EmptyState title="This key starts no runs">
        The playground needs a key with the roles operator and caller.
      </EmptyState>
    );
  return (
    <div class="page playground">
      <h1>Playground</h1>
      <Problem error={problem} />
      {assistants === null ? (
        <div class="page-loading" aria-busy={problem === null} />
      ) : assistants.length === 0 ? (
        <EmptyState title="No assistants yet">
          Create one with the API, or with runs assistants create.
        </EmptyState>
      ) : (
        <Play assistants={assistants} />
      )}
    </div>
  );
};
export default PlaygroundPage;
