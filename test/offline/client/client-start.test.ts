/** Starting a run while Temporal disagrees with itself about the search attributes. */
import { type Client, ServiceError } from '@temporalio/client';
import { expect, test } from 'vitest';
import { GRPC } from '../../../client/errors.ts';
import { RunsClient } from '../../../client/runs-client.ts';
import { SEARCH_ATTRIBUTES } from '../../../protocol/temporal/names.ts';

interface SentStart {
  typedSearchAttributes?: unknown[];
  memo?: unknown;
  args: [{ searchAttributes?: boolean }];
}

const KINDS = { Keyword: 2, Datetime: 6, KeywordList: 7 } as const;

/** Temporal's refusal of a request, as its client throws it. */
const refusal = (details: string): ServiceError =>
  new ServiceError('Failed to start Workflow', {
    cause: Object.assign(new Error(details), { code: GRPC.invalidArgument, details, metadata: {} }),
  });

/** A frontend that lists all attributes; `judge` says why a start is refused, if it is. */
const frontend = (judge: (start: SentStart) => string | null) => {
  const starts: SentStart[] = [];
  let listed = 0;
  const client = {
    options: { namespace: 'new' },
    connection: {
      operatorService: {
        listSearchAttributes: async () => {
          listed += 1;
          return {
            customAttributes: Object.fromEntries(
              Object.entries(SEARCH_ATTRIBUTES).map(([name, kind]) => [name, KINDS[kind]]),
            ),
          };
        },
      },
    },
    workflow: {
      start: async (_type: string, start: SentStart) => {
        starts.push(start);
        const why = judge(start);
        if (why !== null) throw refusal(why);
      },
    },
    withAbortSignal: <T>(_signal: AbortSignal, call: () => Promise<T>) => call(),
    withDeadline: <T>(_deadline: number, call: () => Promise<T>) => call(),
  } as unknown as Client;
  const runs = new RunsClient({ client, taskQueue: 'runs' });
  return { runs, starts, listed: () => listed };
};

const RUN = { backend: 'chat', assistantId: 'asst_1', threadId: 'thread_1' } as const;

test('a start is not refused because the attributes that Temporal lists have no mapping yet', async () => {
  let mapped = false;
  const { runs, starts, listed } = frontend((start) =>
    start.typedSearchAttributes === undefined || mapped
      ? null
      : 'Namespace new has no mapping defined for search attribute RunsAssistantId',
  );
  await expect(runs.start({ ...RUN, runId: 'run_1' })).resolves.toEqual({ runId: 'run_1', started: true });
  expect(starts.map(({ typedSearchAttributes }) => typedSearchAttributes !== undefined)).toEqual([
    true,
    false,
  ]);
  // The workflow sets them later; until then the memo tells what a list shows.
  expect(starts[1]).toMatchObject({ args: [{ searchAttributes: true }], memo: expect.anything() });
  mapped = true;
  await runs.start({ ...RUN, runId: 'run_2' });
  expect(starts).toHaveLength(3);
  expect(starts[2]?.typedSearchAttributes).toBeDefined();
  expect(listed()).toBe(2);
});

test('a start that is refused for another reason stays refused, with its run id', async () => {
  const { runs, starts } = frontend(() => 'WorkflowId length exceeds limit');
  await expect(runs.start({ ...RUN, runId: 'run_3' })).rejects.toMatchObject({
    code: 'invalid_input',
    details: { runId: 'run_3' },
  });
  expect(starts).toHaveLength(2);
});
