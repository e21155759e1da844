/**
 * Runs that are under way somewhere must go on under this version's code: every kept history is replayed, without a server.
 */
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DataConverter } from '@temporalio/common';
import { JSONToPayload, payloadToJSON, type JSONPayload } from '@temporalio/common/lib/proto-utils.js';
import { replayFiles } from '../../../cli/replay.ts';
import { parseEncryptionKeys } from '../../../client/encryption-keys.ts';
import { createEncryptionCodec } from '../../../client/encryption.ts';
import type { ReplayVerdict } from '../../../cli/replay.ts';
import { TRACE_HEADER } from '../../../protocol/temporal/trace-carrier.ts';
import { BUNDLES } from '../../support/bundle-cache.ts';
import { KINDS } from '../../support/history-kinds.ts';
import {
  patchMarker,
  resaid,
  activitiesNamed,
  signals,
  timersStarted,
  updatesBy,
  without,
  type History,
} from '../../support/mutated-history.ts';
import { WEBHOOK_KINDS } from '../../support/webhook-history-kinds.ts';

const HISTORIES = fileURLToPath(new URL('../../histories/', import.meta.url));
const DATED = /^(.+?)(-\d)?-\d{4}-\d\d-\d\d(-\d+)?\.json$/;

const files = (await readdir(HISTORIES)).filter((file) => file.endsWith('.json')).toSorted();

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'replay-kept-'));
});
afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
});

const quietly = (): void => {};

/** Verdicts of mutated copies, by the file they were made of. */
const replayMutated = async (
  names: readonly string[],
  mutate: (history: History) => History,
): Promise<ReplayVerdict[]> => {
  const copies = await Promise.all(
    names.map(async (name) => {
      const history = JSON.parse(await readFile(join(HISTORIES, name), 'utf8')) as History;
      const copy = join(scratch, name);
      await writeFile(copy, JSON.stringify(mutate(history)));
      return copy;
    }),
  );
  return await replayFiles(copies, quietly, BUNDLES);
};

const named = (kind: string): string => {
  const file = files.find((name) => DATED.exec(name)?.[1] === kind);
  if (file === undefined) throw new Error(`No history of kind ${kind} is kept.`);
  return file;
};

