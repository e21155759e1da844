/** Chooses what the window shows: sign-in, or the layout with the page of the address. Rule: it knows pages by their table only. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { mayOpen, readSession, sessionState } from './http/session.ts';
import { Shell } from './layout/shell.tsx';
import { SignIn } from './layout/sign-in.tsx';
import type { PageProps } from './page-props.ts';
import { PAGES, paramsAt, START, type ConsolePage } from './pages.ts';
import { navigate, place } from './router.ts';
import { Button } from './ui/button.tsx';
import { EmptyState } from './ui/empty-state.tsx';

type Loaded =
  | { page: ConsolePage; component: ComponentType<PageProps> }
  | { page: ConsolePage; failed: true };

const found = (path: string): { page: ConsolePage; params: Record<string, string> } | null => {
  for (const page of PAGES) {
    const params = paramsAt(page, path);
    if (params !== null) return { page, params };
  }
  return null;
};

/** The page's module; null while it loads. */
const useLoaded = (page: ConsolePage | null): Loaded | null => {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  useEffect(() => {
    if (page === null) return undefined;
    let current = true;
    page.load().then(
      ({ default: component }) => current && setLoaded({ page, component }),
      // A deploy replaced the files while this window was open.
      () => current && setLoaded({ page, failed: true }),
    );
    return () => {
      current = false;
    };
  }, [page]);
  return loaded?.page === page ? loaded : null;
};

const PageOf = ({ page, params }: { page: ConsolePage; params: Record<string, string> }) => {
  const allowed = mayOpen(page.roles);
  const loaded = useLoaded(allowed ? page : null);
  if (!allowed)
    return (
      <EmptyState title="This page is not for your role">
        It needs the role {page.roles.join(' or ')}. Sign in with another key to see it.
      </EmptyState>
    );
  if (loaded === null) return <div class="page-loading" aria-busy="true" />;
  if ('failed' in loaded)
    return (
      <EmptyState title="The page did not load">
        The server is away, or it has a newer console.{' '}
        <Button onClick={() => location.reload()}>Load it again</Button>
      </EmptyState>
    );
  return <loaded.component params={params} />;
};

const Content = () => {
  const { path } = place.value;
  const match = found(path);
  useEffect(() => {
    if (path === '/') navigate(START, { replace: true });
  }, [path]);
  if (path === '/') return null;
  if (match === null)
    return (
      <EmptyState title="There is no such page">
        <a href={`/console${START}`}>Go to the inbox</a>
      </EmptyState>
    );
  return <PageOf page={match.page} params={match.params} />;
};

export const App = () => {
  const session = sessionState.value;
  const title = found(place.value.path)?.page.title ?? 'Console';
  if (session.state === 'unknown') return <div class="page-loading" aria-busy="true" />;
  if (session.state === 'unreachable')
    return (
      <EmptyState title="The server can’t be reached">
        <Button onClick={() => void readSession()}>Try again</Button>
      </EmptyState>
    );
  if (session.state === 'signed-out') return <SignIn methods={session.methods} ended={session.ended} />;
  return (
    <Shell title={title}>
      <Content />
    </Shell>
  );
};
