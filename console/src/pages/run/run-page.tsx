/** One run: what it did, what was said, live while it runs. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { isTerminal, type Run } from '../../../../protocol/wire/objects.ts';
import type { RunTimeline } from '../../../../protocol/wire/run-timeline.ts';
import { ApiError } from '../../../../protocol/errors.ts';
import { problemText, requestJson } from '../../http/api.ts';
import { hrefOf } from '../../router.ts';
import { ConversationView } from '../../runs/conversation-view.tsx';
import { FollowedRun } from '../../runs/followed-run.ts';
import { Problem } from '../../ui/problem.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { now } from '../../ui/clock.ts';
import { RunActions } from './run-actions.tsx';
import { RunHead } from './run-head.tsx';
import { TimelineView } from './timeline-view.tsx';
import './run.css';

/** Shortest pause between two readings of the timeline, and the longest while the run works: attempts have no events. */
const AFTER_CHANGE_MS = 400;
const WHILE_LIVE_MS = 3_000;

/** The timeline, read again after each change of the run. */
const useTimeline = (
  runId: string,
  live: FollowedRun,
  ended: boolean,
): { timeline: RunTimeline | null; problem: unknown } => {
  const [state, setState] = useState<{ timeline: RunTimeline | null; problem: unknown }>({
    timeline: null,
    problem: null,
  });
  const change = live.changes.value;
  useEffect(() => {
    const abort = new AbortController();
    const read = (): void => {
      requestJson<RunTimeline>(`/v1/runs/${encodeURIComponent(runId)}/timeline`, {
        signal: abort.signal,
      }).then(
        (timeline) => setState({ timeline, problem: null }),
        (problem: unknown) => {
          if (!abort.signal.aborted) setState((before) => ({ ...before, problem }));
        },
      );
    };
    const first = setTimeout(read, change === 0 ? 0 : AFTER_CHANGE_MS);
    const again = ended
      ? undefined
      : setInterval(() => {
          if (document.visibilityState === 'visible') read();
        }, WHILE_LIVE_MS);
    return () => {
      abort.abort();
      clearTimeout(first);
      clearInterval(again);
    };
  }, [runId, change, ended]);
  return state;
};

const Loaded = ({ run, live }: { run: Run; live: FollowedRun }) => {
  const view = live.view.value;
  const ended = isTerminal(run.status);
  const { timeline, problem } = useTimeline(run.id, live, ended);
  const until = ended
    ? (timeline?.ended_at_ms ?? timeline?.read_at_ms ?? 0)
    : Math.max(now.value, timeline?.read_at_ms ?? 0);
  return (
    <div class="run-page">
      <RunHead run={run} timeline={timeline} stream={view.stream} />
      <RunActions run={run} timeline={timeline} />
      <Problem error={problem} />
      <div class="run-parts">
        {timeline === null ? (
          <section class="timeline" aria-busy="true" />
        ) : (
          <TimelineView timeline={timeline} until={until} />
        )}
        <section aria-labelledby="conversation-title">
          <header class="part-head">
            <h2 id="conversation-title">Conversation</h2>
            {view.cut ? <span class="muted small">the first thousand messages</span> : null}
          </header>
          <ConversationView items={view.items} live={!ended} />
        </section>
      </div>
    </div>
  );
};

const RunPage = ({ params }: { params: Readonly<Record<string, string>> }) => {
  const id = params['id'] ?? '';
  const live = useMemo(() => new FollowedRun(), [id]);
  useEffect(() => {
    void live.follow(id);
    return () => live.stop();
  }, [live]);
  const { run, problem } = live.view.value;
  if (run !== null) return <Loaded run={run} live={live} />;
  if (problem === null) return <div class="page-loading" aria-busy="true" />;
  return (
    <EmptyState
      title={
        problem instanceof ApiError && problem.status === 404
          ? 'There is no such run'
          : 'The run can’t be read'
      }
    >
      <EscapedText text={problemText(problem)} /> <a href={hrefOf('/runs')}>All runs</a>
    </EmptyState>
  );
};
export default RunPage;
