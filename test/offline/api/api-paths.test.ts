/** Whatever base URL a client was configured with: Azure's paths and slashes too many find the routes of `/v1`. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canonicalPath, noSuchPath } from '../../../api/paths.ts';
import { createSandbox, type Sandbox } from '../../../testing/index.ts';
import { call, caller } from '../../support/http.ts';

describe('the path of the table', () => {
  test.each([
    ['/v1/threads', '/v1/threads'],
    ['/v1/threads/', '/v1/threads'],
    ['/v1//threads///t//', '/v1/threads/t'],
    ['//v1/threads', '/v1/threads'],
    ['/openai/threads', '/v1/threads'],
    ['/openai/assistants/asst_1/', '/v1/assistants/asst_1'],
    ['/openai/v1/threads/runs', '/v1/threads/runs'],
    ['/openai//v1//threads', '/v1/threads'],
    ['/healthz/', '/healthz'],
    ['/', '/'],
    ['//', '/'],
    ['/openai', '/openai'],
    ['/openai/', '/openai'],
    ['/openai.json', '/openai.json'],
    ['/v1/openai/threads', '/v1/openai/threads'],
    ['/v1/models/org/name:7b', '/v1/models/org%2Fname:7b'],
    ['/openai/models/org/name/', '/v1/models/org%2Fname'],
    ['/v1/models/org%2Fname', '/v1/models/org%2Fname'],
    ['/v1/models/', '/v1/models'],
    // An encoded slash is part of an id.
    ['/v1/threads/a%2Fb', '/v1/threads/a%2Fb'],
  ])('%s is %s', (asked, path) => {
    expect(canonicalPath(asked)).toBe(path);
  });

  test.each([
    'files',
    'vector_stores',
    'audio/speech',
    'responses',
    'chat/completions',
    'embeddings',
    'fine_tuning/jobs',
  ])('%s is named as not supported, with and without /v1', (path) => {
    for (const base of ['/v1/', '/', '/openai/', '/openai/v1/']) {
      const error = noSuchPath('POST', `${base}${path}`, () => false);
      expect([error.status, error.code]).toEqual([404, 'unsupported_endpoint']);
      expect(error.message).toContain(`no /v1/${path.split('/')[0]}.`);
    }
  });
});

describe('a request', () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await createSandbox({ listen: false });
  });
  afterEach(() => sandbox.close());

  test.each([
    ['GET', '/v1/threads/runs', 404, "No thread found with id 'runs'."],
    ['GET', '/v1/threads/a%2Fb', 400, 'thread_id'],
    ['GET', '/v1/threads/t/runs/%zz', 400, '%zz'],
    ['GET', '/v1/threads/t/messages/a%2520b', 400, 'a%20b'],
    ['PUT', '/v1/threads/t', 404, 'Unknown request URL'],
    ['DELETE', '/v1/threads', 404, 'Unknown request URL'],
    ['GET', '/', 404, 'Unknown request URL'],
  ])('%s %s is answered with %i about the path that it names', async (method, path, status, says) => {
    const answer = await call(sandbox.fetch, method, path);
    expect([answer.status, JSON.stringify(answer.body)]).toEqual([status, expect.stringContaining(says)]);
  });

  test('of POST /v1/threads/runs creates a run, and of no thread with the id "runs"', async () => {
    const { body } = await call(sandbox.fetch, 'POST', '/v1/threads/runs', { assistant_id: 'asst_weather' });
    expect(body).toMatchObject({ object: 'thread.run' });
  });
});

describe('a client of Azure', () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await createSandbox({ listen: false });
  });
  afterEach(() => sandbox.close());
  const VERSION = 'api-version=2024-05-01-preview';

  test.each(['/openai', '/openai/v1', '/v1', '/v1/'])(
    'creates, runs and pages below %s, its version ignored',
    async (base) => {
      const thread = await call(sandbox.fetch, 'POST', `${base}/threads?${VERSION}`, {});
      const { id } = thread.body as { id: string };
      const run = await call(sandbox.fetch, 'POST', `${base}/threads/${id}/runs?${VERSION}`, {
        assistant_id: 'asst_chat',
      });
      expect(run.status).toBe(200);
      const runs = await call(sandbox.fetch, 'GET', `${base}/threads/${id}/runs/?${VERSION}&limit=1`);
      expect(runs.body).toMatchObject({ data: [{ id: (run.body as { id: string }).id }] });
    },
  );
});

describe('query parameters', () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await createSandbox({ listen: false });
  });
  afterEach(() => sandbox.close());

  test('that are empty are absent, on every list', async () => {
    const { run } = await sandbox.engine.createThreadAndRun(caller(), {}, { assistant_id: 'asst_chat' });
    sandbox.clock.advance(1);
    const at = `/v1/threads/${run.thread_id}`;
    const empty = 'limit=&order=&after=&before=';
    for (const [path, query] of [
      ['/v1/assistants', empty],
      [`${at}/messages`, `${empty}&run_id=`],
      [`${at}/runs`, empty],
      [`${at}/runs/${run.id}/steps`, empty],
    ] as const) {
      const answer = await call(sandbox.fetch, 'GET', `${path}?${query}`);
      expect(answer).toMatchObject({ status: 200 });
      expect(answer.body).toEqual((await call(sandbox.fetch, 'GET', path)).body);
    }
  });

  test.each(['include', 'include[]', 'include[0]'])(
    '%s may ask for the contents of file searches',
    async (key) => {
      const { run } = await sandbox.engine.createThreadAndRun(caller(), {}, { assistant_id: 'asst_chat' });
      sandbox.clock.advance(1);
      const at = `/v1/threads/${run.thread_id}/runs`;
      const include = `${encodeURIComponent(key)}=${encodeURIComponent('step_details.tool_calls[*].file_search.results[*].content')}`;
      const steps = await call(sandbox.fetch, 'GET', `${at}/${run.id}/steps?${include}`);
      const [step] = (steps.body as { data: { id: string }[] }).data;
      expect(steps.status).toBe(200);
      const one = await call(sandbox.fetch, 'GET', `${at}/${run.id}/steps/${step?.id}?${include}`);
      expect(one.body).toEqual(step);
      const created = await call(sandbox.fetch, 'POST', `${at}?${include}`, { assistant_id: 'asst_chat' });
      expect(created.status).toBe(200);
      // Nothing can be included of a list of runs.
      expect((await call(sandbox.fetch, 'GET', `${at}?${include}`)).status).toBe(400);
    },
  );
});
