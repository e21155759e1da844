/** The commands that people and scripts type, against a real Temporal, a real worker and a scripted runs API. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callCode, shortRun } from '../../../cli/short-codes.ts';
import { demoTools } from '../../../cli/demo/tools.ts';
import { mintId } from '../../../protocol/wire/ids.ts';
import { SEARCH_ATTRIBUTES } from '../../../protocol/temporal/names.ts';
import type { AnswerReply, RunSnapshot } from '../../../protocol/temporal/messages.ts';
import { cli, type CliResult } from '../../support/cli.ts';
import { sandboxWorker, type SandboxWorker } from '../../support/sandbox-worker.ts';
import { privateTemporal } from '../../support/temporal.ts';

interface ErrorDocument {
  error: { code: string; message: string; failure: string | null; exitCode: number };
}

let running: SandboxWorker;
let dir: string;
beforeAll(async () => {
  running = await sandboxWorker({ tools: demoTools() });
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-cli-'));
});
afterAll(async () => {
  await running.close();
  await rm(dir, { recursive: true, force: true });
});

const runs = (...args: string[]): Promise<CliResult> => cli(args, running.env);

/** A started run whose first call waits. */
const waiting = async (assistant: string): Promise<{ runId: string; callId: string }> => {
  const runId = mintId('run');
  expect((await runs('start', '--assistant', assistant, '--id', runId)).stdout).toBe(`${runId}\n`);
  const { callId } = await running.waiting(runId);
  return { runId, callId };
};

describe('start', () => {
  test('starts a run once under an id, however often it is repeated', async () => {
    const id = mintId('run');
    const first = await runs('start', '--assistant', 'asst_chat', '--message', 'Hello', '--id', id, '--json');
    const again = await runs('start', '--assistant', 'asst_chat', '--message', 'Hello', '--id', id, '--json');
    expect([first.code, first.json()]).toEqual([0, { runId: id, started: true }]);
    expect([again.code, again.json()]).toEqual([0, { runId: id, started: false }]);
  });

  test('waits for the end with --wait, and is a success only when the run completed', async () => {
    const good = await runs(
      'start',
      '--assistant',
      'asst_chat',
      '--message',
      'Hi',
      '--metadata',
      'order=42',
      '--wait',
      '--json',
    );
    expect(good.json()).toMatchObject({ started: true, result: { status: 'completed' } });
    expect(good.code).toBe(0);
    const bad = await runs('start', '--assistant', 'asst_failing', '--wait');
    expect(bad.stdout).toContain('failed');
    expect(bad.code).toBe(6);
  });

  test('gives up waiting on Ctrl-C, and the run goes on', async () => {
    const id = mintId('run');
    const stop = new AbortController();
    const wait = cli(
      ['start', '--assistant', 'asst_weather', '--id', id, '--wait'],
      running.env,
      stop.signal,
    );
    await expect.poll(() => running.client.get(id).catch(() => null), { timeout: 20_000 }).not.toBeNull();
    stop.abort();
    expect((await wait).code).toBe(130);
    expect((await running.client.get(id)).result).toBeNull();
    await running.client.cancel(id);
  });
});

describe('tools', () => {
  test('lists what the worker has, for people and for an assistant', async () => {
    const people = await runs('tools');
    expect(people.code).toBe(0);
    expect(people.stdout).toMatch(/^TOOL +RUNS +PARAMETERS +DESCRIPTION$/m);
    expect(people.stdout).toMatch(/^run_checks +at once +service, version +Runs the release checks/m);
    expect(people.stdout).toMatch(/^deploy +after an approval +service, version /m);
    expect((await runs('tools', '--json')).json()).toEqual({
      taskQueue: running.client.place.taskQueue,
      tools: demoTools().definitions(),
      execution: { run_checks: 'automatic', deploy: 'approval' },
      servers: [],
    });
  });
});

