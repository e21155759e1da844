/** How the server's runs fare, for operators. */
import { useEffect, useState } from 'preact/hooks';
import type { Overview } from '../../../../protocol/wire/overview.ts';
import { queryText, requestJson } from '../../http/api.ts';
import { hrefOf, query, setQuery } from '../../router.ts';
import { moneyText, countText, spanText, statusText } from '../../runs/figures.ts';
import { Problem } from '../../ui/problem.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { TimeAgo, TimeLeft } from '../../ui/time-left.tsx';
import { RunsChart } from './runs-chart.tsx';
import './overview.css';

const REFRESH_MS = 30_000;
const HOURS = [
  ['1', 'Last hour'],
  ['6', 'Last 6 hours'],
  ['24', 'Last 24 hours'],
  ['168', 'Last 7 days'],
  ['720', 'Last 30 days'],
] as const;

const hoursOf = (): string => HOURS.find(([hours]) => hours === query.value.get('hours'))?.[0] ?? '24';

const runHref = (id: string): string => hrefOf(`/runs/${encodeURIComponent(id)}`);

const useOverview = (hours: string, tenant: string) => {
  const [state, setState] = useState<{ overview: Overview | null; problem: unknown }>({
    overview: null,
    problem: null,
  });
  useEffect(() => {
    const abort = new AbortController();
    const read = (): void => {
      requestJson<Overview>(`/v1/overview${queryText({ hours, tenant })}`, { signal: abort.signal }).then(
        (overview) => setState({ overview, problem: null }),
        (problem: unknown) => {
          if (!abort.signal.aborted) setState((before) => ({ ...before, problem }));
        },
      );
    };
    read();
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') read();
    }, REFRESH_MS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [hours, tenant]);
  return state;
};

const Tiles = ({ overview: { live, live_counted_to: most } }: { overview: Overview }) => (
  <ul class="tiles" aria-label="Live runs">
    {(['queued', 'in_progress', 'requires_action', 'cancelling'] as const).map((status) => (
      <li key={status}>
        <a href={hrefOf(`/runs?status=${status}`)} class="tile">
          <span class="tile-figure">
            {countText(live[status])}
            {live[status] >= most ? '+' : ''}
          </span>
          <span class="muted">{statusText(status)}</span>
        </a>
      </li>
    ))}
  </ul>
);

const Waiting = ({ overview }: { overview: Overview }) => (
  <section aria-labelledby="waiting-title">
    <h2 id="waiting-title">Waiting the longest</h2>
    {overview.waiting.length === 0 ? (
      <p class="muted">No run waits.</p>
    ) : (
      <DataTable
        caption="Runs that wait the longest"
        rows={overview.waiting}
        keyOf={({ run_id: id }) => id}
        columns={[
          {
            title: 'Run',
            cell: ({ run_id: id }) => (
              <a href={runHref(id)}>
                <code>{id}</code>
              </a>
            ),
          },
          { title: 'For', cell: ({ tools }) => <EscapedText text={tools.join(', ')} /> },
          { title: 'Since', cell: ({ since }) => <TimeAgo at={since} /> },
          { title: 'Deadline', cell: ({ answer_by: by }) => <TimeLeft deadline={by} /> },
        ]}
      />
    )}
  </section>
);

const Failures = ({ overview }: { overview: Overview }) => (
  <section aria-labelledby="failures-title">
    <h2 id="failures-title">Failures by cause</h2>
    {overview.failures.length === 0 ? (
      <p class="muted">No run has failed in this time.</p>
    ) : (
      <DataTable
        caption={`Causes of the newest ${overview.failures_of} runs that did not complete`}
        rows={overview.failures}
        keyOf={({ status, code }) => `${status} ${code ?? ''}`}
        columns={[
          {
            title: 'Cause',
            cell: ({ status, code, message }) => (
              <>
                {statusText(status)}
                {code === null ? '' : ': '}
                <EscapedText text={code ?? ''} />
                {message === null ? null : (
                  <div class="muted small">
                    <EscapedText text={message} />
                  </div>
                )}
              </>
            ),
          },
          { title: 'Runs', numeric: true, cell: ({ runs }) => runs },
          {
            title: 'Latest',
            cell: ({ latest_run_id: id, latest_at: at }) => (
              <a href={runHref(id)}>
                <TimeAgo at={at} />
              </a>
            ),
          },
        ]}
      />
    )}
  </section>
);

