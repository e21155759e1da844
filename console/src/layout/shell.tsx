/** The frame of every page: navigation, who is signed in, theme, messages. Rule: it knows pages by their table only. */
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { currentSession, mayOpen, sessionState, signOut } from '../http/session.ts';
import { PAGES, paramsAt, type ConsolePage } from '../pages.ts';
import { hrefOf, place } from '../router.ts';
import { EscapedText } from '../ui/escaped-text.tsx';
import { ShortcutHelp, useShortcuts } from '../ui/shortcuts.tsx';
import { badges, windowTitle } from './badges.ts';
import { Notices, notify } from './notices.tsx';
import { chooseTheme, theme, type Theme } from './theme.ts';

const entryOf = (page: ConsolePage): string => page.path.replace(/\/:.*$/, '');

const NavLinks = () => (
  <ul class="nav-links">
    {PAGES.filter(({ nav, roles }) => nav !== null && mayOpen(roles)).map((page) => {
      const count = badges.value[entryOf(page)] ?? 0;
      return (
        <li key={page.path}>
          <a
            href={hrefOf(entryOf(page))}
            aria-current={paramsAt(page, place.value.path) === null ? undefined : 'page'}
          >
            <span>{page.nav}</span>
            {count === 0 ? null : <span class="nav-count">{count > 999 ? '999+' : count}</span>}
          </a>
        </li>
      );
    })}
  </ul>
);

const leave = (everywhere: boolean): void => {
  signOut(everywhere).catch(() => notify({ kind: 'problem', text: 'The server did not end the session.' }));
};

const Person = () => {
  const session = currentSession.value;
  if (session === null)
    return sessionState.value.state === 'open' ? <p class="muted small">Not signed in</p> : null;
  return (
    <details class="person">
      <summary>
        <EscapedText text={session.person.name} />
      </summary>
      <div class="person-menu">
        <p class="muted small">
          {session.roles.join(', ')}
          {session.person.groups.length === 0 ? '' : ` · ${session.person.groups.join(', ')}`}
        </p>
        <button type="button" class="link-button" onClick={() => leave(false)}>
          Sign out
        </button>
        <button type="button" class="link-button" onClick={() => leave(true)}>
          Sign out everywhere
        </button>
      </div>
    </details>
  );
};

const ThemeChoice = () => (
  <div class="theme-choice">
    <select
      aria-label="Theme"
      value={theme.value}
      onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}
    >
      <option value="system">System theme</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  </div>
);

export const Shell = ({ title, children }: { title: string; children: ComponentChildren }) => {
  useShortcuts([]);
  const name = windowTitle.value ?? title;
  useEffect(() => {
    document.title = `${name} · Console`;
  }, [name]);
  return (
    <div class="shell">
      <a class="skip-link" href="#main">
        Skip to the content
      </a>
      <nav class="nav" aria-label="Console">
        <a class="brand" href={hrefOf('/')} aria-label="Console">
          <img src="/console/icon.svg" alt="" width="20" height="20" />
          <span>Console</span>
        </a>
        <NavLinks />
        <div class="nav-end">
          <ThemeChoice />
          <Person />
        </div>
      </nav>
      <main id="main" class="main" tabIndex={-1}>
        {children}
      </main>
      <Notices />
      <ShortcutHelp />
    </div>
  );
};
