/**
 * The session of the person at the page: who they are, what they may do, and how they sign in.
 *
 * Rule: the cookie is the server's alone; the page keeps the session object in memory and nothing else. A server without sessions
 * (404) leaves the decisions unsigned, and every page open. Imported by the layout and by pages.
 */
import { computed, signal } from '@preact/signals';
import { ApiError } from '../../../protocol/errors.ts';
import {
  SIGN_IN_WAYS,
  type ConsoleSessionObject,
  type SignInWay,
} from '../../../protocol/wire/console-session.ts';
import { csrfToken, extensionOf, requestJson, send, unauthorized } from './api.ts';

export type SessionState =
  | { state: 'unknown' }
  /** The server has no sessions: everybody who reaches it may use it. */
  | { state: 'open' }
  | { state: 'signed-out'; methods: readonly SignInWay[]; ended: boolean }
  | { state: 'signed-in'; session: ConsoleSessionObject }
  | { state: 'unreachable'; problem: unknown };

export const sessionState = signal<SessionState>({ state: 'unknown' });

export const currentSession = computed(() =>
  sessionState.value.state === 'signed-in' ? sessionState.value.session : null,
);

const enter = (session: ConsoleSessionObject): void => {
  csrfToken.value = session.csrf_token;
  sessionState.value = { state: 'signed-in', session };
};

/** The methods in the body of a 401; a server that lists none takes a key. */
const methodsOf = (error: ApiError): SignInWay[] => {
  const { sign_in: offered } = extensionOf(error) as { sign_in?: { methods?: unknown } };
  const methods = Array.isArray(offered?.methods) ? offered.methods : [];
  const known = SIGN_IN_WAYS.filter((method) => methods.includes(method));
  return known.length === 0 ? ['key'] : known;
};

/** Reads the session. Asked at start, and when a response says that it has ended. */
export const readSession = async (): Promise<void> => {
  const before = sessionState.value.state;
  try {
    enter(await requestJson<ConsoleSessionObject>('/console/session'));
  } catch (error) {
    if (!(error instanceof ApiError)) {
      // A page that works keeps working through a break; only a first load has nothing to show.
      if (before === 'unknown' || before === 'unreachable')
        sessionState.value = { state: 'unreachable', problem: error };
      return;
    }
    if (error.status === 404) sessionState.value = { state: 'open' };
    else if (error.status === 401)
      sessionState.value = {
        state: 'signed-out',
        methods: methodsOf(error),
        ended: before === 'signed-in' || before === 'open',
      };
    else if (before === 'unknown' || before === 'unreachable')
      sessionState.value = { state: 'unreachable', problem: error };
  }
};

/** Throws `ApiError` when the server does not accept the key or name. */
export const signIn = async (body: { key: string } | { name: string }): Promise<void> => {
  enter(await requestJson<ConsoleSessionObject>('/console/session', { method: 'POST', body }));
};

/** `everywhere`: all sessions of the person end. */
export const signOut = async (everywhere: boolean): Promise<void> => {
  await send(everywhere ? '/console/sessions' : '/console/session', { method: 'DELETE' });
  csrfToken.value = null;
  await readSession();
};

/** True when the person may see a page of these roles. A server without sessions limits nothing here; its API does. */
export const mayOpen = (roles: readonly string[]): boolean => {
  const session = currentSession.value;
  if (session === null || roles.length === 0) return true;
  return session.roles.some((role) => roles.includes(role));
};

let seen = unauthorized.peek();
/** Reads the session again when a response says that it has ended. Returns how to stop. */
export const watchSession = (): (() => void) =>
  unauthorized.subscribe((count) => {
    if (count === seen) return;
    seen = count;
    if (sessionState.peek().state === 'signed-in' || sessionState.peek().state === 'open') void readSession();
  });
