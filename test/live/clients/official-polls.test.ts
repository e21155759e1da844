/**
 * What the polling helpers of the official clients cost: requests of a whole run, exactly counted, against `runs serve` and
 * `runs worker` in processes of their own, so that word of a change crosses the database.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScriptedTurn } from '../../../testing/index.ts';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { officialClients, outputsOf, textOf, threadOf } from '../../support/official/clients.ts';
import { TOOLS } from '../../support/official/scripts.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';

guardAgainstLeaks();

let server: OfficialServer;
beforeAll(async () => {
  server = await openOfficial({
    sandbox: {
      scripts: {
        checks: (turn): ScriptedTurn =>
          turn.round === 0
            ? { calls: [{ name: 'run_checks', arguments: { service: 'checkout', version: '1' } }] }
            : { text: turn.outputs[0]?.output ?? 'nothing' },
      },
    },
    tools: TOOLS,
  });
}, 60_000);
afterAll(() => server?.close());

const { clients } = await officialClients();

describe.each(clients)('$name', ({ Api }) => {
  const counted = () => {
    const requests: string[] = [];
    const client = new Api({
      baseURL: server.url,
      apiKey: 'not-needed',
      maxRetries: 0,
      fetch: (url, init) => {
        requests.push(init?.method?.toUpperCase() ?? 'GET');
        return fetch(url, init);
      },
    });
    return { client, requests };
  };

  test('a run with a tool of the worker takes two requests: its creation and one poll', async () => {
    const { client, requests } = counted();
    const assistant = await client.beta.assistants.create({
      model: 'scripted:checks',
      tools: [{ type: 'function', function: { name: 'run_checks', parameters: { type: 'object' } } }],
    });
    requests.length = 0;
    const run = await client.beta.threads.createAndRunPoll({ assistant_id: assistant.id });
    expect(run.status).toBe('completed');
    expect(requests).toEqual(['POST', 'GET']);
    const [said] = (await client.beta.threads.messages.list(run.thread_id)).data;
    expect(textOf(said)).toBe('checkout is green');
  });

  test('a run with a call of the client takes four: two for its first half, two for the rest', async () => {
    const { client, requests } = counted();
    const assistant = await client.beta.assistants.create({
      model: 'scripted:weather',
      tools: [WEATHER_TOOL],
    });
    requests.length = 0;
    const waiting = await client.beta.threads.createAndRunPoll({ assistant_id: assistant.id });
    expect(waiting.status).toBe('requires_action');
    const done = await client.beta.threads.runs.submitToolOutputsAndPoll(waiting.id, {
      ...threadOf(waiting),
      tool_outputs: outputsOf(waiting),
    });
    expect(done.status).toBe('completed');
    expect(requests).toEqual(['POST', 'GET', 'POST', 'GET']);
  });
});
