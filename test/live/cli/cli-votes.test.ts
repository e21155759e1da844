/** Several people decide at their terminals, through Temporal: what the commands send, refuse and show. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { mintId } from '../../../protocol/wire/ids.ts';
import { cli, type CliResult } from '../../support/cli.ts';
import { sandboxWorker, type SandboxWorker } from '../../support/sandbox-worker.ts';

const calls = (name: string) => (turn: { round: number; outputs: readonly { output: string }[] }) =>
  turn.round === 0
    ? { text: 'I pay.', calls: [{ name, arguments: { amount: 60 } }] }
    : { text: turn.outputs.map(({ output }) => output).join(', ') };

let running: SandboxWorker;
const paid: number[] = [];
beforeAll(async () => {
  const pays = {
    description: 'Pays',
    parameters: z.object({ amount: z.number().refine((amount) => amount < 100, 'at most 99') }),
    execute: ({ amount }: { amount: number }) => {
      paid.push(amount);
      return `paid ${amount}`;
    },
  };
  running = await sandboxWorker({
    tools: defineTools({
      pay: { ...pays, needsApproval: { by: ['leads'], quorum: 2 } },
      strict: { ...pays, needsApproval: { by: ['leads'], quorum: 2, verified: true } },
    }),
    sandbox: { scripts: { pay: calls('pay'), strict: calls('strict') } },
  });
});
afterAll(() => running.close());

const runs = (...args: string[]): Promise<CliResult> => cli(args, running.env);
const started = async (script: string): Promise<string> => {
  const runId = mintId('run');
  expect((await runs('start', '--assistant', `asst_${script}`, '--id', runId)).code).toBe(0);
  await running.waiting(runId);
  return runId;
};
/** By which a vote for other arguments is agreed to. */
const digestOf = (shown: string): string => /--digest (\w+)$/m.exec(shown)?.[1] ?? '';

test('two people agree on an edit after a third handed over: votes are by name, shown, and in the record', async () => {
  const runId = await started('pay');
  const shown = await runs('show', runId);
  expect(shown.stdout).toMatch(/^ +2 more votes needed, from @leads$/m);
  // What stands there to be pasted is a vote with a name: without one it is refused.
  expect(shown.stdout).toMatch(/ --approve --digest \w+ --by 'your name'$/m);
  const nobody = await runs('answer', runId, '--approve');
  expect(nobody.code).toBe(4);
  expect(nobody.stderr).toContain(
    'counted by name, and this one has none. Send your name in "by", or with --by',
  );

  const handed = await runs(
    'answer',
    runId,
    '--delegate',
    'bob,@heads',
    '--note',
    'on holiday',
    '--by',
    'ada',
  );
  expect(handed.stdout).toMatch(/accepted\nThe call keeps waiting: 2 more votes for the same arguments/);
  expect((await runs('answer', runId, '--approve', '--by', 'ada')).stderr).toContain(
    '"ada" has handed the decision over to "bob", "heads"',
  );
  const denied = await runs('answer', runId, '--deny', '--reason', 'too dear', '--by', 'cleo', '--json');
  expect(denied.json()).toMatchObject({ result: 'accepted', votes_needed: 2 });
  const edit = await runs('answer', runId, '--approve', '--arguments', '{"amount":20}', '--by', 'bob');
  expect(edit.stdout).toContain('1 more vote for the same arguments would approve it');
  const votes = (await runs('show', runId)).stdout;
  for (const line of [
    /^ +1 more vote needed, from @leads, @heads, bob$/m,
    /^ +cleo \(not verified\) denies: too dear$/m,
    /^ +bob \(not verified\) approves with other arguments, --digest \w+$/m,
    /^ +ada handed over to bob, @heads$/m,
  ])
    expect(votes).toMatch(line);
  expect(paid).toEqual([]);

  const last = await runs('answer', runId, '--approve', '--digest', digestOf(votes), '--by', 'cleo');
  expect(last.stdout).toContain('No other call waits; the run goes on.');
  expect((await running.client.result(runId)).status).toBe('completed');
  expect(paid.splice(0)).toEqual([20]);

  const record = (await runs('decisions', runId)).stdout;
  const order = [
    /^handed over call_\w+ \(pay\) to bob, @heads by ada \(not verified\), .* UTC, cli$/m,
    /^ +note +on holiday$/m,
    /^one vote of several: denied call_\w+ \(pay\) by cleo \(not verified\), /m,
    /^ +reason +too dear$/m,
    /^one vote of several: approved call_\w+ \(pay\) with other arguments by bob/m,
    /^ +proposed:$/m,
    /^approved call_\w+ \(pay\) with other arguments by cleo \(not verified\), /m,
    /^ +ran with:$/m,
  ].map((line) => record.search(line));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(order[0]).toBeGreaterThanOrEqual(0);
});

test('a vote with other arguments after an edit that the tool refused is a vote, not a second refusal', async () => {
  const runId = await started('pay');
  await runs('answer', runId, '--approve', '--arguments', '{"amount":200}', '--by', 'ada');
  const refused = await runs('answer', runId, '--approve', '--arguments', '{"amount":200}', '--by', 'bob');
  expect(refused.stderr).toContain('at most 99');
  expect(refused.code).toBe(4);
  const vote = await runs(
    'answer',
    runId,
    '--approve',
    '--arguments',
    '{"amount":30}',
    '--by',
    'ada',
    '--json',
  );
  expect([vote.code, vote.json()]).toMatchObject([0, { result: 'accepted', votes_needed: 1 }]);
  expect((await runs('answer', runId, '--approve', '--arguments', '{"amount":30}', '--by', 'bob')).code).toBe(
    0,
  );
  expect((await running.client.result(runId)).status).toBe('completed');
  expect(paid.splice(0)).toEqual([30]);
});

test('where only verified names count, a vote through Temporal is refused, and says where to vote', async () => {
  const runId = await started('strict');
  const shown = (await runs('show', runId)).stdout;
  expect(shown).toMatch(/^ +only names that an API key or a sign-in verifies count$/m);
  expect(shown).toMatch(/ --approve --digest \w+ --api$/m);
  for (const decision of [['--approve'], ['--deny'], ['--delegate', 'bob']]) {
    const refused = await runs('answer', runId, ...decision, '--by', 'ada', '--json');
    expect([refused.code, refused.json()]).toMatchObject([
      4,
      {
        error: {
          code: 'refused',
          failure: 'RefusedNoVote',
          message: expect.stringMatching(
            /Call "call_\w+" \(strict\) keeps waiting: its tool counts only names that .* "ada" is not verified\. .*"runs answer --api"/,
          ) as string,
        },
      },
    ]);
  }
  // Temporal keeps nothing of an update that was refused.
  expect((await runs('decisions', runId)).stdout).toBe('No call of this run has a decision.\n');
  await running.client.cancel(runId);
});