describe('kept histories', () => {
  test('there is at least one of every kind of run, and each is named after its kind and date', () => {
    const kinds = files.map((file) => DATED.exec(file)?.[1]);
    expect(files.filter((_file, index) => kinds[index] === undefined)).toEqual([]);
    expect(Object.keys({ ...KINDS, ...WEBHOOK_KINDS }).filter((kind) => !kinds.includes(kind))).toEqual([]);
  });

  test('all replay on the code of this version', async () => {
    expect(files.length).toBeGreaterThan(0);
    const verdicts = await replayFiles(
      files.map((file) => join(HISTORIES, file)),
      quietly,
      BUNDLES,
    );
    expect(verdicts.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
    expect(verdicts).toHaveLength(files.length);
  }, 120_000);

  test('carry the flags without which a replay would not look at activity types', async () => {
    const flags = await Promise.all(
      files.map(async (file) => /"coreUsedFlags"/.test(await readFile(join(HISTORIES, file), 'utf8'))),
    );
    expect(files.filter((_file, index) => flags[index] !== true)).toEqual([]);
  });
});

describe('a history that the code would not have written', () => {
  const some = [
    'one-call',
    'answer-by-update',
    'cancel-while-waiting',
    'continue-as-new-in-a-wait',
    'webhooks-given-up',
  ].map(named);

  test('is refused when one activity has another type', async () => {
    const verdicts = await replayMutated(some, (history) => {
      const events = structuredClone(history.events);
      const scheduled = events
        .filter((event) => event.activityTaskScheduledEventAttributes !== undefined)
        .at(-1);
      if (scheduled?.activityTaskScheduledEventAttributes === undefined)
        throw new Error('There is no activity.');
      scheduled.activityTaskScheduledEventAttributes.activityType.name = 'somethingElse';
      return { events };
    });
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(some.map(() => 'diverged'));
  }, 120_000);

  test('is refused when one event is missing', async () => {
    const verdicts = await replayMutated(some, ({ events }) => ({
      events: events.filter((event) => event.eventType !== 'EVENT_TYPE_ACTIVITY_TASK_COMPLETED'),
    }));
    expect(verdicts.map(({ verdict }) => verdict)).not.toContain('ok');
  }, 120_000);

  test('is refused when a timer was never started, though the events are numbered without a gap', async () => {
    const waiting = [named('answer-by-update'), named('deadline-expire')];
    const verdicts = await replayMutated(waiting, ({ events }) => {
      const first = events.findIndex((event) => event.eventType === 'EVENT_TYPE_TIMER_STARTED');
      // Up to the task that follows it, so that no later event refers to what is gone.
      const before = events.slice(0, first);
      const next = events.findIndex(
        (event, index) => index > first && event.eventType === 'EVENT_TYPE_WORKFLOW_TASK_SCHEDULED',
      );
      const after = events
        .slice(next, next + 3)
        .map((event, index) => ({ ...event, eventId: String(before.length + index + 1) }));
      return { events: [...before, ...after] };
    });
    expect(verdicts.map(({ verdict }) => verdict)).not.toContain('ok');
  }, 120_000);

  test('is judged for itself: a file that the SDK rejects changes no verdict of the files after it', async () => {
    const [rejected, good] = [named('one-call'), named('answer-by-update')];
    const copy = join(scratch, 'rejected.json');
    const history = JSON.parse(await readFile(join(HISTORIES, rejected), 'utf8')) as { events: object[] };
    const events = history.events.map((event) => ({ ...event, eventTime: 'not a time' }));
    await writeFile(copy, JSON.stringify({ events }));
    const three = [join(HISTORIES, good), copy, join(HISTORIES, good)];
    const verdicts = await replayFiles(three, quietly, BUNDLES);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['ok', 'unusable', 'ok']);
  }, 120_000);

  test('whose payloads are encrypted replays with the keys of its workers, and not without', async () => {
    const codec = createEncryptionCodec(parseEncryptionKeys(`a:${'0a'.repeat(32)}`));
    const encrypted = async (value: unknown): Promise<unknown> => {
      if (Array.isArray(value)) return Promise.all(value.map(encrypted));
      if (typeof value !== 'object' || value === null) return value;
      if ('metadata' in value && 'data' in value) {
        const [payload] = await codec.encode([JSONToPayload(value as JSONPayload)]);
        return payload === undefined ? value : payloadToJSON(payload);
      }
      const entries = Object.entries(value).map(async ([key, item]) => [key, await encrypted(item)] as const);
      return Object.fromEntries(await Promise.all(entries));
    };
    const copy = join(scratch, 'encrypted.json');
    const history: unknown = JSON.parse(await readFile(join(HISTORIES, named('answer-by-update')), 'utf8'));
    await writeFile(copy, JSON.stringify(await encrypted(history)));
    const replayed = async (converter?: DataConverter) => replayFiles([copy], quietly, BUNDLES, converter);
    expect(await replayed({ payloadCodecs: [codec] })).toMatchObject([{ verdict: 'ok' }]);
    expect((await replayed())[0]?.verdict).not.toBe('ok');
  }, 120_000);
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** The copy of a history whose run was started within a trace. */
const traced = ({ events }: History): History => {
  const carrier = JSON.stringify({ traceparent: `00-${'a1'.repeat(16)}-${'b2'.repeat(8)}-01` });
  const payload = { metadata: { encoding: base64('json/plain') }, data: base64(carrier) };
  const header = { fields: { [TRACE_HEADER]: payload } };
  return {
    events: events.map((event) => {
      const { workflowExecutionStartedEventAttributes: started } = event;
      return started === undefined
        ? event
        : { ...event, workflowExecutionStartedEventAttributes: { ...started, header } };
    }),
  };
};

describe('a history of a traced run', () => {
  test('replays, of every kind: what carries a trace adds no command and moves none', async () => {
    const verdicts = await replayMutated(files, traced);
    expect(verdicts.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
    expect(verdicts).toHaveLength(files.length);
  }, 120_000);

  test('is refused like any other when a timer was never started', async () => {
    const file = files.filter((name) => name.startsWith('votes-handed-over-reminded-escalated-20'));
    const verdicts = await replayMutated(file, (history) =>
      traced(without(history, timersStarted(history).slice(0, 1))),
    );
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['diverged']);
  }, 120_000);
});

const verdictOf = async (kind: string, mutate: (history: History) => History): Promise<unknown> => {
  // Of a kind with several executions, the first one.
  const file = files.find((name) => name.startsWith(`${kind}-20`)) ?? named(kind);
  const [verdict] = await replayMutated([file], mutate);
  return verdict?.verdict;
};

describe('a history of votes', () => {
  const NOTICES = 'votes-handed-over-reminded-escalated';
  const EDIT = 'votes-agree-on-an-edit';
  const MAJORITY = 'votes-deny-by-majority';
  const CONTINUED = 'votes-over-continue-as-new';

  test.each<[string, string, (history: History) => History]>([
    [
      'its timer for the reminder was never started',
      NOTICES,
      (h) => without(h, timersStarted(h).slice(0, 1)),
    ],
    ['its timer for the deadline was never started', NOTICES, (h) => without(h, timersStarted(h).slice(-1))],
    ['nobody was reminded', NOTICES, (h) => without(h, activitiesNamed(h, 'notifyWaiting').slice(1, 2))],
    ['it was not escalated', NOTICES, (h) => without(h, activitiesNamed(h, 'notifyWaiting').slice(2, 3))],
    [
      'the escalation is not in the record',
      NOTICES,
      (h) => without(h, activitiesNamed(h, 'recordDecisions').slice(2, 3)),
    ],
    ['the decision was not handed over', NOTICES, (h) => without(h, updatesBy(h, 'ada'))],
    [
      'a person of another group voted for the escalated one',
      NOTICES,
      (h) => resaid(h, updatesBy(h, 'cleo')[0], { by: 'bob' }),
    ],
    ['the first vote is missing', EDIT, (h) => without(h, updatesBy(h, 'ada'))],
    [
      'a vote is not in the record',
      EDIT,
      (h) => without(h, activitiesNamed(h, 'recordDecisions').slice(1, 2)),
    ],
    [
      'the votes are for different arguments',
      EDIT,
      (h) => resaid(h, updatesBy(h, 'bob')[0], { arguments: { q: 3 } }),
    ],
    ['one person voted twice', EDIT, (h) => resaid(h, updatesBy(h, 'bob')[0], { by: 'ada' })],
    ['the last denial approves', MAJORITY, (h) => resaid(h, updatesBy(h, 'bob')[1], { decision: 'approve' })],
    ...[NOTICES, EDIT, MAJORITY, CONTINUED, 'votes-again-after-the-tool-refused', 'votes-late'].map(
      (kind): [string, string, (history: History) => History] => [
        'its marker says nothing of votes',
        kind,
        (h) => without(h, patchMarker(h, 'votes-are-counted')),
      ],
    ),
  ])(
    'is refused when %s (%s)',
    async (_what, kind, mutate) => {
      expect(await verdictOf(kind, mutate)).toBe('diverged');
    },
    120_000,
  );

  test.each<[string, string, (history: History) => History]>([
    ['a denial has another reason', MAJORITY, (h) => resaid(h, updatesBy(h, 'ada')[0], { reason: 'no' })],
    [
      'a signal that nobody could use is missing',
      `${CONTINUED}-2`,
      (h) => without(h, signals(h).slice(1, 2)),
    ],
  ])(
    'replays when %s (%s): the other copies are refused for what they lack',
    async (_what, kind, mutate) => {
      expect(await verdictOf(kind, mutate)).toBe('ok');
    },
    120_000,
  );
});
