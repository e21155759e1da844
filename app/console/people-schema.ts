/**
 * The schema of the file that RUNS_PEOPLE names, and its translation into `People`.
 *
 * Rule: unknown keys are refused; every group that a person is in is listed, and no two people share a subject, an address or a
 * header. `docs/reference/people.schema.json` is generated from here, for editors. Pure.
 * Imported by `people-file.ts`, by the script that writes the JSON Schema, and by tests.
 */
import { z } from 'zod';
import type { People, ListedPerson } from '../../api/index.ts';
import { quote } from '../../protocol/index.ts';
import { KEY_ROLES } from '../../protocol/ports/runs-service.ts';

const personName = z.string().regex(/^[A-Za-z0-9_.@+-]{1,64}$/, {
  error: 'must be 1 to 64 letters, digits, "_", ".", "@", "+" or "-"',
});
const groupName = z.string().regex(/^[A-Za-z0-9_.@+:/ -]{1,128}$/, {
  error: 'must be 1 to 128 letters, digits, spaces, "_", ".", "@", "+", ":", "/" or "-"',
});
const toolName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, { error: 'must be the name of a tool' });

const identity = z.string().min(1).max(512);

const person = z.strictObject({
  groups: z.array(groupName).max(100).optional(),
  email: z
    .array(z.email().max(320))
    .max(20)
    .optional()
    .describe('Addresses that the OpenID provider has verified'),
  subject: z.array(identity).max(20).optional().describe('The claim "sub" of the OpenID provider'),
  header: z.array(identity).max(20).optional().describe('What the trusted proxy calls the person'),
});

const group = z.strictObject({
  tenant: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, { error: 'must be a tenant of RUNS_API_KEYS' })
    .optional()
    .describe('Whose runs its members see; default "default"'),
  roles: z.array(z.enum(KEY_ROLES)).min(1).optional().describe('Default: approver'),
  tools: z
    .union([z.literal('*'), z.array(toolName).max(1_000)])
    .optional()
    .describe('Whose calls its members may decide; "*" = all, default none'),
});

export const peopleFileSchema = z.strictObject({
  $schema: z.string().optional(),
  people: z
    .record(personName, person)
    .optional()
    .describe('By the name that signs, which is also the name of an API key'),
  groups: z.record(groupName, group).optional(),
});
export type PeopleFile = z.infer<typeof peopleFileSchema>;

const personFrom = ({ groups, email, subject, header }: z.infer<typeof person>): ListedPerson => ({
  groups: groups ?? [],
  emails: (email ?? []).map((address) => address.toLowerCase()),
  subjects: subject ?? [],
  headers: header ?? [],
});

export const peopleFrom = (file: PeopleFile): People => ({
  people: new Map(Object.entries(file.people ?? {}).map(([name, entry]) => [name, personFrom(entry)])),
  groups: new Map(
    Object.entries(file.groups ?? {}).map(([name, { tenant, roles, tools }]) => [
      name,
      {
        tenant: tenant ?? 'default',
        roles: roles ?? ['approver'],
        tools: tools === '*' ? null : (tools ?? []),
      },
    ]),
  ),
});

/** What the entries say of each other that can't be. */
export const peopleProblems = ({ people, groups }: People): string[] => {
  const owners = new Map<string, string>();
  const problems: string[] = [];
  for (const [name, { groups: own, emails, subjects, headers }] of people) {
    for (const one of own)
      if (!groups.has(one))
        problems.push(`people.${name}.groups names ${quote(one)}, which groups does not list. Add it there`);
    const identities = [
      ...emails.map((value) => `email ${quote(value)}`),
      ...subjects.map((value) => `subject ${quote(value)}`),
      ...headers.map((value) => `header ${quote(value)}`),
    ];
    for (const one of identities) {
      const other = owners.get(one);
      if (other !== undefined && other !== name)
        problems.push(`people.${name} and people.${other} have the same ${one}. Give it to one of them`);
      owners.set(one, name);
    }
  }
  return problems;
};
