/**
 * Runs that ended by status, and runs that were created, over time.
 *
 * Rule: the drawing is an image with a sentence of what it shows; the same figures stand in a table below for everybody.
 */
import type { Overview, OverviewBucket } from '../../../../protocol/wire/overview.ts';
import { countText, statusText } from '../../runs/figures.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { axisOf, stackedBars } from './bars.ts';

const ENDS = ['completed', 'cancelled', 'incomplete', 'expired', 'failed'] as const;
const WIDTH = 720;
const HEIGHT = 160;
const SIDE = 40;
const BELOW = 20;
const LABELS = 6;

const timeOf = (bucket: OverviewBucket, seconds: number): string => {
  const at = new Date(bucket.at * 1_000);
  return seconds >= 86_400
    ? at.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
    : at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
};

const sumOf = (buckets: readonly OverviewBucket[], end: (typeof ENDS)[number]): number =>
  buckets.reduce((sum, { ended }) => sum + ended[end], 0);

const Axis = ({ top, ticks }: { top: number; ticks: readonly number[] }) => (
  <>
    {ticks.map((tick) => {
      const y = 6 + HEIGHT * (1 - tick / top);
      return (
        <g key={tick}>
          <line class="chart-grid" x1={SIDE} x2={SIDE + WIDTH} y1={y} y2={y} />
          <text class="chart-text" x={SIDE - 6} y={y + 4} text-anchor="end">
            {countText(tick)}
          </text>
        </g>
      );
    })}
  </>
);

const Drawing = ({ overview }: { overview: Overview }) => {
  const { runs, bucket_seconds: seconds } = overview;
  const largest = Math.max(
    ...runs.map(({ created, ended }) =>
      Math.max(
        created,
        ENDS.reduce((sum, end) => sum + ended[end], 0),
      ),
    ),
    0,
  );
  const { top, ticks } = axisOf(largest);
  const bars = stackedBars(
    runs.map(({ ended }) => ENDS.map((end) => ({ key: end, value: ended[end] }))),
    top,
  );
  const every = Math.max(1, Math.ceil(runs.length / LABELS));
  const created = runs
    .map((bucket, index) => {
      const x = SIDE + ((index + 0.5) / runs.length) * WIDTH;
      return `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${(6 + HEIGHT * (1 - bucket.created / top)).toFixed(1)}`;
    })
    .join(' ');
  const said = ENDS.map((end) => `${sumOf(runs, end)} ${end}`).join(', ');
  return (
    <svg
      class="chart"
      viewBox={`0 0 ${SIDE + WIDTH + 8} ${HEIGHT + BELOW + 8}`}
      role="img"
      aria-label={`Runs that ended over time: ${said}. The table below has the figures.`}
    >
      <Axis top={top} ticks={ticks} />
      {bars.map((bar, index) => (
        <g key={runs[index]?.at ?? index}>
          {bar.parts.map((part) => (
            <rect
              key={part.key}
              class={`chart-${part.key}`}
              x={SIDE + bar.x * WIDTH}
              y={6 + part.y * HEIGHT}
              width={bar.width * WIDTH}
              height={Math.max(1, part.height * HEIGHT)}
            />
          ))}
        </g>
      ))}
      <path class="chart-created" d={created} />
      {runs.map((bucket, index) =>
        index % every === 0 ? (
          <text
            key={bucket.at}
            class="chart-text"
            x={SIDE + ((index + 0.5) / runs.length) * WIDTH}
            y={HEIGHT + BELOW + 2}
            text-anchor="middle"
          >
            {timeOf(bucket, seconds)}
          </text>
        ) : null,
      )}
    </svg>
  );
};

const Legend = ({ overview }: { overview: Overview }) => (
  <ul class="legend" aria-hidden="true">
    <li>
      <span class="legend-line" /> created
    </li>
    {ENDS.map((end) => (
      <li key={end}>
        <span class={`legend-box chart-${end}`} /> {statusText(end)} {countText(sumOf(overview.runs, end))}
      </li>
    ))}
  </ul>
);

export const RunsChart = ({ overview }: { overview: Overview }) => (
  <figure class="chart-figure">
    <Drawing overview={overview} />
    <Legend overview={overview} />
    <details>
      <summary>Figures</summary>
      <DataTable
        caption="Runs by time"
        rows={overview.runs.filter(({ created, ended }) => created > 0 || ENDS.some((end) => ended[end] > 0))}
        keyOf={({ at }) => String(at)}
        columns={[
          { title: 'From', cell: ({ at }) => new Date(at * 1_000).toLocaleString() },
          { title: 'Created', numeric: true, cell: ({ created }) => created },
          ...ENDS.map((end) => ({
            title: statusText(end),
            numeric: true,
            cell: ({ ended }: OverviewBucket) => ended[end],
          })),
        ]}
      />
    </details>
  </figure>
);