const Bar = ({ part }: { part: number }) => (
  <span class="line-bar" aria-hidden="true">
    <span style={{ width: `${Math.max(1, part * 100).toFixed(1)}%` }} />
  </span>
);

const Tokens = ({ overview: { tokens } }: { overview: Overview }) => {
  const most = Math.max(...tokens.map(({ usage }) => usage.total_tokens), 1);
  return (
    <section aria-labelledby="tokens-title">
      <h2 id="tokens-title">Tokens by day and model</h2>
      {tokens.length === 0 ? (
        <p class="muted">No turn was counted in the last seven days.</p>
      ) : (
        <DataTable
          caption="Tokens of the last seven days"
          rows={tokens.map((row, index) => ({ ...row, index }))}
          keyOf={({ index }) => String(index)}
          columns={[
            { title: 'Day', cell: ({ day }) => day },
            { title: 'Model', cell: ({ model }) => <EscapedText text={model} /> },
            { title: 'Turns', numeric: true, cell: ({ turns }) => countText(turns) },
            {
              title: 'Tokens',
              numeric: true,
              cell: ({ usage }) => (
                <>
                  {countText(usage.total_tokens)}
                  <Bar part={usage.total_tokens / most} />
                </>
              ),
            },
            { title: 'Cost', numeric: true, cell: ({ usage }) => moneyText(usage) || '–' },
          ]}
        />
      )}
    </section>
  );
};

const Latency = ({ overview: { latency, latency_of: turns } }: { overview: Overview }) => {
  const most = Math.max(...latency.map(({ first_output_ms: ms }) => ms.p90), 1);
  return (
    <section aria-labelledby="latency-title">
      <h2 id="latency-title">Time to a turn’s first output</h2>
      {latency.length === 0 ? (
        <p class="muted">No turn has ended in this time.</p>
      ) : (
        <DataTable
          caption={`Time to the first output of the newest ${turns} turns`}
          rows={latency}
          keyOf={({ model }) => model}
          columns={[
            { title: 'Model', cell: ({ model }) => <EscapedText text={model} /> },
            { title: 'Turns', numeric: true, cell: (row) => row.turns },
            { title: 'Median', numeric: true, cell: ({ first_output_ms: ms }) => spanText(ms.p50) },
            {
              title: '90 % below',
              numeric: true,
              cell: ({ first_output_ms: ms }) => (
                <>
                  {spanText(ms.p90)}
                  <Bar part={ms.p90 / most} />
                </>
              ),
            },
            { title: 'Longest', numeric: true, cell: ({ first_output_ms: ms }) => spanText(ms.max) },
          ]}
        />
      )}
    </section>
  );
};

const OverviewPage = () => {
  const hours = hoursOf();
  const tenant = query.value.get('tenant') ?? '';
  const { overview, problem } = useOverview(hours, tenant);
  return (
    <div class="page overview-page">
      <header class="part-head">
        <h1>Overview</h1>
        <select
          aria-label="Time"
          value={hours}
          onChange={(event) => setQuery({ hours: event.currentTarget.value })}
        >
          {HOURS.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </header>
      <Problem error={problem} />
      {overview === null ? (
        <div class="page-loading" aria-busy={problem === null} />
      ) : (
        <>
          <Tiles overview={overview} />
          <section aria-labelledby="runs-title">
            <h2 id="runs-title">Runs over time</h2>
            {overview.complete ? null : (
              <p class="muted">More runs than are counted: the chart begins at the first that is.</p>
            )}
            <RunsChart overview={overview} />
          </section>
          <div class="overview-columns">
            <Waiting overview={overview} />
            <Failures overview={overview} />
            <Tokens overview={overview} />
            <Latency overview={overview} />
          </div>
        </>
      )}
    </div>
  );
};
export default OverviewPage;
