/** The alert rules for Prometheus: its own tool accepts them, they fire when they should, and ask for metrics that exist. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { alertRules, hasPrometheus, RULES } from '../../support/prometheus.ts';
import { filesIn, ROOT, textOf } from '../../support/sources.ts';

const CASES = join(ROOT, 'test', 'support', 'prometheus-alerts.cases.yaml');
const run = promisify(execFile);
const rules = await alertRules();
const sources = ['app', 'worker']
  .flatMap((room) => filesIn(room))
  .map(textOf)
  .join('\n');

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'alerts-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const promtool = async (...args: string[]): Promise<string> => {
  const { stdout, stderr } = await run('promtool', args);
  return `${stdout}${stderr}`;
};

test('every metric is one that the server or a worker exports, and every alert has a case and a fix', async () => {
  const cases = await readFile(CASES, 'utf8');
  const names = rules.flatMap(({ expr }) => [...expr.matchAll(/\bruns_[a-z_]+/g)].map(([name]) => name));
  expect(names.length).toBeGreaterThan(9);
  expect(names.filter((name) => !sources.includes(`'${name.replace(/_bucket$/, '')}'`))).toEqual([]);
  expect(rules.filter(({ alert }) => !cases.includes(`{alertname="${alert}"}`))).toEqual([]);
  expect(rules.filter(({ annotations }) => !annotations.summary || !annotations.fix)).toEqual([]);
});

test.runIf(hasPrometheus())(
  'Prometheus accepts the rules; each fires at bad figures, and none at good ones',
  async () => {
    expect(await promtool('check', 'rules', RULES)).toContain(`${rules.length} rules found`);
    const cases = join(scratch, 'cases.yaml');
    const text = await readFile(CASES, 'utf8');
    await writeFile(cases, text.replace('rule_files: [RULES]', `rule_files: [${JSON.stringify(RULES)}]`));
    expect(await promtool('test', 'rules', cases)).toContain('SUCCESS');
    // The cases can fail: with another threshold one alert is silent.
    const duller = join(scratch, 'duller.yaml');
    await writeFile(duller, (await readFile(RULES, 'utf8')).replace('> 20', '> 2000'));
    await writeFile(cases, text.replace('rule_files: [RULES]', `rule_files: [${JSON.stringify(duller)}]`));
    await expect(promtool('test', 'rules', cases)).rejects.toThrow('Command failed');
  },
);
