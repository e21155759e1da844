/**
 * Who may use a server, and its console, from the configuration: keys, people, sign-in, and where the built front end is.
 *
 * Rule: what is not configured is not loaded: the code for OpenID providers and for the file of people. Imported by `api.ts`.
 */
import { BlockList, isIPv6 } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  keyAuth,
  NO_PEOPLE,
  openAuth,
  parseApiKeys,
  type ApiKey,
  type Authenticator,
  type ConsoleOptions,
  SESSION_LIMITS,
  type TrustedProxy,
} from '../../api/index.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import type { SessionStore } from '../../protocol/ports/session-store.ts';
import type { Config } from '../../worker/config.ts';
import type { ConsoleSettings, ProxySettings } from '../../worker/console-settings.ts';

/** `dist/console`, whether this file runs from the sources or from the build. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/console' : '../../console', import.meta.url),
);

const MAPPED = /^::ffff:(?=\d+\.)/i;

export const trustedProxy = ({
  userHeader,
  groupsHeader,
  addresses,
  secret,
}: ProxySettings): TrustedProxy => {
  const list = new BlockList();
  for (const entry of addresses) {
    const [address = '', bits] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return {
    userHeader,
    groupsHeader,
    secret,
    isTrusted: (peer) => {
      const plain = peer.replace(MAPPED, '');
      return list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
    },
  };
};

interface AccessParts {
  store: SessionStore;
  namespace: string;
  /** null = not known. */
  uiUrl: string | null;
  log: Logger;
}

const openConsole = async (
  { on, publicUrl, peopleFile, temporalUi, idleMs, lifetimeMs, oidc, proxy }: ConsoleSettings,
  keys: readonly ApiKey[],
  { store, namespace, uiUrl, log }: AccessParts,
): Promise<ConsoleOptions | null> => {
  if (!on) return null;
  return {
    store,
    keys,
    people:
      peopleFile === null ? NO_PEOPLE : await (await import('./people-file.ts')).loadPeopleFile(peopleFile),
    folder: FOLDER,
    publicUrl,
    oidc: oidc === null ? null : (await import('./oidc.ts')).openIdProvider(oidc, log),
    proxy: proxy === null ? null : trustedProxy(proxy),
    limits: { ...SESSION_LIMITS, idleMs, lifetimeMs },
    links: { temporal_ui: temporalUi ?? uiUrl, namespace },
    log,
  };
};

/** `console`: null = it is off. Throws `RunsError('config')`. */
export const openAccess = async (
  { apiKeys, console: settings }: Config,
  parts: AccessParts,
): Promise<{ auth: Authenticator; console: ConsoleOptions | null }> => {
  const keys = apiKeys === null ? [] : parseApiKeys(apiKeys);
  const pages = await openConsole(settings, keys, parts);
  const { oidc = null, proxy = null, people } = pages ?? {};
  // Where people sign in with a provider, every request needs a sign-in.
  const isOpen = apiKeys === null && oidc === null && proxy === null;
  return { auth: isOpen ? openAuth() : keyAuth(keys, people), console: pages };
};

/** Where the console is, on a server at this URL. */
export const consoleUrlOf = (pages: ConsoleOptions | null, apiUrl: string): string | null =>
  pages === null ? null : `${pages.publicUrl ?? new URL(apiUrl).origin}/console/`;