describe('a waiting run', () => {
  test('is found, shown with what to paste, answered once, and watched to its end', async () => {
    const { runId, callId } = await waiting('asst_weather');
    // The list is told by Temporal's visibility store, which is a moment behind.
    await expect
      .poll(async () => (await runs('list', '--waiting')).stdout, { timeout: 20_000 })
      .toContain(runId);
    const shown = await runs('show', runId);
    const code = callCode(runId, callId);
    expect(shown.stdout).toContain(`runs answer ${code} --output 'your answer'`);
    const listed = await runs('list', '--waiting');
    expect(listed.stdout).toMatch(new RegExp(`^${code} +get_current_weather +\\{.* +${runId}$`, 'm'));
    expect((await runs('show', runId, '--json')).json()).toMatchObject({
      run: { runId, status: 'requires_action' } satisfies Partial<RunSnapshot>,
    });

    // The start of the id, and the code of the call that waits, mean the same run.
    for (const short of [shortRun(runId), shortRun(runId).slice('run_'.length), code])
      expect((await runs('show', short, '--json')).json()).toMatchObject({ run: { runId } });
    const several = await runs('cancel', 'run_');
    expect(several.code).toBe(3);

    const watch = runs('watch', runId);
    const wrongKind = await runs('answer', runId, callId, '--approve', '--json');
    expect(wrongKind.code).toBe(4);
    expect((wrongKind.json() as ErrorDocument).error).toMatchObject({
      code: 'refused',
      failure: 'RefusedWrongKind',
      exitCode: 4,
    });
    const accepted = await runs('answer', runId, callId, '--output', '12 degrees', '--by', 'ada', '--json');
    expect(accepted.json() as AnswerReply).toMatchObject({
      call_id: callId,
      result: 'accepted',
      waiting: [],
    });

    const watched = await watch;
    expect(watched.code).toBe(0);
    expect(watched.stderr).toContain('waits for an answer');
    expect(watched.stderr).toContain(`${runId}  completed`);
    const late = await runs('answer', runId, callId, '--output', '13 degrees');
    expect(late.code).toBe(4);
    expect(late.stderr).toMatch(/^runs: .*too late/);
    expect(late.stdout).toBe('');
  });

  test('shows retries while a tool fails, and runs what a person approves', async () => {
    const { runId, callId } = await waiting('asst_deploy');
    const approve = [
      'answer',
      runId,
      callId,
      '--approve',
      '--arguments',
      '{"service":"checkout","version":"1.4.3"}',
    ];
    // Only one waits, so its id is not needed.
    expect((await runs('answer', runId, ...approve.slice(3))).stdout).toContain('accepted');
    expect((await running.client.result(runId)).status).toBe('completed');
    const sent = running.sandbox.requests.findLast(({ path }) => path.endsWith('/submit_tool_outputs'));
    expect(JSON.stringify(sent?.body)).toContain('checkout 1.4.3 is live.');

    // Afterwards the whole run is there: every round, its attempts and outputs, and what the assistant said.
    const { stdout } = await runs('show', runId);
    const order = [
      /^ {2}round 1$/m,
      /^ {4}✓ run_checks {2}\S+ {2}done, 2 attempts, .*$/m,
      /^ {8}last failure: the build server did not answer$/m,
      /^ {8}output \{"service":"checkout"/m,
      /^ {2}round 2$/m,
      /^ {8}arguments \{"service":"checkout","version":"1.4.3"\}$/m,
      /^ {8}output checkout 1\.4\.3 is live\.$/m,
      /^ {2}assistant: .*checkout 1\.4\.3 is live\./m,
      /^ {2}completed · 2 rounds · 2 calls/m,
    ].map((line) => stdout.search(line));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
  });

  test('can be denied with a reason that reaches the model', async () => {
    const { runId, callId } = await waiting('asst_deploy');
    const deny = ['answer', callCode(runId, callId), '--deny', '--reason', 'not on a Friday', '--by', 'bob'];
    // By its code alone: found among the waiting runs, of which visibility tells a moment later.
    await expect.poll(async () => (await runs(...deny)).code, { timeout: 20_000 }).toBe(0);
    await running.client.result(runId);
    const sent = running.sandbox.requests.findLast(({ path }) => path.endsWith('/submit_tool_outputs'));
    expect(JSON.stringify(sent?.body)).toContain('not on a Friday');

    // After the end, too: who decided what and when, and which ids there are.
    const second = await runs('answer', runId, callId, '--approve');
    expect(second.code).toBe(4);
    expect(second.stderr).toMatch(
      new RegExp(`Call "${callId}" was denied by "bob" \\(not verified\\) at \\d{4}-\\d\\d-\\d\\dT`),
    );
    const strange = await runs('answer', runId, 'call_nowhere', '--approve', '--json');
    expect(strange.code).toBe(4);
    expect((strange.json() as ErrorDocument).error).toMatchObject({
      failure: 'RefusedUnknownCall',
      message: expect.stringContaining(`has no call "call_nowhere", and it has ended, completed`) as unknown,
    });
  });

  test('is cancelled, and once ended can not be', async () => {
    const { runId } = await waiting('asst_weather');
    const cancelled = await runs('cancel', runId, '--json');
    expect([cancelled.code, cancelled.json()]).toMatchObject([0, { runId, result: { status: 'cancelled' } }]);
    const again = await runs('cancel', runId);
    expect(again.code).toBe(4);
    expect(again.stderr).toContain('has ended as "cancelled"');
  });
});

describe('an unknown id', () => {
  test.each([[['show']], [['cancel']], [['watch']], [['answer', 'call_1', '--approve']]])(
    '%j says so, names address and namespace, and exits 3',
    async ([command = '', ...rest]) => {
      const nobody = await runs(command, 'run_nobody', ...rest, '--json');
      expect(nobody.code).toBe(3);
      const { message } = (nobody.json() as ErrorDocument).error;
      const { address, namespace } = running.client.place;
      for (const part of ['run_nobody', address, namespace]) expect(message).toContain(JSON.stringify(part));
    },
  );

  test('a list without runs says where it looked', async () => {
    const none = await runs('list', '--thread', 'thread_nobody');
    const { address, namespace } = running.client.place;
    expect(none.stdout).toBe(`No such run in namespace "${namespace}" of Temporal at "${address}".\n`);
  });
});

const exported = async (): Promise<string> => {
  const id = mintId('run');
  await runs('start', '--assistant', 'asst_chat', '--id', id, '--wait');
  return historyToJSON(await running.client.temporal.workflow.getHandle(id).fetchHistory());
};

describe('replay', () => {
  test('passes what this version recorded, and says where another one would do otherwise', async () => {
    const text = await exported();
    const good = join(dir, 'good.json');
    const bad = join(dir, 'bad.json');
    const empty = join(dir, 'empty.json');
    const part = join(dir, 'part.json');
    await writeFile(good, text);
    await writeFile(bad, text.replaceAll('"createRun"', '"createTheRun"'));
    await writeFile(empty, '{"events": []}');
    await writeFile(part, text.replace('EVENT_TYPE_WORKFLOW_TASK_COMPLETED', 'EVENT_TYPE_TIMER_FIRED'));
    const all = await runs('replay', good, bad, empty, part, join(dir, 'missing.json'), '--json');
    expect(all.code).toBe(7);
    expect(all.json()).toMatchObject({
      ok: false,
      files: [
        { file: good, verdict: 'ok', workflowType: 'run' },
        {
          file: bad,
          verdict: 'diverged',
          reason: expect.stringMatching(
            /^\[TMPRL1100\] Nondeterminism error: Activity type .*'createTheRun'/,
          ),
        },
        { file: empty, verdict: 'unusable' },
        { file: part, verdict: 'unusable', reason: expect.stringContaining('event 4') },
        { verdict: 'unusable' },
      ],
    });
    const one = await runs('replay', good);
    expect([one.code, one.stdout]).toEqual([
      0,
      expect.stringMatching(/^ok .*good\.json \(\d+ events\)\n1 history replays\.\n$/),
    ]);
  });
});

/** Turns every byte round: enough to be unreadable without it. */
const CODEC = `const turn = (data) => Uint8Array.from(data, (byte) => byte ^ 255);
const text = new TextEncoder();
export const dataConverter = {
  payloadCodecs: [{
    encode: async (payloads) => payloads.map((payload) => ({
      metadata: { encoding: text.encode('binary/turned') },
      data: turn(text.encode(JSON.stringify({ m: [...payload.metadata.encoding], d: [...payload.data] }))),
    })),
    decode: async (payloads) => payloads.map((payload) => {
      if (new TextDecoder().decode(payload.metadata.encoding) !== 'binary/turned') return payload;
      const { m, d } = JSON.parse(new TextDecoder().decode(turn(payload.data)));
      return { metadata: { encoding: Uint8Array.from(m) }, data: Uint8Array.from(d) };
    }),
  }],
};
`;

describe('doctor', () => {
  interface Diagnoses {
    ok: boolean;
    checks: { name: string; state: string; detail: string; fix?: string }[];
  }
  const states = (document: Diagnoses): Record<string, string> =>
    Object.fromEntries(document.checks.map(({ name, state }) => [name, state]));

  test('finds everything in order where a worker runs', async () => {
    const healthy = await runs('doctor', '--role', 'worker', '--json');
    const document = healthy.json() as Diagnoses;
    expect(states(document)).toEqual({
      node: 'ok',
      config: 'ok',
      process: 'skipped',
      temporal: 'ok',
      namespace: 'ok',
      'search-attributes': 'ok',
      worker: 'ok',
      queue: 'ok',
      deployment: 'skipped',
      payloads: expect.stringMatching(/ok|skipped/),
      tools: 'skipped',
      mcp: 'skipped',
      backend: 'ok',
      learned: 'skipped',
      telemetry: 'skipped',
      models: 'skipped',
      people: 'skipped',
      store: 'skipped',
      api: 'skipped',
    });
    expect(healthy.code).toBe(0);
  });

  test('names a data converter that this shell lacks, and so does show', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'durable-runs-codec-'));
    const file = join(folder, 'codec.mjs');
    const other = join(folder, 'other-key.mjs');
    await writeFile(file, CODEC);
    await writeFile(other, CODEC.replaceAll('255', '254'));
    const server = await privateTemporal({ searchAttributes: {} });
    try {
      const env = { ...running.env, TEMPORAL_ADDRESS: server.address };
      const begun = await cli(['start', '--assistant', 'asst_1', '--json'], {
        ...env,
        RUNS_DATA_CONVERTER: file,
      });
      const { runId } = begun.json() as { runId: string };
      const blind = await cli(['doctor', '--only', 'payloads'], env);
      expect(blind.stdout).toMatch(/PROBLEM\s+payloads\s+the input of run "run_\w+" can't be decoded here/);
      expect(blind.stdout).toContain('fix: set RUNS_ENCRYPTION_KEYS or RUNS_DATA_CONVERTER');
      expect(blind.code).toBe(7);
      const sighted = await cli(['doctor', '--only', 'payloads'], { ...env, RUNS_DATA_CONVERTER: file });
      expect(sighted.stdout).toMatch(/ok\s+payloads\s+readable with/);
      const lost = await cli(['doctor', '--only', 'payloads'], { ...env, RUNS_DATA_CONVERTER: other });
      expect(lost.stdout).toMatch(/PROBLEM\s+payloads\s+the input of run "run_\w+" can't be decoded with /);
      for (const converter of [{}, { RUNS_DATA_CONVERTER: other }]) {
        const shown = await cli(['show', runId, '--json'], { ...env, ...converter });
        expect(shown.code).toBe(2);
        expect(shown.json()).toMatchObject({
          error: {
            code: 'config',
            message: expect.stringMatching(/can't be decoded here .*RUNS_DATA_CONVERTER/),
          },
        });
      }
    } finally {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('names the fix of each missing part, and fixes the parts that it may', async () => {
    const server = await privateTemporal({ searchAttributes: {} });
    try {
      const env = {
        ...running.env,
        TEMPORAL_ADDRESS: server.address,
        OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
      };
      const sick = await cli(['doctor'], env);
      expect(sick.code).toBe(7);
      expect(sick.stdout).toMatch(/PROBLEM\s+search-attributes\s+missing: RunsRunId/);
      expect(sick.stdout).toContain(
        `temporal operator search-attribute create --namespace default --name RunsRunId --type Keyword`,
      );
      expect(sick.stdout).toMatch(/PROBLEM\s+worker\s+no worker polls task queue/);
      expect(sick.stdout).toMatch(/PROBLEM\s+backend/);
      const fixed = await cli(['doctor', '--fix', '--only', 'search-attributes', '--json'], env);
      expect(fixed.code).toBe(0);
      expect((fixed.json() as Diagnoses).checks.at(-1)?.detail).toContain(
        Object.keys(SEARCH_ATTRIBUTES).at(-1),
      );
    } finally {
      await server.stop();
    }
  });

  test('names the first thing that is wrong when nothing is there', async () => {
    const alone = await cli(['doctor', '--only', 'worker', '--json'], { TEMPORAL_ADDRESS: '127.0.0.1:9' });
    expect(states(alone.json() as Diagnoses)).toEqual({
      temporal: 'problem',
      namespace: 'skipped',
      worker: 'skipped',
    });
    expect(alone.code).toBe(7);
  });
});
