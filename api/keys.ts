/**
 * Parses API keys of `RUNS_API_KEYS`: tenant, roles, tools, and the name that they sign with.
 *
 * Rule: an error names the entry by its position and shows nothing of it, since any part of it may be a key. Everything
 * is checked at start. Imports protocol and Node only; `auth.ts` compares the keys.
 */
import { hash } from 'node:crypto';
import { KEY_ROLES, type KeyRole } from '../protocol/ports/runs-service.ts';
import { RunsError } from '../protocol/errors.ts';

export interface ApiKey {
  tenant: string;
  /** Hex SHA-256 of the key. */
  sha256: string;
  /** Tools of the worker that this tenant's runs may use, and that an approver may decide; `'*'` = all. */
  tools: readonly string[] | '*';
  /** Default `['caller']`. */
  roles?: readonly KeyRole[];
  /** The name that signs. Default: the tenant. Required for approvers and operators. */
  name?: string;
}

export const hashKey = (key: string): string => hash('sha256', key, 'hex');

const TENANT = /^[A-Za-z0-9_-]{1,64}$/;
const DIGEST = /^sha256\.([0-9a-f]{64})$/;
const NAME = /^[A-Za-z0-9_.@+-]{1,64}$/;
const MIN_KEY_LENGTH = 16;

type Refuse = (rule: string) => RunsError;

const refuse =
  (index: number): Refuse =>
  (rule) =>
    new RunsError(
      'config',
      `Entry ${index + 1} of RUNS_API_KEYS ${rule}. The form is tenant:key[:tool|tool[:role=approver;name=alice]].`,
    );

const isRole = (value: string): value is KeyRole => (KEY_ROLES as readonly string[]).includes(value);

/** `role=approver|caller;name=alice`, in any order, each once. */
const parseOptions = (text: string, problem: Refuse): Pick<ApiKey, 'roles' | 'name'> => {
  const options = new Map<string, string>();
  for (const part of text.split(';').filter((item) => item !== '')) {
    const [option = '', value = '', ...rest] = part.split('=');
    if ((option !== 'role' && option !== 'name') || rest.length > 0)
      throw problem('has an option that is neither role=… nor name=… after the third colon');
    if (options.has(option)) throw problem(`has the option ${option} twice`);
    options.set(option, value);
  }
  const name = options.get('name');
  if (name !== undefined && !NAME.test(name))
    throw problem('needs a name of 1 to 64 letters, digits, "_", ".", "@", "+" or "-"');
  const roles = (options.get('role') ?? 'caller').split('|');
  if (!roles.every(isRole) || new Set(roles).size < roles.length)
    throw problem(`needs roles out of ${KEY_ROLES.map((role) => `"${role}"`).join(', ')}, joined by "|"`);
  return { roles, ...(name === undefined ? {} : { name }) };
};

const parseKey = (entry: string, problem: Refuse): ApiKey => {
  const [tenant = '', key = '', tools = '', options = '', ...rest] = entry.split(':');
  if (rest.length > 0) throw problem('has too many colons');
  if (key === '')
    throw problem(entry.includes(':') ? 'has no key after its tenant' : 'has no tenant before its key');
  if (!TENANT.test(tenant))
    throw problem('needs a tenant of 1 to 64 letters, digits, "_" or "-" before the first colon');
  const digest = DIGEST.exec(key)?.[1];
  if (digest === undefined && key.length < MIN_KEY_LENGTH)
    throw problem(`is too short: use at least ${MIN_KEY_LENGTH} characters after the first colon`);
  const granted = tools === '*' ? '*' : tools.split('|').filter((name) => name !== '');
  const { roles = [], name } = parseOptions(options, problem);
  if (name === undefined && roles.some((role) => role !== 'caller'))
    throw problem(
      'needs a name, since approvers and operators sign with it: add name=… after the third colon',
    );
  if (roles.includes('approver') && granted.length === 0)
    throw problem('approves no tool: name the tools after the second colon, or "*" for all');
  return {
    tenant,
    sha256: digest ?? hashKey(key),
    tools: granted,
    roles,
    ...(name === undefined ? {} : { name }),
  };
};

/**
 * `tenant:key[:tool|tool…[:role=approver|caller;name=alice]]`, several separated by commas or white space. A key may be
 * given as `sha256.<64 hex digits>` instead; tools default to none, `*` = all; the role defaults to `caller`.
 * Throws `RunsError` `config`, which never shows a key.
 */
export const parseApiKeys = (text: string): ApiKey[] => {
  const keys = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry, index) => parseKey(entry, refuse(index)));
  const digests = new Set(keys.map((key) => key.sha256));
  if (digests.size < keys.length)
    throw new RunsError(
      'config',
      'RUNS_API_KEYS lists one key twice. Give every tenant and every person a key of their own; one key may have several roles (role=caller|approver).',
    );
  return keys;
};
