/**
 * Where the page is: the path below `/console` and the query, as a signal, and how to go elsewhere.
 *
 * Rule: the address holds what a reload or a sent link needs, so filters live in the query. No request leaves here. Imported by
 * the application and by pages.
 */
import { computed, signal } from '@preact/signals';

const BASE = '/console';

const read = (): { path: string; query: string } => ({
  path: location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) || '/' : '/',
  query: location.search,
});

export const place = signal(read());
export const query = computed(() => new URLSearchParams(place.value.query));

/** The address of a path of the console, such as `/inbox`. */
export const hrefOf = (path: string): string => `${BASE}${path}`;

/** Goes to `path`, which may have a query. `replace`: the place before is not kept in the history. */
export const navigate = (path: string, { replace = false }: { replace?: boolean } = {}): void => {
  history[replace ? 'replaceState' : 'pushState'](null, '', hrefOf(path));
  place.value = read();
};

/** Sets parameters of the query and keeps the others; null removes one. */
export const setQuery = (
  changes: Readonly<Record<string, string | null>>,
  { replace = true }: { replace?: boolean } = {},
): void => {
  const next = new URLSearchParams(place.peek().query);
  for (const [name, value] of Object.entries(changes))
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  const text = next.toString();
  navigate(`${place.peek().path}${text === '' ? '' : `?${text}`}`, { replace });
};

const isPlainClick = (event: MouseEvent): boolean =>
  event.button === 0 &&
  !event.defaultPrevented &&
  !event.metaKey &&
  !event.ctrlKey &&
  !event.shiftKey &&
  !event.altKey;

const onClick = (event: MouseEvent): void => {
  if (!isPlainClick(event) || !(event.target instanceof Element)) return;
  const link = event.target.closest('a');
  if (link === null || link.target !== '' || link.hasAttribute('download')) return;
  if (link.origin !== location.origin || !link.pathname.startsWith(`${BASE}/`)) return;
  // A link into the page itself, such as "skip to the content".
  if (link.hash !== '' && link.pathname === location.pathname) return;
  // These are the server's: it redirects to the provider.
  if (link.pathname.startsWith(`${BASE}/oidc/`)) return;
  event.preventDefault();
  navigate(`${link.pathname.slice(BASE.length)}${link.search}`);
};

const onPop = (): void => {
  place.value = read();
};

/** Follows plain clicks on links of the console without a reload, and the buttons of the browser. Returns how to stop. */
export const followLinks = (): (() => void) => {
  document.addEventListener('click', onClick);
  globalThis.addEventListener('popstate', onPop);
  return () => {
    document.removeEventListener('click', onClick);
    globalThis.removeEventListener('popstate', onPop);
  };
};
