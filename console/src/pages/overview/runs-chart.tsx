/**
 * Runs that ended by status, and runs that were created, over time.
 *
 * Rule: the drawing is an image with a sentence of what it shows; the same figures stand in a table below for everybody.
 */
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Overview, OverviewBucket } from '../../../../protocol/wire/overview.ts';
import { countText, statusText } from '../../runs/figures.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { axisOf, stackedBars } from './bars.ts';

const ENDS = ['completed', 'cancelled', 'incomplete', 'expired', 'failed'] as const;
/** Until the page has measured it. */
const FIRST_WIDTH = 720;
const HEIGHT = 170;
const SIDE = 40;
const BELOW = 20;
/** Pixels that a time below the chart takes. */
const LABEL = 110;

const timeOf = (bucket: OverviewBucket, seconds: number): string => {
  const at = new Date(bucket.at * 1_000);
  return seconds >= 86_400
    ? at.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
    : at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
};

const sumOf = (buckets: readonly OverviewBucket[], end: (typeof ENDS)[number]): number =>
  buckets.reduce((sum, { ended }) => sum + ended[end], 0);

const Axis = ({ top, ticks, width }: { top: number; ticks: readonly number[]; width: number }) => (
  <>
    {ticks.map((tick) => {
      const y = 6 + HEIGHT * (1 - tick / top);
      return (
        <g key={tick}>
          <line class="chart-grid" x1={SIDE} x2={SIDE + width} y1={y} y2={y} />
          <text class="chart-text" x={SIDE - 6} y={y + 4} text-anchor="end">
            {countText(tick)}
          </text>
        </g>
      );
    })}
  </>
);

/** One unit of the drawing is a pixel, so its words have the size of the page's. */
const useWidth = (): [RefObject<HTMLDivElement | null>, number] => {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(FIRST_WIDTH);
  useEffect(() => {
    const box = element.current;
    if (box === null) return undefined;
    const sizes = new ResizeObserver(() => setWidth(Math.max(200, box.clientWidth - SIDE - 8)));
    sizes.observe(box);
    return () => sizes.disconnect();
  }, []);
  return [element, width];
};

const Drawing = ({ overview, width }: { overview: Overview; width: number }) => {
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
  const every = Math.max(1, Math.ceil(runs.length / Math.max(1, Math.floor(width / LABEL))));
  const created = runs
    .map((bucket, index) => {
      const x = SIDE + ((index + 0.5) / runs.length) * width;
      return `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${(6 + HEIGHT * (1 - bucket.created / top)).toFixed(1)}`;
    })
    .join(' ');
  const said = ENDS.map((end) => `${sumOf(runs, end)} ${end}`).join(', ');
  return (
    <svg
      class="chart"
      viewBox={`0 0 ${SIDE + width + 8} ${HEIGHT + BELOW + 8}`}
      role="img"
      aria-label={`Runs that ended over time: ${said}. The table below has the figures.`}
    >
      <Axis top={top} ticks={ticks} width={width} />
      {bars.map((bar, index) => (
        <g key={runs[index]?.at ?? index}>
          {bar.parts.map((part) => (
            <rect
              key={part.key}
              class={`chart-${part.key}`}
              x={SIDE + bar.x * width}
              y={6 + part.y * HEIGHT}
              width={bar.width * width}
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
            x={SIDE + ((index + 0.5) / runs.length) * width}
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

const Chart = ({ overview }: { overview: Overview }) => {
  const [element, width] = useWidth();
  return (
    <div ref={element}>
      <Drawing overview={overview} width={width} />
    </div>
  );
};

export const RunsChart = ({ overview }: { overview: Overview }) => (
  <figure class="chart-figure">
    <Chart overview={overview} />
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
