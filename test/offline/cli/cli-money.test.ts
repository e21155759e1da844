/** `runs usage`, and the usage of a run as `show` prints it. */
import { afterEach, describe, expect, test } from 'vitest';
import { costText, tokenText } from '../../../cli/output/usage.ts';
import { turnUsageLines } from '../../../cli/output/rounds.ts';
import type { WireUsage } from '../../../protocol/wire/objects.ts';
import { cli } from '../../support/cli.ts';
import { json, scriptedHttp, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';

let server: ScriptedHttp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});
const runs = async (args: string[], steps: Step[] = []) => {
  server = await scriptedHttp(steps);
  return cli(['usage', ...args], { RUNS_URL: server.url });
};

const USAGE = {
  prompt_tokens: 100,
  completion_tokens: 10,
  total_tokens: 110,
  prompt_token_details: { cached_tokens: 40 },
  completion_tokens_details: { reasoning_tokens: 5 },
  cost: { USD: '0.00026' },
};
const PLAIN: WireUsage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const DAY = {
  object: 'usage.day',
  day: '2026-11-26',
  tenant: 'acme',
  model: 'model-a',
  turns: 2,
  usage: USAGE,
};
const page = (data: unknown[], more = false): Step =>
  json({ object: 'list', data, first_id: null, last_id: null, has_more: more });

describe('runs usage', () => {
  test('prints a row for each day, tenant and model', async () => {
    const { code, stdout } = await runs([], [page([DAY, { ...DAY, model: 'm\u001B[2J', usage: PLAIN }])]);
    expect(code).toBe(0);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['DAY', 'TENANT', 'MODEL', 'TURNS', 'PROMPT', 'CACHED', 'ANSWER', 'REASONING', 'COST'],
      ['2026-11-26', 'acme', 'model-a', '2', '100', '40', '10', '5', '0.00026 USD'],
      ['2026-11-26', 'acme', 'm [2J', '2', '1', '0', '2', '0'],
      [''],
    ]);
    expect(server?.requests[0]?.target).toBe('/v1/usage');
  });

  test.each([
    [['--day', '2026-11-26'], '/v1/usage?from=2026-11-26&to=2026-11-26'],
    [['--from', '2026-11-01', '--tenant', 'a b'], '/v1/usage?tenant=a%20b&from=2026-11-01'],
  ])('%j asks for %s', async (args, target) => {
    expect((await runs(args, [page([])])).stdout).toBe('No turns were counted.\n');
    expect(server?.requests[0]?.target).toBe(target);
  });

  test('of a thread is one line', async () => {
    const report = { object: 'thread.usage', thread_id: 'thread_1', runs: 3, usage: USAGE };
    const { stdout } = await runs(['--thread', 'thread_1'], [json(report)]);
    expect(stdout).toBe(
      '3 runs · 110 tokens: 100 prompt (40 cached), 10 answer (5 reasoning) · 0.00026 USD\n',
    );
    expect(server?.requests[0]?.target).toBe('/v1/threads/thread_1/usage');
  });

  test.each([[['--thread', 't', '--day', 'x']], [['--day', 'x', '--to', 'y']]])(
    '%j is refused without a request',
    async (args) => {
      expect((await runs(args)).code).toBe(2);
      expect(server?.requests).toEqual([]);
    },
  );

  test('that the API has cut is an error, not a part', async () => {
    const { code, stderr } = await runs([], [page([DAY], true)]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('Name fewer days');
  });
});

test('what was not counted is left out of the words', () => {
  expect(tokenText(PLAIN)).toBe('3 tokens: 1 prompt, 2 answer');
  expect(costText(PLAIN, ' · ')).toBe('');
  expect(costText({ cost: { USD: '1', EUR: '0.5' } }, ', ')).toBe(', 1 USD + 0.5 EUR');
});

test('a run is shown with a line for each turn', () => {
  const turns = [{ ...USAGE, model: 'model-a' }, PLAIN];
  expect(turnUsageLines({ rounds: [], messages: [], turns })).toEqual([
    '  turn 1  model-a  110 tokens: 100 prompt (40 cached), 10 answer (5 reasoning) · 0.00026 USD',
    '  turn 2  3 tokens: 1 prompt, 2 answer',
  ]);
  expect(turnUsageLines({ rounds: [], messages: [] })).toEqual([]);
});
