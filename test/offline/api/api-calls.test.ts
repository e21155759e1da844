/** The place where the arguments of one call are whole, over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { argumentsDigest } from '../../../protocol/rules/arguments-digest.ts';
import { createApi, keyAuth, parseApiKeys } from '../../../api/index.ts';
import { createRunsService } from '../../../service/index.ts';
import type { Workflows } from '../../../service/run-workflows.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import { call } from '../../support/http.ts';
import { POLICY, memoryStore, startedRun } from '../../support/store.ts';

const NOW = 1_700_000_000_000;
const KEYS = {
  caller: 'sk-the-caller-0123456789',
  approver: 'sk-the-approver-0123456789',
  other: 'sk-another-one-0123456789',
} as const;
const LONG = { order: '42', note: 'x\u202E\u2028'.repeat(6_000), amount: 20_000 };

const gated = (callId: string, name: string, args: string): PlannedCall => ({
  callId,
  name,
  arguments: args,
  plan: { kind: 'approval', policy: POLICY, wait: { onDeadline: 'fail', answerWithinMs: null } },
});

let store: Store;
let at = '';
let api: ReturnType<typeof createApi>;
beforeAll(async () => {
  store = await memoryStore();
  const { runId, threadId } = await startedRun(store, 'acme', NOW);
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  const calls = [
    gated('call_long', 'refund', JSON.stringify(LONG)),
    gated('call_twice', 'refund', '{"amount":20,"amount":20000}'),
    gated('call_other', 'erase', '{}'),
  ];
  const outcome = { kind: 'calls' as const, calls, expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  at = `/v1/threads/${threadId}/runs/${runId}/calls`;
  api = createApi({
    engine: createRunsService({ store, client: { workflows: {} as Workflows }, now: () => NOW }),
    auth: keyAuth(
      parseApiKeys(
        `acme:${KEYS.caller}:* acme:${KEYS.approver}:refund:role=approver;name=al other:${KEYS.other}:*`,
      ),
    ),
  });
});
afterAll(() => store.close());

const read = (callId: string, key: keyof typeof KEYS = 'caller') =>
  call(api.fetch, 'GET', `${at}/${callId}`, undefined, { authorization: `Bearer ${KEYS[key]}` });

describe('a call read over HTTP', () => {
  test('has its arguments whole, as JSON that parses to them, nothing of it hidden, and the digest of its plan', async () => {
    const { status, body } = await read('call_long');
    expect(status).toBe(200);
    const found = body as { arguments: string; arguments_digest: string; arguments_problem: unknown };
    expect(JSON.parse(found.arguments)).toEqual(LONG);
    expect(found.arguments).not.toMatch(/[\u202E\u2028]|shortened/);
    expect(found.arguments).toMatch(/^ {2}"amount": 20000$/m);
    expect(found.arguments_digest).toBe(argumentsDigest(LONG));
    expect(found.arguments_problem).toBeNull();
  });

  test('says why the text of a model is no arguments, and gives no digest for it', async () => {
    expect((await read('call_twice')).body).toMatchObject({
      arguments: '"{\\"amount\\":20,\\"amount\\":20000}"',
      arguments_digest: null,
      arguments_problem: 'the same object contains the key "amount" twice',
    });
  });

  test('is returned to keys that may decide about it, and to no other tenant', async () => {
    expect((await read('call_long', 'approver')).status).toBe(200);
    expect((await read('call_other', 'approver')).status).toBe(404);
    expect((await read('call_other', 'caller')).status).toBe(200);
    expect((await read('call_long', 'other')).status).toBe(404);
    expect((await read('call_none')).body).toMatchObject({
      error: { message: "No tool call found with id 'call_none'." },
    });
  });
});
