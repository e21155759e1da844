/**
 * Names, ids and texts that a model or somebody else's server makes up, on their way to URLs, objects, attributes and pages:
 * rows 29, 30 and 57 of docs/contributing/faults.md.
 *
 * Proves: an id is one segment of a path or refused, arguments change no prototype, and whatever a server says of a run,
 * what is made of it has a size and times that Temporal takes. Does not prove: what a page makes of a text.
 */
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createActivities, defineTools } from '../../../activities/index.ts';
import { createAssistantsBackend } from '../../../backends/assistants/index.ts';
import { assessRun, settledFrom } from '../../../backends/assistants/assess.ts';
import { readRun } from '../../../backends/assistants/parse.ts';
import { parseBaseUrl } from '../../../backends/http/url.ts';
import { readOutcome } from '../../../protocol/index.ts';
import { backendActivityOptions, toolActivityOptions } from '../../../workflows/run/activity-options.ts';
import { waitingAttributes } from '../../../workflows/search-attributes.ts';
import { attempt, recorder, toolInput } from '../../support/activities.ts';
import { errorOf } from '../../support/assistants.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { holds, holdsAsync } from '../../support/fuzz.ts';
import { after, T0 } from '../../support/run-inputs.ts';
import { external, POLICY } from '../../support/run-stubs.ts';
import { json, scriptedHttp } from '../../support/scripted-http.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close();
});

/** What breaks out of things, and anything else. */
const nasty = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '%2e%2e',
    '..%2f..',
    '../../admin',
    '..\\..',
    '//evil.example',
    'a?key=1',
    'a#b',
    'a\r\nHost: evil.example',
    'a\0b',
    '\ud800',
    ';id',
    '\u202e',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
);

const base = parseBaseUrl('http://api.example/v1/p');

/** The segments that a router reads behind the prefix, or why the ids were refused. */
const routed = (ids: readonly string[]): readonly string[] | 'refused' | 'elsewhere' => {
  let target: string;
  try {
    target = base.target(ids);
  } catch {
    return 'refused';
  }
  const read = new URL(target, 'http://api.example');
  const stays = read.host === 'api.example' && read.pathname === target && /^[\x21-\x7e]+$/.test(target);
  return stays && read.search + read.hash === ''
    ? target.split('/').slice(3).map(decodeURIComponent)
    : 'elsewhere';
};

test('no id leaves its segment', () => {
  holds(
    fc.property(fc.array(nasty, { minLength: 1, maxLength: 4 }), (ids) => {
      // A dot segment, nothing at all, half a character.
      const refused = ids.some((id) => ['', '.', '..'].includes(id) || /\p{Cs}/u.test(id));
      expect(routed(ids)).toEqual(refused ? 'refused' : ids);
    }),
    { runs: 1_000 },
  );
});

const call = (id: unknown) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });

describe('an id that no request and no summary can carry', () => {
  const bad = ['', '.', '..', 'a b', 'a\nb', 'a\0', 'é', '\ud800', 'x'.repeat(257), 7, null, ['a']];

  test.each(bad)('%j is that of no run and no call, and no thread has it', async (id) => {
    expect(readRun({ id, status: 'queued' })).toBeUndefined();
    const run = readRun({
      id: 'run_1',
      status: 'requires_action',
      required_action: {
        type: 'submit_tool_outputs',
        submit_tool_outputs: { tool_calls: [call('a'), call(id)] },
      },
    });
    if (run === undefined) throw new Error('no run');
    expect(assessRun(run)).toMatchObject({ kind: 'unsupported' });
    const server = await scriptedHttp([json({ id, object: 'thread' })]);
    const backend = createAssistantsBackend({ baseUrl: server.url });
    open.push(server, { close: () => backend.dispose() });
    expect(
      await errorOf(backend.createThread({ runId: 'run_1', metadata: {} }, fakeContext())),
    ).toMatchObject({ type: 'BackendUnsupported', retryable: false });
  });

  test.each(['run_abc', 'functions.get_weather:0', 'call/1', '...', 'x'.repeat(256), '5f0c-…'.slice(0, 5)])(
    'but %j can be used',
    (id) => {
      expect(readRun({ id, status: 'queued' })?.id).toBe(id);
    },
  );
});

/** Anything in the place of anything. */
const wild = fc.oneof(
  fc.jsonValue(),
  nasty,
  fc.constantFrom(0, -1, 1e300, 1.8e18, 9e15, 4e12, 1e11, 1_700_000_000, 'x'.repeat(20_000)),
  fc.double({ noNaN: true }),
);

const bytes = (value: unknown): number => JSON.stringify(value).length;

/** What Temporal would not take of what is made of a run. */
const payloadTooLarge = (value: unknown, offsetMs: number): unknown[] => {
  const run = readRun(value);
  if (run === undefined) return [];
  const meaning = assessRun(run);
  if (meaning.kind !== 'settled') return bytes(meaning) < 1_000 ? [] : [meaning];
  const settled = settledFrom({ run, offsetMs, receivedAt: T0 }, 'thread_1', (calls) =>
    calls.map((one) => ({ ...one, plan: external('').plan })),
  );
  if (settled.status !== 'requires_action') return bytes(settled) < 60_000 ? [] : [settled];
  const times = [settled.createdAt, settled.expiresAt ?? T0];
  return [
    ...(bytes(settled) < 1_600_000 ? [] : [bytes(settled)]),
    ...times.filter((time) => Number.isNaN(new Date(time).getTime())),
    ...settled.calls.map(({ callId }) => callId).filter((id) => !/^[\x21-\x7e]{1,256}$/.test(id)),
  ];
};

