/** The list of runs: filters in the address, newest first, read again while it is looked at. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Page, Run } from '../../../../protocol/wire/objects.ts';
import { queryText, requestJson } from '../../http/api.ts';
import { readAgain } from '../../http/read-again.ts';
import { hrefOf, navigate, query } from '../../router.ts';
import { RunStatusBadge } from '../../runs/status-badge.tsx';
import { countText, spanText } from '../../runs/figures.ts';
import { Problem } from '../../ui/problem.tsx';
import { Button } from '../../ui/button.tsx';
import { now } from '../../ui/clock.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { useShortcuts } from '../../ui/shortcuts.tsx';
import { TimeAgo } from '../../ui/time-left.tsx';
import { VirtualList } from '../../ui/virtual-list.tsx';
import { RunFilterForm } from './filter-form.tsx';
import { filtersOf, isFiltered, listParams, mergedRuns } from './filters.ts';
import './runs.css';

const PAGE = 50;
/** Pauses between two readings of the first page. */
const PAUSES = { shortMs: 5_000, longMs: 60_000 };
const ROW_HEIGHT = 60;

const pathOf = (run: Run): string => `/runs/${encodeURIComponent(run.id)}`;

/** Seconds of work and waiting, so far or in all. */
const lasted = (run: Run): number => {
  const end = run.completed_at ?? run.failed_at ?? run.cancelled_at;
  return Math.max(0, (end ?? Math.floor(now.value / 1_000)) - run.created_at);
};

const RunRow = ({ run, active, onFocus }: { run: Run; active: boolean; onFocus: () => void }) => {
  const ended = run.status === 'expired' || run.status === 'incomplete' ? null : lasted(run);
  return (
    <a class={`run-row${active ? ' run-row-active' : ''}`} href={hrefOf(pathOf(run))} onFocus={onFocus}>
      <span class="run-row-status">
        <RunStatusBadge run={run} />
      </span>
      <span class="run-row-name">
        <code>{run.id}</code>
        <span class="muted small">
          <EscapedText text={run.model} />
          {(run.awaiting ?? []).map(({ call_id: id, tool }) => (
            <span key={id}>
              {' · '}
              <EscapedText text={tool} />
            </span>
          ))}
        </span>
      </span>
      <span class="run-row-figures muted small">
        <TimeAgo at={run.created_at} />
        <span>
          {ended === null ? '' : spanText(ended * 1_000)}
          {run.usage === null ? '' : ` · ${countText(run.usage.total_tokens)} tokens`}
        </span>
      </span>
    </a>
  );
};

interface Listed {
  runs: Run[];
  more: boolean;
  loaded: boolean;
  problem: unknown;
}

const EMPTY: Listed = { runs: [], more: false, loaded: false, problem: null };

const readPage = async (after?: string): Promise<Page<Run>> =>
  requestJson<Page<Run>>(
    `/v1/runs${queryText({ ...listParams(filtersOf(query.peek()), Date.now()), limit: PAGE, after })}`,
  );

/** The list, read again from time to time; `older` reads the next page. */
const useRuns = (): Listed & { older: () => Promise<void> } => {
  const [listed, setListed] = useState<Listed>(EMPTY);
  const text = query.value.toString();
  const latest = useRef(text);
  latest.current = text;
  const seen = useRef('');
  /** Resolves to whether the page is another than before. */
  const refresh = async (): Promise<boolean> => {
    try {
      const page = await readPage();
      if (latest.current !== text) return false;
      const read = JSON.stringify(page);
      if (seen.current === read) return false;
      seen.current = read;
      setListed((before) => {
        const complete = !page.has_more;
        const runs = mergedRuns(before.runs, page.data, complete);
        return {
          runs,
          more: complete ? false : runs.length > page.data.length ? before.more : true,
          loaded: true,
          problem: null,
        };
      });
      return true;
    } catch (error) {
      seen.current = '';
      if (latest.current === text) setListed((before) => ({ ...before, loaded: true, problem: error }));
      return false;
    }
  };
  useEffect(() => {
    setListed(EMPTY);
    seen.current = '';
    return readAgain(refresh, PAUSES);
  }, [text]);
  const older = async (): Promise<void> => {
    const last = listed.runs.at(-1);
    if (last === undefined) return;
    try {
      const page = await readPage(last.id);
      if (latest.current === text)
        setListed((before) => ({ ...before, runs: [...before.runs, ...page.data], more: page.has_more }));
    } catch (error) {
      setListed((before) => ({ ...before, problem: error }));
    }
  };
  return { ...listed, older };
};

const RunsPage = () => {
  const { runs, more, loaded, problem, older } = useRuns();
  const [active, setActive] = useState(-1);
  const list = useRef<HTMLDivElement>(null);
  const go = (step: number): void => {
    const next = Math.min(runs.length - 1, Math.max(0, active + step));
    setActive(next);
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>('.run-row-active')?.focus());
  };
  useShortcuts([
    { key: 'j', label: 'Next run', run: () => go(1) },
    { key: 'k', label: 'Previous run', run: () => go(-1) },
    {
      key: 'Enter',
      label: 'Open the run',
      run: () => {
        const run = runs[active];
        if (run !== undefined) navigate(pathOf(run));
      },
    },
    {
      key: '/',
      label: 'Filter',
      run: () => document.querySelector<HTMLElement>('.run-filters select')?.focus(),
    },
  ]);
  const filtered = isFiltered(filtersOf(query.value));
  return (
    <div class="runs-page">
      <h1 class="sr-only">Runs</h1>
      <RunFilterForm />
      <Problem error={problem} />
      {loaded && runs.length === 0 && problem === null ? (
        <EmptyState title={filtered ? 'No run fits' : 'No runs yet'}>
          {filtered ? 'Loosen a filter to see more.' : 'Runs appear here as soon as one is created.'}
        </EmptyState>
      ) : (
        <div class="run-list" ref={list} aria-busy={!loaded}>
          <VirtualList
            items={runs}
            rowHeight={ROW_HEIGHT}
            label="Runs"
            keyOf={({ id }) => id}
            activeIndex={active}
            render={(run, index) => (
              <RunRow run={run} active={index === active} onFocus={() => setActive(index)} />
            )}
          />
        </div>
      )}
      {more ? (
        <p class="run-more">
          <Button onClick={() => void older()}>Show older runs</Button>
        </p>
      ) : null}
    </div>
  );
};
export default RunsPage;
