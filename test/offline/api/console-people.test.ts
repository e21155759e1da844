/** The file of people: what it accepts, what it refuses, its JSON Schema, and what a person may do by it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NO_PEOPLE, type People } from '../../../api/index.ts';
import { groupsOf, nameOfClaims, principalOfPerson } from '../../../api/console/people.ts';
import { keyAuth, parseApiKeys } from '../../../api/index.ts';
import { loadPeopleFile, parsePeople } from '../../../app/console/people-file.ts';
import { claimsFrom } from '../../../app/console/oidc.ts';
import { currentPeopleSchema, PEOPLE_SCHEMA_FILE } from '../../../scripts/people-schema.ts';
import { ROOT } from '../../support/sources.ts';

const peopleOf = async (text: string): Promise<People> => {
  const parsed = await parsePeople(text);
  if ('problems' in parsed) throw new Error(parsed.problems.join('; '));
  return parsed.value;
};

const FILE = `
groups:
  leads: { tenant: acme, tools: [refund] }
  heads: { tenant: acme, tools: '*', roles: [approver, operator] }
  callers: { tenant: acme, roles: [caller] }
  elsewhere: { tenant: other, tools: [pay] }
people:
  ada: { groups: [leads, heads] }
  grace: { groups: [leads, callers] }
  torn: { groups: [leads, elsewhere] }
`;

test('a person has the roles and tools of all groups together', async () => {
  const people = await peopleOf(FILE);
  expect(principalOfPerson(people, 'ada', [])).toEqual({
    tenant: 'acme',
    name: 'ada',
    verified: true,
    groups: ['leads', 'heads'],
    roles: ['approver', 'operator'],
    grantedTools: null,
  });
  expect(principalOfPerson(people, 'grace', ['leads', 'choir'])).toMatchObject({
    groups: ['leads', 'callers', 'choir'],
    roles: ['approver', 'caller'],
    grantedTools: ['refund'],
  });
});

test('a person of two tenants, or of no group, gets nowhere', async () => {
  const people = await peopleOf(FILE);
  expect(() => principalOfPerson(people, 'torn', [])).toThrow(
    'several tenants of RUNS_PEOPLE: "acme", "other"',
  );
  expect(() => principalOfPerson(people, 'nobody', ['choir'])).toThrow('no group of RUNS_PEOPLE');
  expect(() => principalOfPerson(NO_PEOPLE, 'nobody', [])).toThrow('no group of RUNS_PEOPLE');
});

test('a key belongs to the groups of its name, and keeps its own rights', async () => {
  const auth = keyAuth(
    parseApiKeys('acme:key-of-ada-0123456789:pay:role=approver;name=ada'),
    await peopleOf(FILE),
  );
  expect(auth.authenticate(new Headers({ 'api-key': 'key-of-ada-0123456789' }))).toMatchObject({
    name: 'ada',
    groups: ['leads', 'heads'],
    roles: ['approver'],
    grantedTools: ['pay'],
  });
});

test('what a provider states of groups is bounded', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => `group-${index}`);
  expect(groupsOf(NO_PEOPLE, 'ada', many)).toHaveLength(100);
  expect(groupsOf(NO_PEOPLE, 'ada', ['x'.repeat(129), '', 'a', 'a'])).toEqual(['a']);
});

test.each([
  [{ email: 'a@b.c', email_verified: true }, 'email', { name: 'a@b.c', email: 'a@b.c', groups: [] }],
  [{ email: 'a@b.c', email_verified: 'true' }, 'email', { name: null, email: null, groups: [] }],
  [{ email: 'a@b.c' }, 'email', { name: null, email: null, groups: [] }],
  [{ upn: 'ann', groups: 'leads' }, 'upn', { name: 'ann', email: null, groups: ['leads'] }],
  [{ upn: 7, groups: ['a', 7, null, ''] }, 'upn', { name: null, email: null, groups: ['a'] }],
])('claims %j by %s are %j', (claims, nameClaim, expected) => {
  expect(claimsFrom(claims, 'sub', { nameClaim, groupsClaim: 'groups' })).toEqual({
    subject: 'sub',
    ...expected,
  });
});

test('a claim may stand inside of another', () => {
  const claims = { realm_access: { roles: ['leads'] }, 'a.b': 'flat' };
  expect(claimsFrom(claims, 's', { nameClaim: 'a.b', groupsClaim: 'realm_access.roles' })).toMatchObject({
    name: 'flat',
    groups: ['leads'],
  });
});

test('two entries that fit one sign-in are refused', async () => {
  const people = await peopleOf('people: { a: { subject: [s] }, b: { email: [b@x.org] } }');
  const claims = { subject: 's', email: 'B@x.org', name: 'c', groups: [] };
  expect(() => nameOfClaims(claims, people, new Set())).toThrow('fits 2 people');
});

test.each([
  ['people: { a: { groups: [gone] } }', 'people.a.groups names "gone", which groups does not list'],
  ['people: { a: { email: [x@y.org] }, b: { email: [X@y.org] } }', 'have the same email "x@y.org"'],
  ['people: { a: { subject: [s] }, b: { subject: [s] } }', 'have the same subject "s"'],
  ['people: { "a b": {} }', 'must be 1 to 64 letters'],
  ['people: { a: { mail: [] } }', 'people.a has no setting "mail"'],
  ['groups: { a: { roles: [boss] } }', 'groups.a.roles.0'],
  ['groups: { a: { tenant: "a b" } }', 'must be a tenant'],
  ['groups: { a: {}, a: {} }', 'neither YAML nor JSON'],
  ['people: [', 'neither YAML nor JSON'],
])('the file %s is refused with the place', async (text, problem) => {
  const parsed = await parsePeople(text);
  expect('problems' in parsed ? parsed.problems.join('; ') : '').toContain(problem);
});

test('a file that is not there is named with its variable', async () => {
  await expect(loadPeopleFile('gone.yaml', '/nonexistent')).rejects.toMatchObject({
    code: 'config',
    message: expect.stringMatching(/^RUNS_PEOPLE="gone\.yaml" can't be used: there is no readable file/),
  });
});

test('the published JSON Schema is the server’s own', async () => {
  const published: unknown = JSON.parse(await readFile(join(ROOT, PEOPLE_SCHEMA_FILE), 'utf8'));
  expect(published).toEqual(JSON.parse(currentPeopleSchema()));
});
