/** Whose name stands under what comes over HTTP, and what a key may read. */
import { expect, test } from 'vitest';
import type { Caller } from '../../../protocol/ports/runs-service.ts';
import { ApiError } from '../../../protocol/errors.ts';
import { approvalsOf, decidable, originOf, refusedDecision, signed } from '../../../service/signature.ts';

const caller = (more: Partial<Caller>): Caller => ({
  tenant: 'acme',
  requestId: 'req_1',
  isRetry: false,
  idempotencyKey: null,
  verified: (more.keyName ?? null) !== null,
  groups: [],
  ...more,
});
const ALICE = caller({ keyName: 'alice', roles: ['approver'], grantedTools: ['refund'] });
const deny = { call_id: 'c', decision: 'deny' } as const;

test.each([
  [{}, { by: 'alice' }],
  [{ by: 'alice' }, { by: 'alice' }],
  [{ by: 'mallory' }, { by: 'alice', note: 'mallory' }],
  [{ note: 'as agreed' }, { by: 'alice', note: 'as agreed' }],
  [
    { by: 'mallory', note: 'as agreed' },
    { by: 'alice', note: 'mallory: as agreed' },
  ],
])('with a key, %j is signed %j', (sent, kept) => {
  expect(signed(ALICE, { ...deny, ...sent })).toEqual({ ...deny, ...kept });
});

test('without keys a name is passed on as the claim that it is', () => {
  expect(signed(caller({}), { ...deny, by: 'ada' })).toEqual({ ...deny, by: 'ada' });
  expect(originOf(caller({ keyName: null, grantedTools: null }))).toEqual({ door: 'http' });
});

test('a name that nothing proves signs, and the workflow is not told that it is proven', () => {
  const ada = caller({ keyName: 'ada', verified: false, roles: ['caller', 'approver', 'operator'] });
  expect(signed(ada, deny)).toEqual({ ...deny, by: 'ada' });
  expect(originOf(ada)).toEqual({ door: 'http' });
  expect(approvalsOf(ada)).toEqual({ tenant: 'acme', tools: null });
  const error = new ApiError(400, 'refused', { code: 'conflicting_answer' });
  expect(refusedDecision(ada, { ...deny, by: 'ada' }, error, 1)).not.toHaveProperty('verified');
});

test('a workflow is told the key’s name and its tools', () => {
  expect(originOf(ALICE)).toEqual({ door: 'http', keyName: 'alice', tools: ['refund'] });
  expect(originOf(caller({ keyName: 'bob', grantedTools: [] }))).toMatchObject({ tools: [] });
});

test('an approver reads decisions of its own tools, a caller those of its tenant, an operator all', () => {
  expect(decidable(ALICE)).toEqual(['refund']);
  expect(decidable(caller({ roles: ['approver'], grantedTools: null }))).toBeNull();
  expect(decidable(caller({ roles: ['caller'], grantedTools: [] }))).toBeNull();
  expect(decidable(caller({ roles: ['operator'], grantedTools: [] }))).toBeNull();
});

test('waiting calls are of the approver’s tenant and tools, and of all tenants to an operator with a key', () => {
  expect(approvalsOf(ALICE)).toEqual({ tenant: 'acme', tools: ['refund'] });
  expect(approvalsOf(caller({ keyName: 'olga', roles: ['operator'], grantedTools: [] }))).toEqual({
    tenant: null,
    tools: null,
  });
  expect(approvalsOf(caller({ keyName: null }))).toEqual({ tenant: 'acme', tools: null });
});
