/**
 * Settings of the console: where it is, how people sign in, and how long a session lasts.
 *
 * Rule: no effects; a value that can't be used is listed in `invalid`, and no secret is shown. Imported by `config.ts`.
 */
import { isIP } from 'node:net';
import { quote } from '../protocol/index.ts';
import type { envReader } from './env-reader.ts';

export interface OidcSettings {
  issuer: string;
  clientId: string;
  /** null = a public client, by PKCE alone. */
  clientSecret: string | null;
  scopes: string;
  nameClaim: string;
  groupsClaim: string;
}

export interface ProxySettings {
  userHeader: string;
  groupsHeader: string | null;
  /** Addresses and networks, such as `10.0.0.0/8`. */
  addresses: readonly string[];
  secret: string;
}

export interface ConsoleSettings {
  on: boolean;
  /** Where browsers reach the server, without a slash at the end; null = at the name that they ask for. */
  publicUrl: string | null;
  /** File of people and groups. */
  peopleFile: string | null;
  /** Address of Temporal's Web UI, for links. */
  temporalUi: string | null;
  idleMs: number;
  lifetimeMs: number;
  oidc: OidcSettings | null;
  proxy: ProxySettings | null;
}

type Reader = ReturnType<typeof envReader>;

const HOUR_MS = 3_600_000;
const MIN_SECRET_CHARS = 16;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** A web address without a path; null = not set, or refused. */
const readOrigin = ({ text, invalid }: Reader, name: string): string | null => {
  const value = text(name)?.replace(/\/+$/, '');
  if (value === undefined) return null;
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && url.origin === value) return value;
  invalid.push(
    `${name} must be the address under which browsers reach the server, such as "https://runs.example", without a path; got ${quote(value)}`,
  );
  return null;
};

const readOidc = ({ text, invalid }: Reader): OidcSettings | null => {
  const issuer = text('RUNS_OIDC_ISSUER');
  const clientId = text('RUNS_OIDC_CLIENT_ID');
  if (issuer === null && clientId === null) return null;
  if (issuer === null || clientId === null) {
    invalid.push(
      `RUNS_OIDC_ISSUER and RUNS_OIDC_CLIENT_ID go together; only ${issuer === null ? 'RUNS_OIDC_CLIENT_ID' : 'RUNS_OIDC_ISSUER'} is set`,
    );
    return null;
  }
  const url = URL.canParse(issuer) ? new URL(issuer) : null;
  if (url?.protocol !== 'https:' && !(url?.protocol === 'http:' && LOOPBACK.has(url.hostname))) {
    invalid.push(
      `RUNS_OIDC_ISSUER must be an https URL, such as "https://login.example" (http on this machine only); got ${quote(issuer)}`,
    );
    return null;
  }
  return {
    issuer,
    clientId,
    clientSecret: text('RUNS_OIDC_CLIENT_SECRET'),
    scopes: text('RUNS_OIDC_SCOPES') ?? 'openid profile email',
    nameClaim: text('RUNS_OIDC_NAME_CLAIM') ?? 'email',
    groupsClaim: text('RUNS_OIDC_GROUPS_CLAIM') ?? 'groups',
  };
};

const HEADER = /^[a-z0-9-]{1,64}$/;
const isNetwork = (value: string): boolean => {
  const [address = '', bits, ...rest] = value.split('/');
  const version = isIP(address);
  const most = version === 6 ? 128 : 32;
  return (
    version !== 0 && rest.length === 0 && (bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= most))
  );
};

const readProxy = ({ text, invalid }: Reader): ProxySettings | null => {
  const userHeader = text('RUNS_PROXY_USER_HEADER')?.toLowerCase();
  if (userHeader === undefined) return null;
  const groupsHeader = text('RUNS_PROXY_GROUPS_HEADER')?.toLowerCase() ?? null;
  const addresses = (text('RUNS_PROXY_ADDRESSES') ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
  const secret = text('RUNS_PROXY_SECRET') ?? '';
  const problems = [
    ...[userHeader, groupsHeader]
      .filter((name) => name !== null && !HEADER.test(name))
      .map(
        (name) =>
          `RUNS_PROXY_USER_HEADER and RUNS_PROXY_GROUPS_HEADER take names of headers; got ${quote(name)}`,
      ),
    ...(addresses.length === 0
      ? [
          'RUNS_PROXY_USER_HEADER needs RUNS_PROXY_ADDRESSES: the addresses or networks of the proxy, such as "10.0.0.5"',
        ]
      : []),
    ...addresses
      .filter((entry) => !isNetwork(entry))
      .map(
        (entry) =>
          `RUNS_PROXY_ADDRESSES takes addresses and networks, such as "10.0.0.0/8"; got ${quote(entry)}`,
      ),
    ...(secret.length < MIN_SECRET_CHARS
      ? [
          `RUNS_PROXY_USER_HEADER needs RUNS_PROXY_SECRET, at least ${MIN_SECRET_CHARS} characters that the proxy sends in x-runs-proxy-secret`,
        ]
      : []),
  ];
  invalid.push(...problems);
  return problems.length > 0 ? null : { userHeader, groupsHeader, addresses, secret };
};

/** Never throws: problems are listed in the reader's `invalid`. */
export const readConsoleSettings = (reader: Reader): ConsoleSettings => {
  const { text, oneOf, duration, invalid } = reader;
  const on = oneOf('RUNS_CONSOLE', ['on', 'off'] as const, 'on') === 'on';
  const settings: ConsoleSettings = {
    on,
    publicUrl: readOrigin(reader, 'RUNS_PUBLIC_URL'),
    peopleFile: text('RUNS_PEOPLE'),
    temporalUi: readOrigin(reader, 'RUNS_TEMPORAL_UI'),
    idleMs: duration('RUNS_SESSION_IDLE', 60_000, 720 * HOUR_MS, 12 * HOUR_MS),
    lifetimeMs: duration('RUNS_SESSION_LIFETIME', 60_000, 2_160 * HOUR_MS, 168 * HOUR_MS),
    oidc: on ? readOidc(reader) : null,
    proxy: on ? readProxy(reader) : null,
  };
  const { oidc, proxy, peopleFile } = settings;
  if ((oidc !== null || proxy !== null) && peopleFile === null)
    invalid.push(
      `${oidc === null ? 'RUNS_PROXY_USER_HEADER' : 'RUNS_OIDC_ISSUER'} needs RUNS_PEOPLE: without groups a person who signs in has no rights`,
    );
  if (oidc !== null && text('RUNS_PUBLIC_URL') === null)
    invalid.push(
      'RUNS_OIDC_ISSUER needs RUNS_PUBLIC_URL, the address under which browsers reach the server, such as "https://runs.example": the provider sends them back there',
    );
  return settings;
};
