/**
 * A real Prometheus with the project's alert rules, for tests: it scrapes the given addresses and answers queries.
 *
 * Rule: it is ended by its own handle, and its data go with it. Tests only.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { freePort } from '../../dev-server/ports.ts';
import { ROOT } from './sources.ts';

export const RULES = join(ROOT, 'deploy', 'prometheus-alerts.yaml');

export interface AlertRule {
  alert: string;
  expr: string;
  annotations: { summary: string; fix: string };
}

export const alertRules = async (): Promise<AlertRule[]> =>
  (parse(await readFile(RULES, 'utf8')) as { groups: { rules: AlertRule[] }[] }).groups.flatMap(
    ({ rules }) => rules,
  );

/** The server and its tool are on PATH (Debian: apt-get install prometheus). */
export const hasPrometheus = (): boolean =>
  ['prometheus', 'promtool'].every((name) => spawnSync(name, ['--version']).status === 0);

export interface Prometheus {
  /** Values of the series that fit; empty = none, or the server is not up yet. */
  query(expr: string): Promise<number[]>;
  /** Names of the alert rules that it evaluates without an error. */
  healthyRules(): Promise<string[]>;
  close(): Promise<void>;
}

interface Answer {
  data: {
    result?: { value: [number, string] }[];
    groups?: { rules: { name: string; health: string }[] }[];
  };
}

/** `targets`: `host:port` of pages at `/metrics`. */
export const startPrometheus = async (targets: readonly string[]): Promise<Prometheus> => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-prometheus-'));
  const address = `127.0.0.1:${await freePort()}`;
  const config = {
    global: { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '200ms' },
    rule_files: [RULES],
    scrape_configs: [{ job_name: 'runs', static_configs: [{ targets }] }],
  };
  // JSON is YAML.
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(config));
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=${address}`,
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const ask = async (path: string): Promise<Answer['data']> => {
    const response = await fetch(`http://${address}/api/v1/${path}`).catch(() => null);
    return response?.ok === true ? ((await response.json()) as Answer).data : {};
  };
  return {
    query: async (expr) =>
      ((await ask(`query?query=${encodeURIComponent(expr)}`)).result ?? []).map(({ value }) =>
        Number(value[1]),
      ),
    healthyRules: async () =>
      ((await ask('rules')).groups ?? [])
        .flatMap(({ rules }) => rules)
        .filter(({ health }) => health === 'ok')
        .map(({ name }) => name),
    close: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(dir, { recursive: true, force: true });
    },
  };
};
