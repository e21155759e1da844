/** The worker's tools as the HTTP face lists them: by what a key may use, and seconds old at most. */
import { describe, expect, test } from 'vitest';
import { RunsError } from '../../../protocol/errors.ts';
import type { WorkerTool } from '../../../protocol/temporal/activities.ts';
import { toolsLister } from '../../../service/worker-tools.ts';

const tool = (name: string): WorkerTool => ({
  definition: { type: 'function', function: { name } },
  execution: 'automatic',
});

const lister = (answers: (() => Promise<WorkerTool[]>)[]) => {
  let at = 0;
  let asked = 0;
  const list = toolsLister({
    ask: () => {
      const answer = answers[asked];
      asked += 1;
      if (answer === undefined) throw new Error('asked too often');
      return answer();
    },
    now: () => at,
  });
  return {
    names: async (grantedTools: readonly string[] | null = null) =>
      (await list({ grantedTools })).map(({ function: { name } }) => name),
    later: (ms: number) => (at += ms),
    asked: () => asked,
  };
};

describe('the list of tools', () => {
  test('shows a key the tools that it may use', async () => {
    const { names } = lister([async () => [tool('a'), tool('b')]]);
    expect(await names()).toEqual(['a', 'b']);
    expect(await names(['b', 'c'])).toEqual(['b']);
    expect(await names([])).toEqual([]);
  });

  test('is asked for once in five seconds, by callers at the same time together', async () => {
    const { names, later, asked } = lister([async () => [tool('a')], async () => [tool('b')]]);
    expect(await Promise.all([names(), names()])).toEqual([['a'], ['a']]);
    later(4_999);
    expect(await names()).toEqual(['a']);
    expect(asked()).toBe(1);
    later(1);
    expect(await names()).toEqual(['b']);
  });

  test('that failed is asked for again at once', async () => {
    const { names } = lister([
      () => Promise.reject(new RunsError('no_worker', 'none')),
      async () => [tool('a')],
    ]);
    await expect(names()).rejects.toMatchObject({
      status: 503,
      message: expect.stringContaining('A worker can'),
    });
    expect(await names()).toEqual(['a']);
  });
});
