/**
 * Deciding from a terminal with a key and a URL, without Temporal: which calls are listed, what is sent, and when it goes over
 * the API at all.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { callCode } from '../../../cli/short-codes.ts';
import type { Approval, RunDecision } from '../../../protocol/wire/decisions.ts';
import { cli, type CliResult } from '../../support/cli.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { refusingTemporal } from '../../support/refusing-temporal.ts';
import { json, scriptedHttp, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';

guardAgainstLeaks({
  // Node's own fetch keeps idle connections for some seconds.
  ignore: ['TCPSocketWrap', 'Timeout'],
});

let server: ScriptedHttp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const KEY = 'sk-alice-0123456789abcdef';
const CALL = 'call_b3Rt6YuIoP9aSdFgHjKlZx2c';
const CODE = callCode('run_1', CALL);
const DIGEST = '0123456789abcdef0123456789abcdef';

const approval = (more: Partial<Approval> = {}): Approval => ({
  id: 'appr_1_1_0',
  object: 'approval',
  kind: 'approval',
  created_at: 1_800_000_000,
  tenant: 'acme',
  thread_id: 'thread_1',
  run_id: 'run_1',
  assistant_id: 'asst_1',
  call_id: CALL,
  tool: 'refund',
  status: 'waiting',
  arguments: '{"amount":80}',
  arguments_digest: DIGEST,
  digest_required: false,
  requested_by: null,
  answer_by: null,
  on_deadline: 'fail',
  answer_within: null,
  late: false,
  expires_at: null,
  decision: null,
  refused_edit: null,
  policy: null,
  votes: [],
  votes_needed: 1,
  assigned_to: { groups: [], people: [] },
  reminded_at: null,
  escalated_at: null,
  comments: [],
  ...more,
});
const page = (data: unknown[], more = false): Step =>
  json({ object: 'list', data, first_id: null, last_id: more ? 'appr_1_1_0' : null, has_more: more });
const reply = json({ run_id: 'run_1', call_id: CALL, result: 'accepted', waiting: [] });
const decision = (more: Partial<RunDecision>): Partial<RunDecision> => ({
  call_id: CALL,
  refused_edit: null,
  refused: null,
  ...more,
});

const runs = async (args: string[], steps: Step[], env: Record<string, string> = {}): Promise<CliResult> => {
  server = await scriptedHttp(steps);
  return cli(args, { RUNS_URL: server.url, RUNS_API_KEY: KEY, ...env });
};
const asked = (): string[] => (server?.requests ?? []).map(({ method, target }) => `${method} ${target}`);
const sent = (index: number): unknown => JSON.parse(server?.requests[index]?.body ?? 'null');
const ANSWERS = 'POST /v1/threads/thread_1/runs/run_1/answers';
const LIST = 'GET /v1/approvals?limit=100';

describe('list --waiting', () => {
  test('shows every page of what waits for this key, with codes', async () => {
    const listed = await runs(
      ['list', '--waiting'],
      [page([approval()], true), page([approval({ run_id: 'run_2', tool: 'ship' })])],
    );
    expect(listed.code).toBe(0);
    expect(listed.stdout.split('\n').slice(0, 3)).toEqual([
      expect.stringMatching(/^CALL +TOOL +ARGUMENTS +TIME LEFT +RUN$/),
      expect.stringMatching(new RegExp(`^${CODE} +refund +{"amount":80} +run_1$`)),
      expect.stringMatching(/ship +{"amount":80} +run_2$/),
    ]);
    expect(asked()).toEqual([LIST, `${LIST}&after=appr_1_1_0`]);
    expect(server?.requests[0]?.headers['authorization']).toBe(`Bearer ${KEY}`);
  });

  test('reads no more pages than it shows, and only of the thread', async () => {
    const listed = await runs(
      ['list', '--waiting', '--limit', '1', '--thread', 'thread_1', '--json'],
      [page([approval(), approval({ run_id: 'run_2' })], true)],
    );
    expect((listed.json() as { calls: { runId: string }[] }).calls.map(({ runId }) => runId)).toEqual([
      'run_1',
    ]);
    expect(asked()).toEqual([`${LIST}&thread_id=thread_1`]);
  });

  test('names the calls for programs, until when an answer is of use, and says when there are none', async () => {
    const open = { answer_within: 60, expires_at: 1_800_000_600 };
    const late = { call_id: 'call_2', late: true, answer_within: 60, expires_at: 1_900_000_000 };
    const listed = await runs(['list', '--waiting', '--json'], [page([approval(open), approval(late)])]);
    expect(listed.json()).toMatchObject({
      calls: [
        { runId: 'run_1', threadId: 'thread_1', callId: CALL, code: CODE, answerBy: 1_800_000_060_000 },
        { callId: 'call_2', answerBy: 1_900_000_000_000 },
      ],
    });
    await server?.close();
    expect((await runs(['list', '--waiting'], [page([])])).stdout).toBe(
      'No call waits for an approval by this key.\n',
    );
  });

  test('refuses what only Temporal can tell', async () => {
    expect((await runs(['list', '--waiting', '--status', 'queued'], [])).stderr).toMatch(
      /--status needs Temporal/,
    );
    await server?.close();
    expect((await runs(['list', '--api'], [])).stderr).toMatch(/--api goes with --waiting only/);
  });
});

describe('answer', () => {
  test.each([
    ['its code alone', [CODE]],
    ['its run, when it is the only one', ['run_1']],
    ['run and id', ['run_1', CALL]],
    ['run and code', ['run_1', CODE]],
  ])('decides about a call named by %s', async (_how, names) => {
    const answered = await runs(
      ['answer', ...names, '--approve', '--digest', DIGEST],
      [page([approval()]), reply],
    );
    expect([answered.code, answered.stderr]).toEqual([0, '']);
    expect(answered.stdout).toContain('accepted');
    expect(asked()).toEqual([LIST, ANSWERS]);
    expect(sent(1)).toEqual({
      call_id: CALL,
      run_id: 'run_1',
      decision: 'approve',
      arguments_digest: DIGEST,
    });
  });

  test('denies with a reason, and reports a refusal of the server with its code', async () => {
    const conflict = json(
      { error: { message: 'The first answer stands.', code: 'conflicting_answer' } },
      400,
    );
    const denied = await runs(
      ['answer', CODE, '--deny', '--reason', 'too dear', '--json'],
      [page([approval()]), conflict],
    );
    expect(denied.code).toBe(4);
    expect(denied.json()).toMatchObject({
      error: { code: 'conflicting_answer', message: 'The first answer stands.' },
    });
    expect(sent(1)).toMatchObject({ decision: 'deny', reason: 'too dear' });
  });

  test('with other arguments tells when the tool refuses them', async () => {
    const refused = page([
      decision({ refused_edit: 'an older one' }),
      decision({}),
      decision({ refused_edit: 'amount: too small' }),
    ]);
    const answered = await runs(
      ['answer', CODE, '--approve', '--arguments', '{"amount":0}'],
      [page([approval()]), page([decision({ refused_edit: 'an older one' })]), reply, refused],
    );
    expect(answered.code).toBe(4);
    expect(answered.stderr).toMatch(/was not used.* keeps waiting: .*amount: too small/);
    expect(sent(2)).toMatchObject({ arguments: { amount: 0 } });
  });

  test('sends nothing about a call that does not wait, or that several fit', async () => {
    const none = await runs(['answer', 'run_9', '--approve'], [page([approval()])]);
    expect([none.code, none.stderr]).toEqual([4, expect.stringMatching(/no call fits "run_9"/)]);
    await server?.close();
    const several = await runs(
      ['answer', 'run_1', '--approve'],
      [page([approval(), approval({ call_id: 'call_2' })])],
    );
    expect([several.code, several.stderr]).toEqual([2, expect.stringMatching(/2 calls fit "run_1"/)]);
    expect(asked()).toEqual([LIST]);
  });

  test('with an output is refused over the API, which takes outputs from the caller of the run', async () => {
    const answered = await runs(['answer', CODE, '--output', 'x', '--api'], [page([approval()])]);
    expect([answered.code, answered.stderr]).toEqual([
      2,
      expect.stringMatching(/give --approve, --deny or --delegate/),
    ]);
  });
});

test('show --call prints the arguments whole, and the command that decides about them', async () => {
  const note = 'x'.repeat(9_000);
  const shown = await runs(
    ['show', 'run_1', '--call', CODE],
    [page([approval({ arguments: JSON.stringify({ note, amount: 20_000 }) })])],
  );
  expect(shown.code).toBe(0);
  expect(shown.stdout.match(/x/g)?.length).toBeGreaterThanOrEqual(note.length);
  expect(shown.stdout).toContain(`runs answer ${CODE} --approve --digest ${DIGEST}`);
});

test.each([
  ['a Temporal is named', {}],
  ['no key is named', { RUNS_API_KEY: '' }],
  ['no URL is named', { RUNS_URL: '' }],
])('where %s, Temporal is asked and not the API', async (_why, env) => {
  const temporal = await refusingTemporal();
  const listed = await runs(['list', '--waiting'], [], { TEMPORAL_ADDRESS: temporal.address, ...env });
  await temporal.close();
  expect([listed.code, listed.stderr]).toEqual([5, expect.stringContaining(temporal.address)]);
  expect(asked()).toEqual([]);
});

test('--api names the API where Temporal is named, too', async () => {
  const listed = await runs(['list', '--waiting', '--api'], [page([])], { TEMPORAL_ADDRESS: '127.0.0.1:1' });
  expect([listed.code, asked()]).toEqual([0, [LIST]]);
});
