/**
 * People and groups, as `RUNS_PEOPLE` lists them: who a signed-in person is, and what the person may do.
 *
 * Rule: a person can choose a name at an identity provider, so that name never signs when the file or an API key has it. The server
 * takes a listed name from the file, by subject, verified e-mail address or proxy header. Rights come from groups. Pure.
 * Imports protocol and `auth.ts`. Imported by `api/console/`, the app and tests.
 */
import { ApiError } from '../../protocol/errors.ts';
import type { KeyRole } from '../../protocol/ports/runs-service.ts';
import { quote } from '../../protocol/rules/validation.ts';
import type { Principal } from '../auth.ts';

export interface ListedPerson {
  groups: readonly string[];
  /** E-mail addresses in lower case, subjects of the identity provider, values of the proxy's header. */
  emails: readonly string[];
  subjects: readonly string[];
  headers: readonly string[];
}

export interface Group {
  tenant: string;
  roles: readonly KeyRole[];
  /** Tools whose calls its members may decide; null = all. */
  tools: readonly string[] | null;
}

export interface People {
  people: ReadonlyMap<string, ListedPerson>;
  groups: ReadonlyMap<string, Group>;
}

/** The people of a server without `RUNS_PEOPLE`. */
export const NO_PEOPLE: People = { people: new Map(), groups: new Map() };

/** What an identity provider states. */
export interface Claims {
  subject: string;
  /** null = none, or the provider has not verified it. */
  email: string | null;
  /** By the claim that names people; null = absent, or not to be trusted. */
  name: string | null;
  groups: readonly string[];
}

export const NAME = /^[A-Za-z0-9_.@+-]{1,64}$/;
const MAX_GROUPS = 100;
const MAX_GROUP_CHARS = 128;

const noSignIn = (message: string): ApiError => new ApiError(403, message, { code: 'sign_in_refused' });

/** Groups of the provider and of the file, each once. */
export const groupsOf = ({ people }: People, name: string, stated: readonly string[] = []): string[] =>
  [
    ...new Set([
      ...(people.get(name)?.groups ?? []),
      ...stated.filter((group) => group !== '' && group.length <= MAX_GROUP_CHARS),
    ]),
  ].slice(0, MAX_GROUPS);

/** A name that nothing in the configuration gave: it may be no one else's. */
const ownName = (name: string, { people }: People, keyNames: ReadonlySet<string>): string => {
  if (!NAME.test(name))
    throw noSignIn(
      `The identity provider calls you ${quote(name)}; a name that signs has 1 to 64 letters, digits, "_", ".", "@", "+" or "-". Have the operator list you in RUNS_PEOPLE, or choose another claim (RUNS_OIDC_NAME_CLAIM).`,
    );
  if (people.has(name) || keyNames.has(name))
    throw noSignIn(
      `The name ${quote(name)} belongs to a person of RUNS_PEOPLE or to an API key, and nothing says that this is you. Have the operator add your subject or e-mail address to that person.`,
    );
  return name;
};

/** The name that signs for a person of the identity provider. Throws `ApiError` 403. */
export const nameOfClaims = (claims: Claims, people: People, keyNames: ReadonlySet<string>): string => {
  const { subject, email, name } = claims;
  const isMeant = ({ subjects, emails }: ListedPerson): boolean =>
    subjects.includes(subject) || (email !== null && emails.includes(email.toLowerCase()));
  const found = [...people.people].filter(([, person]) => isMeant(person)).map(([listed]) => listed);
  if (found.length > 1)
    throw noSignIn(
      `Your sign-in fits ${found.length} people of RUNS_PEOPLE. Have the operator list each subject and e-mail address once.`,
    );
  if (found[0] !== undefined) return found[0];
  if (name === null)
    throw noSignIn(
      'The identity provider states no name that can be trusted: no verified e-mail address, or not the claim of RUNS_OIDC_NAME_CLAIM. Have the operator list you in RUNS_PEOPLE, or choose another claim.',
    );
  return ownName(name, people, keyNames);
};

/** The name that signs for a person whom the proxy names. Throws `ApiError` 403. */
export const nameOfHeader = (value: string, people: People, keyNames: ReadonlySet<string>): string => {
  const [listed] = [...people.people].find(([, { headers }]) => headers.includes(value)) ?? [];
  if (listed !== undefined) return listed;
  return people.people.has(value) ? value : ownName(value, people, keyNames);
};

/** What a person of a provider or proxy may do, by the groups. Throws `ApiError` 403. */
export const principalOfPerson = (people: People, name: string, stated: readonly string[]): Principal => {
  const groups = groupsOf(people, name, stated);
  const known = groups.flatMap((group) => people.groups.get(group) ?? []);
  const [tenant, ...others] = new Set(known.map((group) => group.tenant));
  if (tenant === undefined)
    throw noSignIn(
      `${quote(name)} belongs to no group of RUNS_PEOPLE, so there is nothing to see. Have the operator add a group.`,
    );
  if (others.length > 0)
    throw noSignIn(
      `The groups of ${quote(name)} belong to several tenants of RUNS_PEOPLE: ${[tenant, ...others].map((one) => quote(one)).join(', ')}. A person has one.`,
    );
  const tools = known.map((group) => group.tools);
  return {
    tenant,
    name,
    verified: true,
    groups,
    roles: [...new Set(known.flatMap((group) => group.roles))],
    grantedTools: tools.includes(null) ? null : [...new Set(tools.flatMap((list) => list ?? []))],
  };
};