test('for any run of a server, the settlement has sizes and times that Temporal accepts', () => {
  const field = (usual: unknown) => fc.oneof({ arbitrary: fc.constant(usual), weight: 3 }, wild);
  const anyRun = fc.record({
    id: field('run_1'),
    status: fc.oneof(fc.constantFrom('requires_action', 'failed', 'completed', 'pondering'), wild),
    created_at: field(1_700_000_000),
    expires_at: field(1_700_000_600),
    last_error: field({ code: 'x'.repeat(100_000), message: 'y'.repeat(100_000) }),
    incomplete_details: field({ reason: 'z'.repeat(100_000) }),
    required_action: fc
      .array(fc.record({ id: nasty, function: fc.record({ name: field('f'), arguments: wild }) }), {
        maxLength: 5,
      })
      .map((calls) => ({ type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls: calls } })),
  });
  holds(
    fc.property(anyRun, fc.integer({ min: -1e12, max: 1e12 }), (value, offsetMs) => {
      expect(payloadTooLarge(JSON.parse(JSON.stringify(value)), offsetMs)).toEqual([]);
    }),
    { runs: 400 },
  );
});

const listedOf = (names: readonly string[]): string[] =>
  waitingAttributes('requires_action', names, null).flatMap(({ value }) =>
    Array.isArray(value) ? value : [],
  );

describe('what stands in lists and on pages', () => {
  test('the awaited names fit into an attribute, for any number of names', () => {
    holds(
      fc.property(fc.array(fc.oneof(nasty, fc.string({ maxLength: 256 })), { maxLength: 128 }), (names) => {
        const listed = listedOf(names);
        expect(Buffer.byteLength(JSON.stringify(listed))).toBeLessThanOrEqual(2_048);
        expect(names.slice(0, listed.length)).toEqual(listed);
      }),
    );
    const many = Array.from({ length: 128 }, (_, index) => `${index}`.padEnd(64, 'x'));
    expect(listedOf(many).length).toBeGreaterThan(20);
  });

  test('summaries are short lines without markup', () => {
    const state = after({}, { type: 'start', at: T0 });
    holds(
      fc.property(nasty, fc.string({ minLength: 200, maxLength: 300 }), (id, long) => {
        const strange = { ...state, threadId: id, run: { backendRunId: id + long, threadId: id } };
        const effect = {
          type: 'runTool' as const,
          callId: long + id,
          name: 'f',
          arguments: '{}',
          policy: POLICY,
          endBy: null,
        };
        const summaries = [
          toolActivityOptions(effect, {}, T0).summary,
          ...(['createThread', 'create', 'submit', 'follow', 'close'] as const).map(
            (op) => backendActivityOptions(op, strange, {}, T0).summary,
          ),
        ];
        for (const summary of summaries) expect(summary).toMatch(/^[\w.:? -]{1,300}$/);
      }),
    );
  });
});

/** JSON with keys that reach for prototypes, at any depth, also written with escapes. */
const reaching = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom('1', '"x"', 'null', '{"polluted":true}'),
    fc
      .array(
        fc.tuple(
          fc.constantFrom('"__proto__"', '"\\u005f_proto__"', '"constructor"', '"prototype"', '"polluted"'),
          tie('value'),
        ),
        { maxLength: 3 },
      )
      .map((pairs) => `{${pairs.map(([key, value]) => `${key}:${value}`).join(',')}}`),
  ),
})).value;

test('no arguments change a prototype', async () => {
  let handled: Record<string, unknown> = {};
  const tools = defineTools({
    tool: {
      description: 'Copies what it is given, as careless code does.',
      parameters: z.looseObject({ n: z.number() }),
      execute: (args) => {
        handled = {};
        for (const key in args) handled[key] = args[key];
        return { ...args, merged: Object.assign({}, args) };
      },
    },
  });
  const { log } = recorder();
  const activities = createActivities({
    backends: {},
    tools,
    log,
    startFollowUpRun: () => Promise.reject(new Error('not asked for')),
  });
  let ran = 0;
  await holdsAsync(
    fc.asyncProperty(reaching, async (text) => {
      const env = attempt({ activityType: 'tool.tool' });
      const input = toolInput('tool', `{"n":1,"rest":${text},"constructor":${text}}`);
      const outcome = readOutcome(await env.run(activities.default, input));
      expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
      expect(JSON.stringify(outcome)).not.toContain('__proto__":');
      if (outcome.ok) ran += 1;
      // What is refused reaches for a prototype, or holds a key twice.
      expect(outcome.ok || /proto/.test(text) || /contains the key .* twice/.test(outcome.output)).toBe(true);
      expect(Object.getPrototypeOf(handled)).toBe(Object.prototype);
      expect(handled['polluted']).toBeUndefined();
    }),
    { runs: 60 },
  );
  expect(ran).toBeGreaterThan(20);
});
