/** The call that a run waits for, as the end of its history tells it: on histories that a real server wrote. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import {
  decodeArrayFromPayloads,
  loadDataConverter,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import { describe, expect, test } from 'vitest';
import type { Event } from '../../../client/run-history.ts';
import { waitingCallIn, type WaitingHistoryCall } from '../../../client/waiting-call.ts';
import { ROOT } from '../../support/sources.ts';

const HISTORIES = join(ROOT, 'test', 'histories');
const files = (await readdir(HISTORIES)).filter((file) => file.endsWith('.json'));
const converter = loadDataConverter(undefined);

const eventsOf = async (file: string): Promise<Event[]> =>
  historyFromJSON(JSON.parse(await readFile(join(HISTORIES, file), 'utf8'))).events ?? [];
const kept = (kind: string): Promise<Event[]> =>
  eventsOf(files.find((file) => new RegExp(`^${kind}-\\d{4}`).test(file)) ?? kind);
/** As with the second request: what is not told by all events is not told. */
const seen = async (events: readonly Event[]): Promise<WaitingHistoryCall | null> => {
  const told = await waitingCallIn(converter, events.toReversed());
  return told === 'further' ? null : told;
};
/** The events before the first that has this kind. */
const before = (events: readonly Event[], kind: keyof Event): Event[] =>
  events.slice(
    0,
    events.findIndex((event) => event[kind] != null),
  );

describe('the call that waits', () => {
  test.each(['answer-by-update', 'deny'])(
    'of %s is told beside work that goes on, until a message comes',
    async (kind) => {
      const events = await kept(kind);
      const waits = before(events, 'workflowExecutionUpdateAcceptedEventAttributes');
      expect(await seen(waits)).toMatchObject({
        callId: 'call_a',
        arguments: expect.any(String) as unknown,
        kind: kind === 'deny' ? 'approval' : 'external',
      });
      expect(await seen(events.slice(0, waits.length + 1))).toBeNull();
    },
  );

  test('is not told after a signal, even one that the run refuses', async () => {
    const events = await kept('unusable-signals');
    const waits = before(events, 'workflowExecutionSignaledEventAttributes');
    expect(await seen(waits)).toMatchObject({ callId: 'call_a' });
    expect(await seen(events.slice(0, waits.length + 1))).toBeNull();
  });

  test('is not told after its deadline', async () => {
    const events = await kept('deadline-placeholder');
    const waits = before(events, 'timerFiredEventAttributes');
    expect(await seen(waits)).not.toBeNull();
    expect(await seen(events.slice(0, waits.length + 1))).toBeNull();
  });

  test('is not told where several can wait, nor where the history begins within a wait', async () => {
    const several = before(await kept('decide-natively'), 'workflowExecutionUpdateAcceptedEventAttributes');
    expect(await seen(several)).toBeNull();
    const carried = await kept('continue-as-new-in-a-wait-2');
    expect(await seen(before(carried, 'workflowExecutionUpdateAcceptedEventAttributes'))).toBeNull();
  });

  test('carries the digest that a decision about it must name', async () => {
    const events = before(await kept('approve-by-digest'), 'workflowExecutionSignaledEventAttributes');
    expect((await seen(events))?.argumentsDigest).toMatch(/^[0-9a-f]{32,}$/);
  });
});

test('events that do not reach the turn say so', async () => {
  const waits = before(await kept('deny'), 'workflowExecutionUpdateAcceptedEventAttributes');
  const latest = waits.toReversed().slice(0, 2);
  expect(await waitingCallIn(converter, latest)).toBe('further');
});

/** The tools that the workflow itself says it waits for; null = it has said nothing yet, or that it does not wait. */
const namesIn = async (events: readonly Event[]): Promise<unknown> => {
  for (const event of events.toReversed()) {
    const fields = event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields;
    const payload = fields?.['RunsWaitingFor'];
    if (payload != null) return (await decodeArrayFromPayloads(converter, [payload]))[0] ?? null;
  }
  return null;
};

/** What is told beside what the workflow waits for, wherever these differ. */
const wrongIn = async (events: readonly Event[]): Promise<unknown[]> => {
  const wrong: unknown[] = [];
  for (const [at, event] of events.entries()) {
    // Between a turn's result and the task that reads it, the workflow has not said what it waits for.
    if (event.upsertWorkflowSearchAttributesEventAttributes == null) continue;
    const some = events.slice(0, at + 1);
    const [told, names] = [await seen(some), await namesIn(some)];
    if (told !== null && JSON.stringify(names) !== JSON.stringify([told.name]))
      wrong.push({ at, told, names });
  }
  return wrong;
};

test.each(files)('of %s is never another than the one that the workflow says it waits for', async (file) => {
  expect(await wrongIn(await eventsOf(file))).toEqual([]);
});
