/** The Grafana dashboard asks for metrics and labels that the processes export. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesIn, ROOT, textOf } from '../../support/sources.ts';

interface Dashboard {
  panels: {
    title: string;
    gridPos: { x: number; y: number; w: number };
    targets: { expr: string; legendFormat: string }[];
  }[];
}

const dashboard = JSON.parse(
  await readFile(join(ROOT, 'deploy', 'grafana-dashboard.json'), 'utf8'),
) as Dashboard;
const sources = ['app', 'worker']
  .flatMap((room) => filesIn(room))
  .map(textOf)
  .join('\n');
const exprs = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

const kept = (expr: string): string[] =>
  [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(/,\s*/));

test('every metric is one that the server or a worker exports', () => {
  const names = exprs.flatMap((expr) => [...expr.matchAll(/\bruns_[a-z_]+/g)].map(([name]) => name));
  expect(names.length).toBeGreaterThan(10);
  const unknown = names.filter((name) => !sources.includes(`'${name.replace(/_bucket$/, '')}'`));
  expect(unknown).toEqual([]);
});

test('every label is one of some metric, and each legend shows labels that its query keeps', () => {
  for (const { targets } of dashboard.panels)
    for (const { expr, legendFormat } of targets) {
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      expect(shown.filter((label) => label !== undefined && !kept(expr).includes(label))).toEqual([]);
      expect(kept(expr).filter((label) => label !== 'le' && !sources.includes(`'${label}'`))).toEqual([]);
    }
});

test('no two panels overlap, and none is wider than the page', () => {
  const places = dashboard.panels.flatMap(({ gridPos: { x, y, w } }) =>
    Array.from({ length: w }, (_one, index) => `${y} ${x + index}`),
  );
  expect(new Set(places).size).toBe(places.length);
  expect(dashboard.panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
});
