/** An API with the console's sign-in over a real store, and browsers with cookies of their own. */
import { createApi, keyAuth, openAuth, parseApiKeys, NO_PEOPLE, type Api } from '../../api/index.ts';
import type { ConsoleOptions } from '../../api/index.ts';
import { memorySessions } from '../../api/sessions/memory-sessions.ts';
import type { SessionStore } from '../../protocol/ports/session-store.ts';
import type { ConsoleSessionObject } from '../../protocol/wire/console-session.ts';
import { createSandboxEngine } from '../../testing/index.ts';

export const ALICE_KEY = 'key-of-alice-0123456789';
export const OLGA_KEY = 'key-of-olga-01234567890';
export const CALLER_KEY = 'key-of-a-program-012345';
export const KEYS = [
  `acme:${ALICE_KEY}:refund:role=approver;name=alice`,
  `acme:${OLGA_KEY}:*:role=operator|caller;name=olga`,
  `acme:${CALLER_KEY}`,
].join(' ');

/** A store of sessions without a database, for tests of something else. */
export const sessionStoreInMemory = (): SessionStore => ({
  ...memorySessions(),
  watchSessions: () => ({
    nextChange: ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve());
      }),
    close: () => undefined,
  }),
});

const HOST = 'runs.test';
export const ORIGIN = `http://${HOST}`;

export interface Door extends Api {
  options: ConsoleOptions;
}

export const openDoor = (
  store: SessionStore,
  more: Partial<ConsoleOptions> & { keys?: never; apiKeys?: string | null } = {},
): Door => {
  const { apiKeys = KEYS, ...rest } = more;
  const keys = apiKeys === null ? [] : parseApiKeys(apiKeys);
  const people = more.people ?? NO_PEOPLE;
  const signsIn = more.oidc != null || more.proxy != null;
  const options: ConsoleOptions = {
    store,
    keys,
    people,
    folder: '/nonexistent',
    publicUrl: null,
    oidc: null,
    proxy: null,
    log: { info: () => undefined },
    ...rest,
  };
  const auth = apiKeys === null && !signsIn ? openAuth() : keyAuth(keys, people);
  return { ...createApi({ engine: createSandboxEngine(), auth, console: options }), options };
};

export interface Visit {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Address of the connection's other end. */
  peer?: string;
}

/** A browser as far as the server sees it: its cookies, the origin of its page, its token. */
export class Browser {
  readonly cookies = new Map<string, string>();
  csrfToken: string | null = null;
  readonly #door: Pick<Api, 'fetch'>;
  readonly #origin: string;

  constructor(door: Pick<Api, 'fetch'>, origin = ORIGIN) {
    this.#door = door;
    this.#origin = origin;
  }

  /** The same browser before another server. */
  at(door: Pick<Api, 'fetch'>): Browser {
    const other = new Browser(door, this.#origin);
    for (const [name, value] of this.cookies) other.cookies.set(name, value);
    other.csrfToken = this.csrfToken;
    return other;
  }

  async request(path: string, { method = 'GET', body, headers = {}, peer }: Visit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await this.#door.fetch(
      new Request(`${this.#origin}${path}`, {
        method,
        redirect: 'manual',
        headers: {
          host: new URL(this.#origin).host,
          'sec-fetch-site': 'same-origin',
          ...(method === 'GET' ? {} : { origin: this.#origin }),
          ...(cookie === '' ? {} : { cookie }),
          ...(method === 'GET' || this.csrfToken === null ? {} : { 'x-csrf-token': this.csrfToken }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
      peer === undefined ? {} : { incoming: { socket: { remoteAddress: peer } } },
    );
    this.#keep(response);
    return response;
  }

  #keep(response: Response): void {
    for (const text of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = text.split('; ');
      const [name = '', value = ''] = pair.split('=');
      if (attributes.includes('Max-Age=0')) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }

  /** Signs in and keeps the token. */
  async signIn(body: { key: string } | { name: string }): Promise<ConsoleSessionObject> {
    const response = await this.request('/console/session', { method: 'POST', body });
    if (response.status !== 200) throw new Error(`sign-in: ${response.status} ${await response.text()}`);
    const session = (await response.json()) as ConsoleSessionObject;
    this.csrfToken = session.csrf_token;
    return session;
  }

  /** Status and, of an error, its code. */
  async outcome(path: string, visit: Visit = {}): Promise<string> {
    const response = await this.request(path, visit);
    const text = await response.text();
    if (response.status < 400) return String(response.status);
    const { error } = JSON.parse(text) as { error: { code: string | null } };
    return `${response.status} ${error.code}`;
  }
}
